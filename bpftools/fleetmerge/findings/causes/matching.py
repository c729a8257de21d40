# SPDX-License-Identifier: Apache-2.0
"""Whether what nftables compares fits a packet: yes, no, or None where the record does not tell."""
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .drop import Budget, Packet

Value = int | str
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, StopIteration, RecursionError)
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58, "sctp": 132}
_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
_ETHER = {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD, "vlan": 0x8100, "8021q": 0x8100}
_NFPROTO = {"ipv4": 2, "ipv6": 10}
_ICMP = {"echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
         "parameter-problem": 12}
_ICMP6 = {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "echo-request": 128, "echo-reply": 129,
          "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136}
_DSCP = {"cs0": 0, "cs1": 8, "cs2": 16, "cs3": 24, "cs4": 32, "cs5": 40, "cs6": 48, "cs7": 56, "ef": 46, "be": 0}


class Unknown(Exception):
    """The record does not tell."""


class Absent(Exception):
    """The packet has no such part, so that the rule does not fit."""


@dataclass(frozen=True)
class Place:
    """The devices that a hook knows of a packet: its way in and out; empty: it has none there, None: not known."""

    iif: str | None
    oif: str | None
    mark: bool = True      # whether the mark is still what it was when the rules began


class Met(NamedTuple):
    """A packet where rules meet it."""

    packet: Packet
    place: Place
    budget: Budget


def protocol_number(packet: Packet) -> int:
    """Return the number of the protocol that a packet carries; raises Absent of what is not IP."""
    if not packet.version or packet.protocol is None:
        raise Absent
    name = packet.protocol
    return _PROTOCOLS[name] if name in _PROTOCOLS else _number(name.rsplit("-", 1)[-1])


def fits(match: Any, met: Met, sets: Callable[[str], Any]) -> bool | None:
    """Return whether a match of nftables' JSON fits; sets: name -> its elements, raises Unknown."""
    try:
        return _compare(str(match["op"]), match["left"], match["right"], met, sets)
    except Absent:
        return False
    except (Unknown, *_MALFORMED):
        return None


def look_up(key: Any, elements: Any, met: Met) -> Any:
    """Return what a map has for a packet's key, None if nothing; raises Unknown or Absent."""
    try:
        value = _value(key, met.packet, met.place)
        met.budget.spend(len(elements))
        for left, right in elements:
            if _in(value, left, key):
                return right
        return None
    except _MALFORMED:
        raise Unknown from None


def _compare(op: str, left: Any, right: Any, met: Met, sets: Callable[[str], Any]) -> bool:
    value = _value(left, met.packet, met.place)
    if isinstance(right, str) and right.startswith("@"):
        right = {"set": sets(right[1:])}
        met.budget.spend(len(right["set"]))
    if op in ("==", "in", "!="):
        if op == "in" and _is_flags(left):
            return bool(_integer(value) & _flags(right))
        return _in(value, right, left) != (op == "!=")
    one, two = _integer(value), _integer(_symbol(right, left))
    return {"<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two}[op]


def _is_flags(left: Any) -> bool:
    return isinstance(left, dict) and left.get("payload") == {"protocol": "tcp", "field": "flags"}


def _flags(right: Any) -> int:
    return sum(_FLAGS[name] for name in ([right] if isinstance(right, str) else right))


def _in(value: Any, right: Any, left: Any) -> bool:
    """Whether a value is one of those that stand right of an operator."""
    if isinstance(right, dict):
        kind, content = next(iter(right.items()))
        return _KINDS[kind](value, content, left)
    if isinstance(right, list):
        return _in_flags(value, right, left)    # that were masked
    wanted = _symbol(right, left)
    if isinstance(value, str) and isinstance(wanted, str):
        return value.startswith(wanted[:-1]) if wanted.endswith("*") else _same_text(value, wanted)
    return bool(value == wanted)


def _in_set(value: Any, elements: Any, left: Any) -> bool:
    return any(_in(value, element, left) for element in (elements if isinstance(elements, list) else [elements]))


def _in_prefix(value: Any, prefix: Any, _left: Any) -> bool:
    network = ipaddress.ip_network((prefix["addr"], prefix["len"]), strict=False)
    return isinstance(value, str) and ipaddress.ip_address(value) in network


def _in_range(value: Any, ends: Any, left: Any) -> bool:
    low, high = (_order(_symbol(end, left)) for end in ends)
    return low <= _order(value) <= high


def _in_all(value: Any, parts: Any, left: Any) -> bool:
    return all(_in(one, other, part) for one, other, part in zip(value, parts, left["concat"], strict=True))


def _in_flags(value: Any, flags: Any, left: Any) -> bool:
    if _names(left) is not _FLAGS:
        raise Unknown
    return bool(value == _flags(flags))


# what nftables' JSON has right of an operator
_KINDS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "set": _in_set, "prefix": _in_prefix, "range": _in_range, "concat": _in_all, "|": _in_flags,
    "elem": lambda value, element, left: _in(value, element["val"], left)}


def _same_text(one: str, two: str) -> bool:
    if one.lower() == two.lower():
        return True
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(two)
    except ValueError:
        return False


def _order(value: Any) -> int:
    return value if isinstance(value, int) else int(ipaddress.ip_address(value))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unknown
    return value


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 10:
        raise Unknown
    return int(text)


def _symbol(right: Any, left: Any) -> Value:
    """Return what a name stands for where it is compared with `left`."""
    if isinstance(right, bool):
        raise Unknown
    if isinstance(right, int):
        return right
    if not isinstance(right, str):
        raise Unknown
    names = _names(left)
    if names is None:
        return right
    return names[right] if right in names else _number(right)


def _names(left: Any) -> Mapping[str, int] | None:
    """Return the names of numbers for what stands left of an operator; None if it is a text."""
    if "&" in left:
        return _names(left["&"][0])
    if "meta" in left:
        key = left["meta"]["key"]
        return {"l4proto": _PROTOCOLS, "protocol": _ETHER, "nfproto": _NFPROTO}.get(key, {}) if key not in (
            "iifname", "oifname", "iif", "oif", "pkttype") else None
    protocol, name = left["payload"]["protocol"], left["payload"]["field"]
    if name in ("saddr", "daddr"):
        return None
    special: dict[tuple[str, str], Mapping[str, int]] = {
        ("ip", "protocol"): _PROTOCOLS, ("ip6", "nexthdr"): _PROTOCOLS, ("tcp", "flags"): _FLAGS,
        ("icmp", "type"): _ICMP, ("icmpv6", "type"): _ICMP6, ("ether", "type"): _ETHER, ("ip", "dscp"): _DSCP,
        ("ip6", "dscp"): _DSCP}
    return special.get((protocol, name), {})


def _value(left: Any, packet: Packet, place: Place) -> Any:
    """Return what a packet has for what stands left of an operator."""
    if "concat" in left:
        return [_value(part, packet, place) for part in left["concat"]]
    if "&" in left:
        one, mask = left["&"]
        return _integer(_value(one, packet, place)) & _integer(_flags(mask) if isinstance(mask, list) else mask)
    if "meta" in left:
        return _meta(left["meta"]["key"], packet, place)
    if "payload" in left:
        return _payload(left["payload"]["protocol"], left["payload"]["field"], packet)
    raise Unknown


def _meta(key: str, packet: Packet, place: Place) -> Value:
    known = {"iifname": place.iif, "iif": place.iif, "oifname": place.oif, "oif": place.oif,
             "mark": packet.mark if place.mark else None,
             "protocol": {4: 0x0800, 6: 0x86DD}.get(packet.version, 0x0806 if packet.protocol == "arp" else None),
             "nfproto": {4: 2, 6: 10}.get(packet.version)}
    if key == "l4proto":
        return protocol_number(packet)
    return _told(known.get(key))


def _told(value: Value | None) -> Value:
    if value is None:
        raise Unknown
    return value


def _payload(protocol: str, name: str, packet: Packet) -> Value:
    if protocol in ("ip", "ip6"):
        return _of_ip(protocol, name, packet)
    if protocol == "ether":
        kinds = {4: 0x0800, 6: 0x86DD}
        kind = kinds.get(packet.version, 0x0806 if packet.protocol == "arp" else None)
        return _told({"saddr": packet.mac_src, "daddr": packet.mac_dst,
                      "type": kind if packet.vlan is None else None}.get(name))
    if protocol == "vlan":
        if packet.vlan is None:
            raise Absent
        return _told(packet.vlan if name == "id" else None)
    if protocol == "arp":
        raise Unknown if packet.protocol == "arp" else Absent
    return _of_transport(protocol, name, packet)


def _of_ip(protocol: str, name: str, packet: Packet) -> Value:
    if packet.version != {"ip": 4, "ip6": 6}[protocol]:
        raise Absent
    if name in ("protocol", "nexthdr"):
        return protocol_number(packet)
    dscp = None if packet.tos is None else packet.tos >> 2
    return _told({"saddr": packet.src, "daddr": packet.dst, "ttl": packet.ttl, "hoplimit": packet.ttl, "dscp": dscp,
                  "version": packet.version}.get(name))


def _of_transport(protocol: str, name: str, packet: Packet) -> Value:
    carried = protocol_number(packet)
    if protocol != "th" and _PROTOCOLS.get(protocol) != carried:
        if protocol not in _PROTOCOLS:
            raise Unknown
        raise Absent
    if packet.fragment:
        raise Unknown
    return _told({"sport": packet.src_port, "dport": packet.dst_port, "flags": packet.tcp_flags,
                  "type": packet.icmp_type, "code": packet.icmp_code}.get(name))
