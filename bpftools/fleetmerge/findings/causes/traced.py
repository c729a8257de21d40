# SPDX-License-Identifier: Apache-2.0
"""What `ovs-appctl ofproto/trace` prints: the OpenFlow rules that a packet meets, and what becomes of it, in parts:
conntrack, and what else recirculates, begin another one.

     0. tcp,in_port=1,tp_dst=5001, priority 100, cookie 0x7
        drop
    Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=5001
    Datapath actions: drop
"""
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_BRIDGE = re.compile(r'( *)bridge\("(.*)"\)')
_TABLE = re.compile(r"( *)( \d|\d{2,3})\. (.*)")
_RULE = re.compile(r"(?:(?P<match>.*), )?priority (?P<priority>\d{1,5})(?:, cookie (?P<cookie>0x[0-9a-f]{1,16}))?")
_NOTE = re.compile(r"\s+(?:->|>>|>>>>) (.*?)(?: <<<<)?")
_RESUMED = re.compile(r"recirc\(0x[0-9a-f]+\)(?: - resume (.*))?")
_FAILED = re.compile(r"(Translation failed \(.*\)), packet is dropped\.")
_MOST_LINES = 2000    # of a trace; hosts cut none, and keep none that is longer than 64 KiB
_ONWARD = ("resubmit", "goto_table", "clone", "group")


@dataclass
class Step:
    """A table that a packet came to, and its rule there."""

    bridge: str
    table: int
    words: str                # what is said of the rule; of none, that there is none
    indent: int = 0           # how deep it stands: what is asked beside the way stands deeper
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
        """The rules at which it ends; those before the last one were asked beside, and would drop it, too."""
        last = [step for step in self.steps if not step.passed_on] or self.steps[-1:]
        depth = min((step.indent for step in last), default=0)
        return [step for step in last if step.indent == depth or step.actions == ["drop"] and step.priority is not None]


def parts_of(lines: Sequence[str]) -> list[Part]:
    """Return the parts of a trace, in order; lines that are nothing of it are passed over. Of one that is too long
    there are none."""
    if len(lines) > _MOST_LINES:
        return []
    part, bridges = Part(), _Bridges()
    out, acting = [part], None    # the step that did the last action
    for line in lines:
        resumed, heading, table = _RESUMED.fullmatch(line), _BRIDGE.fullmatch(line), _TABLE.fullmatch(line)
        failed = _FAILED.fullmatch(line)
        name, _, value = line.partition(": ")
        if resumed:
            part, acting, bridges = Part(resumed[1] or "recirculation"), None, _Bridges()
            out.append(part)
        elif failed and part.steps:
            part.steps[-1].notes.append(failed[1])
        elif name == "Megaflow":
            part.megaflow = value
        elif name == "Datapath actions":
            part.actions = value
        elif heading:
            bridges.enter(heading[2], len(heading[1]))
            if acting:    # by a patch port
                acting.passed_on = True
        elif table:
            depth = len(table[1])
            part.steps.append(_step(bridges.at(depth), depth, int(table[2]), table[3]))
        elif line.startswith("    ") and not part.megaflow:
            acting = _act(part.steps, line) or acting
    return [part for part in out if part.actions]


class _Bridges:
    """In which bridge a packet is: one that it enters and leaves again stands deeper, and its tables deeper still."""

    def __init__(self) -> None:
        self._entered: list[tuple[str, int]] = []    # how deep it stands, and then its tables
        self._new = False

    def enter(self, bridge: str, depth: int) -> None:
        """A bridge is named."""
        self._entered.append((bridge, depth))
        self._new = True

    def at(self, depth: int) -> str:
        """Return the bridge of a table."""
        if self._new and self._entered:
            self._entered[-1] = self._entered[-1][0], depth
        self._new = False
        while len(self._entered) > 1 and self._entered[-1][1] > depth:
            self._entered.pop()
        return self._entered[-1][0] if self._entered else ""


def _step(bridge: str, indent: int, table: int, text: str) -> Step:
    rule = _RULE.fullmatch(text)
    if not rule:
        return Step(bridge, table, text, indent)
    return Step(bridge, table, text, indent, rule["match"] or "", int(rule["priority"]), rule["cookie"] or "")


def _act(steps: list[Step], line: str) -> Step | None:
    """Give an action, or a note, to its rule, which is returned: the last one that does not stand as deep."""
    depth = len(line) - len(line.lstrip())
    step = next((step for step in reversed(steps) if step.indent < depth), None)
    note = _NOTE.fullmatch(line)
    if step and note:
        step.notes.append(note[1])
    elif step and set(line.strip()) != {"-"}:    # which underline a bridge's name
        action = line.strip()
        step.actions.append(action)
        step.passed_on = step.passed_on or action.startswith(_ONWARD)
    return step
