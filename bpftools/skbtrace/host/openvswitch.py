# SPDX-License-Identifier: Apache-2.0
"""A reading of Open vSwitch: its ports, rules, meters, addresses and datapath flows, and what its rules make of some
packets. All of it is asked for; `ofproto/trace` of a flow, without a packet, learns nothing and counts nothing.

The reading has the shape of reading.py's, with `host` alone, in which beside the table's rows there is

    "traces": {"value": [{"device", "flow", "bridge", "state", "lines"}]}    `why` in place of `lines`: it was refused

device, flow: where a packet came in, and its headers as openflow.py writes them; state: what conntrack is taken to say
of it, empty where the rules do not ask.
"""
import os
import re
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

from .. import foreign
from . import clock, jsonrpc, switch
from .collectors import MIB, Collector, Unread
from .reading import Budget, run

SECONDS = 8.0
MOST_FLOWS = 16
_MOST_BRIDGES = 16
_MOST_RULES = 20_000      # and flows of the datapath: more are not listed, since the daemon is held up meanwhile
_MOST_TUNNELS = 4         # of one kind: by which of them a packet came in cannot be told
_STATES = ("trk,new", "trk,est", "trk,est,rpl", "trk,inv")
_CHAINED = 4              # times that rules may ask conntrack about one packet
_ASKS_CONNTRACK = "resume conntrack"
_TRACE_BYTES, _TRACE_SECONDS = 64 << 10, 1.0
_KEPT = 0.4               # share of the time that is kept for what is read after the traces


class Question(NamedTuple):
    """What the daemon is asked, once or for each bridge."""

    name: str
    method: str
    for_each: bool = False
    words: List[str] = []
    most: int = MIB           # bytes
    seconds: float = 2.0


TABLE = [
    Question("switch", "dpif/show"),
    Question("switch-size", "memory/show"),
    # what the kernel counted is added to the rules' counters once in each of the daemon's rounds: one is waited for
    Question("switch-round", "revalidator/wait"),
    Question("openflow", "bridge/dump-flows", True, most=4 * MIB),
    Question("switch-macs", "fdb/show", True),
]
# read last, a round after the rules were asked: a datapath flow that is not as they say is a stale one
DATAPATH = [
    Question("datapath-round", "revalidator/wait"),
    Question("datapath", "dpctl/dump-flows", words=["-m", "--names"], most=4 * MIB),
]
# what is counted in `memory/show`, which leaves out what there is none of
_COUNTED = {"openflow": ("rules", "OpenFlow rules"), "datapath": ("udpif keys", "flows in its datapath")}
_PORTS = {"op": "select", "table": "Port", "where": [], "columns": ["name", "tag", "trunks", "vlan_mode"]}
_METERS = Collector("meters", ["ovs-ofctl", "-O", "OpenFlow13,OpenFlow14,OpenFlow15", "-t", "2"])

Entries = Dict[str, Dict[str, Any]]


class Reader:
    """One reading of Open vSwitch."""

    def __init__(self, seconds: float) -> None:
        self.entries: Entries = {}
        self._budget = Budget(seconds)
        self._traces_until = self._budget.end - seconds * _KEPT    # of the monotonic clock
        self._daemon = jsonrpc.Daemon("ovs-vswitchd", jsonrpc.sockets("ovs-vswitchd.*.ctl"))
        self._database = jsonrpc.Daemon("ovsdb-server", jsonrpc.sockets("db.sock"))

    def close(self) -> None:
        """Leave the daemons alone."""
        self._daemon.close()
        self._database.close()

    def read(self, flows: List[Dict[str, str]]) -> None:
        """Ask for everything; flows: see read()."""
        for question in TABLE:
            self._add(question.name, self._answer, question)
        if flows:
            self._add("traces", self._traces, flows[:MOST_FLOWS])
        for question in DATAPATH:
            self._add(question.name, self._answer, question)
        self._add("switch-ports", self._ports)
        self._add("meters", self._meters)

    def _add(self, name: str, make: Callable[..., Any], *given: Any) -> None:
        began, entry = time.monotonic(), {}    # type: float, Dict[str, Any]
        try:
            if self._budget.seconds(1.0) <= 0:
                raise Unread("there was no time left")
            entry["value"] = make(*given)
        except Unread as why:
            entry["why"] = str(why)
        self.entries[name] = dict(entry, seconds=round(time.monotonic() - began, 3))

    def _value(self, name: str) -> List[str]:
        found: List[str] = self.entries.get(name, {}).get("value", [])
        return found

    def _bridges(self) -> List[str]:
        return sorted({port.bridge for port in switch.ports(self._value("switch"))})[:_MOST_BRIDGES]

    def _answer(self, question: Question) -> Any:
        if question.name in _COUNTED:
            self._refuse_many(*_COUNTED[question.name])
        if question.for_each:
            return {bridge: self._lines(question, [bridge]) for bridge in self._bridges()}
        return self._lines(question, question.words)

    def _refuse_many(self, counter: str, what: str) -> None:
        found = re.search(r"\b%s:(\d{1,9})\b" % counter, " ".join(self._value("switch-size")))
        if not found and counter == "rules" or found and int(found.group(1)) > _MOST_RULES:
            raise Unread("it has %s %s, and no more than %d are listed" % (
                found.group(1) if found else "nobody knows how many", what, _MOST_RULES))

    def _lines(self, question: Question, words: List[str]) -> List[str]:
        text = self._daemon.ask(question.method, words, max(0.001, self._budget.seconds(question.seconds)),
                                min(question.most, self._budget.bytes))
        data = str(text or "").encode("utf-8", "backslashreplace")
        self._budget.bytes -= len(data)
        return [foreign.shown(line) for line in data.split(b"\n") if line.strip()]

    def _ports(self) -> Any:
        answer = self._database.ask("transact", ["Open_vSwitch", _PORTS], max(0.001, self._budget.seconds(2.0)), MIB)
        try:
            return answer[0]["rows"]
        except (LookupError, TypeError):
            raise Unread("ovsdb-server answered something else") from None

    def _meters(self) -> Dict[str, Any]:
        return {bridge: run(_METERS.command + ["meter-stats", bridge], _METERS, self._budget)
                for bridge in self._bridges()}

    def _traces(self, flows: List[Dict[str, str]]) -> List[Dict[str, Any]]:
        """Return what the rules make of packets: of each once for each port by which it may have come in, and for each
        state that conntrack may find it in."""
        known = switch.ports(self._value("switch"))
        return [dict(flow, bridge=port.bridge, **trace) for flow in flows
                for port in switch.behind(flow["device"], known)[:_MOST_TUNNELS]
                for trace in self._trace(port, flow["flow"])]

    def _trace(self, port: switch.Port, flow: str) -> Iterator[Dict[str, Any]]:
        metadata = switch.metadata(port)
        if metadata is None:
            yield {"state": "", "why": "the tunnel's addresses or key are in the packet, where they are not read"}
            return
        words = [port.bridge, "%s,%s" % (metadata, flow)]
        first = self._ask(words)
        asks = any(_ASKS_CONNTRACK in line for line in first.get("lines", []))
        yield dict(first, state=_STATES[0] if asks else "")
        for state in _STATES[1:] if asks else ():
            yield dict(self._ask(words + ["--ct-next", state] * _CHAINED), state=state)

    def _ask(self, words: List[str]) -> Dict[str, Any]:
        try:
            if time.monotonic() > self._traces_until:
                raise Unread("there was no time left")
            return {"lines": self._lines(Question("trace", "ofproto/trace", most=_TRACE_BYTES,
                                                  seconds=_TRACE_SECONDS), words)}
        except Unread as why:
            return {"why": str(why)}


def is_loaded() -> bool:
    """Whether the kernel has Open vSwitch; if not, there is nothing to wait for in a reading."""
    return os.path.exists("/sys/module/openvswitch")


def read(flows: List[Dict[str, str]], seconds: float = SECONDS) -> Dict[str, Any]:
    """Return a reading; flows: `device` and `flow` of packets that are to be traced."""
    began = clock.monotonic_ns()
    if is_loaded():
        reader = Reader(seconds)
        try:
            reader.read(flows)
        finally:
            reader.close()
        entries = reader.entries
    else:
        entries = {"switch": {"why": "openvswitch is not loaded", "seconds": 0.0}}
    return {"began_ns": began, "namespaces": {}, "host": entries, "ended_ns": clock.monotonic_ns()}
