# SPDX-License-Identifier: Apache-2.0
"""Records as lines for a person, or as JSON objects, one a line. Text is made from records, never the other way."""
import json
import time
from collections import OrderedDict
from typing import AbstractSet, Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from .. import foreign
from ..programs import fields, queues
from . import headers

# shown by the datapath tracer where it says something: not zero, and not `usual`
METADATA = (("data_len", 0), ("mark", 0), ("hash", 0), ("priority", 0), ("queue_mapping", 0), ("ip_summed", 0),
            ("pkt_type", 0), ("cloned", 0), ("users", 1), ("nr_frags", 0), ("frag_list", 0), ("gso_size", 0),
            ("gso_segs", 0), ("gso_type", 0), ("rx_ifindex", 0))
_REMEMBERED = 65536  # packets whose last metadata are kept for comparison


class Facts:
    """What turns a record's numbers into names; anything may be missing."""

    def __init__(self, host: str, points: Dict[int, str], devices: Any, namespaces: Dict[int, str],
                 reasons: Dict[int, str], symbols: Any, realtime_offset_ns: int,
                 made_up: AbstractSet[int] = frozenset(), fields: Sequence[fields.RecordedField] = ()) -> None:
        """devices: has name(netns, ifindex); symbols: has name(address) and stack(stack_id);
        realtime_offset_ns: wall clock minus monotonic clock; made_up: points whose packets have no headers yet;
        fields: those that were asked for by name."""
        self.fields = fields
        self.made_up = made_up
        self.host, self.points, self.devices, self.namespaces = host, points, devices, namespaces
        self.reasons, self.symbols, self.realtime_offset_ns = reasons, symbols, realtime_offset_ns


def _mac(address: bytes) -> str:
    return ":".join("%02x" % byte for byte in address)


def format_time(realtime_ns: int) -> str:
    """Return UTC with microseconds: 2026-11-22T11:27:51.123456Z."""
    seconds, rest = divmod(realtime_ns, 1000000000)
    return "%s.%06dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)), rest // 1000)


def describe(record: Any, facts: Facts) -> Dict[str, Any]:
    """Return one record with everything named: the object that --format json prints."""
    packet = headers.decode(record.packet[:record.packet_len], record.packet_layer, record.protocol)
    if record.vlan_present:
        packet["vlan"] = record.vlan_tci & 0xFFF
    shown = {
        "time": format_time(record.time_ns + facts.realtime_offset_ns), "host": facts.host,
        "point": facts.points[record.point], "device": facts.devices.name(record.netns, record.ifindex),
        "netns": facts.namespaces.get(record.netns, str(record.netns)),
        "process": foreign.shown(record.comm.split(b"\0")[0], "replace"), "pid": record.pid, "cpu": record.cpu,
        "len": record.len, "packet": packet, "skb": "0x%x" % record.skb, "head": "0x%x" % record.head,
    }
    if record.packet_layer == 2 and record.packet_len >= 12:
        shown["mac"] = {"src": _mac(record.packet[6:12]), "dst": _mac(record.packet[:6])}
    if record.followed:
        shown["followed"] = True
    if record.point in facts.made_up:
        shown["made_up"] = True
    shown.update((name, getattr(record, name)) for name, usual in METADATA if getattr(record, name) != usual)
    if facts.fields:
        shown["fields"] = dict(zip([one.name for one in facts.fields], fields.values(facts.fields, record)))
    if record.queue_kind:
        shown["queue"] = {"kind": queues.NAMES[record.queue_kind], "length": record.queue_len,
                          "limit": record.queue_limit, "backlog": record.queue_backlog}
    if record.reason:
        shown["reason"] = facts.reasons.get(record.reason, str(record.reason))
    if record.location:
        shown["at"] = facts.symbols.name(record.location)
    if record.stack_id >= 0:
        shown["stack"] = facts.symbols.stack(record.stack_id)
    return shown


def _endpoint(packet: Dict[str, Any], end: str) -> str:
    address, port = packet[end], packet.get(end + "_port")
    if port is None:
        return str(address)
    return "%s:%d" % ("[%s]" % address if ":" in address else address, port)


def _packet_words(packet: Dict[str, Any]) -> List[str]:
    if "src" not in packet:
        words = ["ethertype", "0x%04x" % packet["ethertype"]]
    elif packet["protocol"] == "arp":
        words = ["arp", packet["src"], ">", packet["dst"], packet["operation"]]
    else:
        words = [_endpoint(packet, "src"), ">", _endpoint(packet, "dst"), packet["protocol"]]
    for key in ("flags", "seq", "ack", "type", "code", "icmp_id", "icmp_seq", "id"):
        if key in packet:
            words.append("%s=%s" % (key, packet[key]))
    if "fragment_offset" in packet:
        words.append("fragment=%d%s" % (packet["fragment_offset"], "+" if packet["more_fragments"] else ""))
    return words


def format_packet(packet: Dict[str, Any], length: Optional[int]) -> str:
    """Return the packet's part of a line, with what a tunnel carries in brackets; length: None for an inner packet."""
    words = _packet_words(packet)
    if length is not None:
        words.append("len=%d" % length)
    if "vlan" in packet:
        words.append("vlan=%d" % packet["vlan"])
    if "inner" in packet:
        words.append("%s=%d [%s]" % (packet["tunnel"], packet["tunnel_id"], format_packet(packet["inner"], None)))
    return " ".join(words)


def format_line(shown: Dict[str, Any], metadata: bool) -> str:
    """Return the line of one described record, without its stack; metadata: as the datapath tracer shows it."""
    words = [shown["time"], shown["host"], shown["point"], shown["device"], "netns=" + shown["netns"].replace(" ", "_"),
             "%s[%d]" % (shown["process"].replace(" ", "_"), shown["pid"]), "cpu=%d" % shown["cpu"],
             format_packet(shown["packet"], shown["len"])]
    words += ["%s=%s" % (name, shown[name]) for name in ("reason", "at") if name in shown]
    if "queue" in shown:
        words.append("queue=%(kind)s:%(length)d/%(limit)d,backlog=%(backlog)d" % shown["queue"])
    words += ["%s=%s" % (name, "-" if value is None else value) for name, value in shown.get("fields", {}).items()]
    if "followed" in shown:
        words.append("followed")
    if metadata:
        words += ["%s=%d" % (name, shown[name]) for name, _usual in METADATA if name in shown]
        words += ["%s=%s" % (name, shown[name]) for name in ("skb", "head")]
    if "mac" in shown:
        words.append("mac=%(src)s > %(dst)s" % shown["mac"])
    return " ".join(words)


class _Seen(NamedTuple):
    """What is remembered of a packet."""

    values: Tuple[Any, ...]
    time_ns: int
    packet: Dict[str, Any]
    payload_hash: int
    places: Set[Tuple[int, int, int]]  # point, namespace, device


class Changes:
    """What differs between a packet's points, and how long it took from one to the next.

    An skb and its memory are used again as soon as they are free, and a free may not be seen. So a packet is the same
    one only if it is in the same skb and the same memory, has not been at this place before, and says the same of
    itself as far as nothing on its way may change that.
    """

    _COMPARED = ("len", "protocol", "vlan_tci", "vlan_present") + tuple(name for name, _usual in METADATA)
    FREED = ("skb.drop", "skb.free")
    _OWN = ("protocol", "id", "seq", "ack", "icmp_seq", "type", "code", "fragment_offset", "operation")

    def __init__(self, fields: Sequence[fields.RecordedField] = ()) -> None:
        self._fields = fields
        self.names = self._COMPARED + tuple(one.name for one in fields)
        self._last: OrderedDict[Tuple[int, int], _Seen] = OrderedDict()

    def of(self, record: Any, point: str, packet: Dict[str, Any]) -> Tuple[List[str], Optional[int]]:
        """Return e.g. (["mark 0->5"], ns) against the same packet's previous record, ns is None if there is none;
        packet: its decoded headers."""
        before, values = self.values(record, point, packet)
        if before is None:
            return [], None
        # of a field that was not there before, or is not any more, nothing is known to have changed
        return ["%s %s->%s" % (name, old, new) for name, old, new in zip(self.names, before.values, values)
                if old != new and old is not None and new is not None], record.time_ns - before.time_ns

    def values(self, record: Any, point: str, packet: Dict[str, Any]) -> Tuple[Optional[_Seen], Tuple[Any, ...]]:
        """Return the same packet's previous record, None if it has none, and the values of `names` in this one."""
        key = record.skb, record.head
        place = record.point, record.netns, record.ifindex
        values = tuple([getattr(record, name) for name in self._COMPARED] + fields.values(self._fields, record))
        innermost = packet.get("inner", packet)
        before = self._last.pop(key, None)
        if before and (place in before.places or record.time_ns < before.time_ns
                       or not self._is_same(before, innermost, record)):
            before = None
        if point not in self.FREED:
            places = before.places if before else set()
            places.add(place)
            self._last[key] = _Seen(values, record.time_ns, innermost, record.payload_hash, places)
            if len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)
        return before, values

    def _is_same(self, before: _Seen, packet: Dict[str, Any], record: Any) -> bool:
        if before.payload_hash and record.payload_hash and before.payload_hash != record.payload_hash:
            return False
        if any(before.packet.get(name) != packet.get(name) for name in self._OWN):
            return False
        if record.followed:
            return True
        # address translation changes one end
        ends = [[known.get(end + part) for part in ("", "_port")] for end in ("src", "dst")
                for known in (before.packet, packet)]
        return ends[0] == ends[1] or ends[2] == ends[3]


class Printer:
    """Writes records to a stream as they come."""

    def __init__(self, stream: Any, facts: Facts, as_json: bool, metadata: bool) -> None:
        self._stream, self._facts, self._json, self._metadata = stream, facts, as_json, metadata
        self._changes = Changes(facts.fields)

    def write(self, record: Any) -> None:
        """Write one record, in one write."""
        shown = describe(record, self._facts)
        changed, elapsed_ns = self._changes.of(record, shown["point"], shown["packet"])
        if self._json:
            if elapsed_ns is not None:
                shown["elapsed_ns"] = elapsed_ns
            self._stream.write(json.dumps(dict(shown, changed=changed) if changed and self._metadata else shown) + "\n")
            return
        line = format_line(shown, self._metadata)
        if shown.get("made_up"):
            line += " (its headers are not made yet: as its socket will make them)"
        if elapsed_ns is not None:
            line += " +%.1fus" % (elapsed_ns / 1e3)
        if changed and self._metadata:
            line += " changed: " + ", ".join(changed)
        self._stream.write("".join([line, "\n"] + ["    %s\n" % frame for frame in shown.get("stack", [])]))
