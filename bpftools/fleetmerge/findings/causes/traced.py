# SPDX-License-Identifier: Apache-2.0
"""What `ovs-appctl ofproto/trace` prints: the OpenFlow rules that a packet meets, and what becomes of it, in parts:
conntrack, and what else recirculates, begin another one.

     0. tcp,in_port=1,tp_dst=5001, priority 100, cookie 0x7
        drop
    Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=5001
    Datapath actions: drop
"""
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_BRIDGE = re.compile(r'\s*bridge\("(.*)"\)')
_TABLE = re.compile(r"\s*(\d{1,3})\. (.*)")
_RULE = re.compile(r"(?:(?P<match>.*), )?priority (?P<priority>\d{1,5})(?:, cookie (?P<cookie>0x[0-9a-f]{1,16}))?")
_NOTE = re.compile(r"\s+(?:->|>>|>>>>) (.*?)(?: <<<<)?")
_RESUMED = re.compile(r"recirc\(0x[0-9a-f]+\)(?: - resume (.*))?")
_FAILED = re.compile(r"(Translation failed \(.*\)), packet is dropped\.")
_ONWARD = ("resubmit", "goto_table", "clone", "group")


@dataclass
class Step:
    """A table that a packet came to, and its rule there."""

    bridge: str
    table: int
    words: str                # what is said of the rule; of none, that there is none
    match: str = ""
    priority: int | None = None    # None: no rule matched
    cookie: str = ""
    actions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_on: bool = False   # whether another table or bridge decides

    @property
    def key(self) -> tuple[str, int, int | None, str]:
        """What names the rule: bridge, table, priority, match."""
        return self.bridge, self.table, self.priority, self.match


@dataclass
class Part:
    """The way of a packet up to where it leaves the datapath's flow."""

    resumed: str = ""         # after what; empty: it came in
    megaflow: str = ""
    actions: str = ""         # of the datapath
    steps: list[Step] = field(default_factory=list)

    @property
    def drops(self) -> bool:
        """Whether the datapath's flow has no action."""
        return self.actions == "drop"

    @property
    def ends(self) -> list[Step]:
        """The rules at which it ends."""
        return [step for step in self.steps if not step.passed_on]


def parts_of(lines: Iterable[str]) -> list[Part]:
    """Return the parts of a trace, in order; lines that are nothing of it are passed over."""
    part, bridge = Part(), ""
    out = [part]
    for line in lines:
        resumed, heading, table = _RESUMED.fullmatch(line), _BRIDGE.fullmatch(line), _TABLE.fullmatch(line)
        failed = _FAILED.fullmatch(line)
        name, _, value = line.partition(": ")
        if resumed:
            part = Part(resumed[1] or "recirculation")
            out.append(part)
        elif failed and part.steps:
            part.steps[-1].notes.append(failed[1])
        elif name == "Megaflow":
            part.megaflow = value
        elif name == "Datapath actions":
            part.actions = value
        elif heading:
            bridge = heading[1]
            if part.steps:    # by a patch port
                part.steps[-1].passed_on = True
        elif table:
            part.steps.append(_step(bridge, int(table[1]), table[2]))
        elif part.steps and line.startswith("    ") and not part.megaflow:
            _add(part.steps[-1], line)
    return [part for part in out if part.actions]


def _step(bridge: str, table: int, text: str) -> Step:
    rule = _RULE.fullmatch(text)
    if not rule:
        return Step(bridge, table, text)
    return Step(bridge, table, text, rule["match"] or "", int(rule["priority"]), rule["cookie"] or "")


def _add(step: Step, line: str) -> None:
    note = _NOTE.fullmatch(line)
    if note:
        step.notes.append(note[1])
        return
    action = line.strip()
    step.actions.append(action)
    step.passed_on = step.passed_on or action.startswith(_ONWARD)
