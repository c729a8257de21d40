# SPDX-License-Identifier: Apache-2.0
"""Drops for want of room: traffic control's queues and filters, sockets' receive buffers."""
from typing import Any, NamedTuple

from ...bundle.evidence import Reading
from .drop import Candidate, Drop
from .hooks import plain
from .watched import owner, softirqs

_FILTERS = {"TC_INGRESS": ("filters-in", "ingress"), "TC_EGRESS": ("filters-out", "egress")}
_QDISC = ("QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED")
_BUFFER = ("SOCKET_RCVBUFF", "PROTO_MEM")
_VOLATILE = ("stats", "rule_hit", "success", "installed", "last_used", "first_used")
_DROPPING = ("shot", "drop")
_MOST = 1 << 64    # that a counter of the kernel holds


class Gain(NamedTuple):
    """A qdisc whose own counter of drops rose."""

    row: dict[str, Any]       # as tc says it after the window
    before: dict[str, Any]    # and before it; empty: it was not there
    rose: int

    def is_in(self, other: "Gain") -> bool:
        """Whether it is one of the queues of another one, which counts what it drops, too. Those that the kernel has
        made have no number: their handle is 0:, and they are in :1, :2, ..."""
        handle, parent = (str(row.get(name, "")) for row, name in ((other.row, "handle"), (self.row, "parent")))
        number = parent.split(":")[0] or "0"
        return bool(parent) and handle == number + ":" and (number != "0" or "parent" not in other.row)

    def candidate(self, limit: int = 0) -> Candidate:
        """Return it as what may have dropped packets; limit: as a record has it."""
        row, options = self.row, _object(self.row.get("options"))
        return Candidate(
            "tc", "the queue %s (handle %s) of %s%s" % (row.get("kind"), row.get("handle"), row.get("dev"),
                                                        _settings(options, limit)),
            {"qdisc": str(row.get("kind")), "handle": str(row.get("handle")), "device": str(row.get("dev")),
             "options": {str(name): value for name, value in options.items() if isinstance(value, int | str)}},
            self.rose, "its drop counter", unchanged=self.before.get("options") == row.get("options"))


def gains(reading: Reading, device: str) -> list[Gain]:
    """Return the qdiscs of a device that dropped packets between the two readings."""
    before = {_key(row): row for row in reading.rows("qdiscs", "before")}
    found = [Gain(row, old, _number(row.get("drops")) - _number(old.get("drops")))
             for row in reading.rows("qdiscs") if row.get("dev") == device for old in [before.get(_key(row), {})]]
    return [one for one in found if one.rose > 0]


def find_qdisc(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the queue of a device that had no room: the one whose own counter of drops rose."""
    if not (drop.reason in _QDISC or str(drop.reason).startswith("QDISC_")) or "qdiscs" not in reading.after:
        return None
    found = gains(reading, drop.device)
    return [one.candidate(drop.limit) for one in found if not any(below.is_in(one) for below in found)]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in ("dev", "kind", "handle", "parent"))


def _settings(options: dict[str, Any], limit: int) -> str:
    """Return what is set on a queue, as it is said: rate 2 Mbit/s, limit 20480."""
    words = []
    rate = options.get("rate")
    if isinstance(rate, int) and rate > 0:
        words.append("rate %g Mbit/s" % (rate * 8 / 1e6))
    known = options.get("limit")
    if isinstance(known, int) or limit:
        words.append("limit %s" % (known if isinstance(known, int) else limit))
    return ", with %s" % ", ".join(words) if words else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0


def find_filter(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the filters of a device that may have thrown packets away."""
    if drop.reason not in _FILTERS:
        return None
    name, way = _FILTERS[drop.reason]
    after, before = (reading.by_key(name, when).get(drop.device) for when in ("after", "before"))
    if after is None:
        return None
    versions = {packet.version for packet in drop.packets}
    out = []
    for row in after:
        options = row.get("options") if isinstance(row, dict) else None
        if not isinstance(options, dict) or not _is_for(str(row.get("protocol")), versions):
            continue
        rose, drops = _actions(options, _before(row, before))
        if not drops:
            continue
        out.append(Candidate(
            "tc", "the filter %s (pref %s, handle %s%s) of %s %s" % (
                row.get("kind"), row.get("pref"), options.get("handle", options.get("fh")), _program(options),
                drop.device, way),
            {"filter": str(row.get("kind")), "pref": _number(row.get("pref")), "device": drop.device, "way": way,
             "handle": str(options.get("handle", options.get("fh")))}, rose, "its action's drop counter",
            doubt="nothing counts what it drops, and tc does not list BPF programs that are attached past it",
            unchanged=before is not None and _bare(before) == _bare(after)))
    return out


def _program(options: dict[str, Any]) -> str:
    program = options.get("prog")
    identity = program.get("id") if isinstance(program, dict) else None
    name = options.get("bpf_name") or (program.get("name") if isinstance(program, dict) else None)
    return "".join([", program %s" % name if name else "", ", id %s" % identity if identity else ""])


def _is_for(protocol: str, versions: set[int]) -> bool:
    return {"ip": 4 in versions, "ipv6": 6 in versions, "arp": 0 in versions}.get(protocol, True)


def _before(row: dict[str, Any], before: Any) -> dict[str, Any]:
    for one in before or []:
        options = one.get("options") if isinstance(one, dict) else None
        own = row["options"]
        if isinstance(options, dict) and all(one.get(name) == row.get(name) for name in ("kind", "pref", "chain")) and (
                options.get("handle", options.get("fh")) == own.get("handle", own.get("fh"))):
            return options
    return {}


def _actions(options: dict[str, Any], before: dict[str, Any]) -> tuple[int | None, bool]:
    """Return (how far the drop counters of its actions rose, None without any; whether it can drop at all)."""
    actions, old = ([one for one in _list(have.get("actions")) if isinstance(one, dict)] for have in (options, before))
    if not actions:
        return None, options.get("direct-action") is True or options.get("direct_action") is True
    rose = sum(_drops(one) for one in actions) - sum(_drops(one) for one in old)
    kinds = [one for one in actions if _action(one) in _DROPPING or one.get("kind") in ("police", "bpf")]
    return max(0, rose), bool(kinds)


def _drops(action: dict[str, Any]) -> int:
    statistics = action.get("stats")
    return _number(statistics.get("drops")) if isinstance(statistics, dict) else 0


def _action(action: dict[str, Any]) -> str:
    control = action.get("control_action")
    return str(control.get("type")) if isinstance(control, dict) else ""


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(one) for name, one in value.items() if name not in _VOLATILE}
    return [_bare(one) for one in value] if isinstance(value, list) else value


def find_socket(drop: Drop, reading: Reading, host: Reading) -> list[Candidate] | None:
    """Return the sockets whose receive buffer was full: those at the packets' port whose own counter of drops rose."""
    if drop.reason not in _BUFFER or "sockets" not in reading.after:
        return None
    ports = {packet.dst_port for packet in drop.packets if packet.protocol == "udp"}
    old = {one["inode"]: one["drops"] for one in _sockets(reading, "before")}
    out = []
    for one in _sockets(reading, "after"):
        rose = one["drops"] - old.get(one["inode"], 0)
        if one["port"] not in ports or rose <= 0:
            continue
        most = "".join(host.by_key("limits").get("/proc/sys/net/core/rmem_max", []))
        settings = ["%d bytes" % drop.limit] if drop.limit else []
        settings += ["net.core.rmem_max is %s" % most] if most.isdigit() else []
        who = owner(drop, one["inode"])
        out.append(Candidate(
            "socket", "the receive buffer of the socket on udp port %d%s" % (
                one["port"], " (%s)" % "; ".join(settings) if settings else ""),
            {"port": one["port"], "limit": drop.limit or None, "setting": "SO_RCVBUF",
             **({"owner": who.entry()} if who else {})}, rose,
            "its drop counter", by="its owner, %s, %s" % (who.name, who.words()) if who else ""))
    return out


def _sockets(reading: Reading, when: str) -> list[dict[str, int]]:
    """Return port, inode and drops of the sockets of /proc/net/udp and udp6."""
    out = []
    for lines in reading.by_key("sockets", when).values():
        for line in lines[1:]:
            words = line.split() if isinstance(line, str) else []
            if len(words) < 13 or not words[9].isdigit() or not words[-1].isdigit():
                continue
            try:
                port = int(words[1].rpartition(":")[2], 16)
            except ValueError:
                continue
            out.append({"port": port, "inode": int(words[9][:18]), "drops": int(words[-1][:18])})
    return out


def find_backlog(drop: Drop, _reading: Reading, host: Reading) -> list[Candidate] | None:
    """Return the CPUs that had no room for more packets in their backlog: those whose own counter of drops rose."""
    if drop.reason != "CPU_BACKLOG" and plain(drop.function) != "enqueue_to_backlog" or "softnet" not in host.after:
        return None
    after, before = (_backlog_drops(host, when) for when in ("after", "before"))
    rose = {cpu: count - before.get(cpu, 0) for cpu, count in after.items() if count > before.get(cpu, 0)}
    if not rose:
        return []
    taken = softirqs(drop, list(rose))
    return [Candidate("softnet", "the backlog of CPU %s (net.core.netdev_max_backlog)" % ", ".join(map(str, rose)),
                      {"cpus": list(rose), "setting": "net.core.netdev_max_backlog"}, sum(rose.values()),
                      "the drop counter in softnet_stat", by=taken)]


def _backlog_drops(host: Reading, when: str) -> dict[int, int]:
    """Return how many packets each CPU has dropped; a kernel that does not number the lines leaves out CPUs that are
    off."""
    out: dict[int, int] = {}
    for line in host.by_key("softnet", when).get("/proc/net/softnet_stat", []):
        words = str(line).split()
        out[int(words[12], 16) if len(words) > 12 else len(out)] = int(words[1], 16)
    return out
