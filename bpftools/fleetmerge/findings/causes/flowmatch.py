# SPDX-License-Identifier: Apache-2.0
"""Whether an OpenFlow match, as Open vSwitch prints it (ovs-fields(7)), fits a packet: yes, no, or None where the
record does not tell. Where it came in is not asked here.
"""
import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from .drop import Packet

# what is the same for all packets that come here, or by one tunnel, of which each is traced; and a tag's priority,
# which records do not have and rules hardly ask for
_NOT_ASKED = ("eth", "recirc_id", "dp_hash", "in_port", "packet_type", "skb_priority", "dl_vlan_pcp", "vlan_tci1")
_TUNNEL = "tun_"
_PROTOCOLS = {"ip": (4, None), "ipv6": (6, None), "tcp": (4, "tcp"), "udp": (4, "udp"), "sctp": (4, "sctp"),
              "icmp": (4, "icmp"), "tcp6": (6, "tcp"), "udp6": (6, "udp"), "sctp6": (6, "sctp"), "icmp6": (6, "icmpv6")}
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}
_PRESENT = 0x1000    # of a VLAN tag, in OpenFlow


@lru_cache(maxsize=4096)
def fields_of(match: str) -> Mapping[str, str]:
    """Return the fields of a match; a protocol has no value."""
    return MappingProxyType({name: value for name, _, value in (
        word.strip().partition("=") for word in match.split(",")) if name})


def packet_of(flow: str) -> Packet:
    """Return the packet that a flow was written of (skbtrace/host/openflow.py); raises ValueError."""
    known = fields_of(flow)

    def text(*names: str) -> str | None:
        return next((known[name] for name in names if name in known), None)

    def number(*names: str) -> int | None:
        value = text(*names)
        return None if value is None else int(value, 0)

    version, protocol = next((found for name, found in _PROTOCOLS.items() if name in known), (0, None))
    if protocol is None:
        carried = number("nw_proto")
        protocol = "arp" if "arp" in known else next((name for name, one in _NUMBERS.items() if one == carried), None)
    tos, ecn = number("nw_tos"), number("nw_ecn")
    return Packet(
        1, version, protocol, text("nw_src", "ipv6_src", "arp_spa"), text("nw_dst", "ipv6_dst", "arp_tpa"),
        number("tcp_src", "udp_src", "sctp_src"), number("tcp_dst", "udp_dst", "sctp_dst"),
        icmp_type=number("icmp_type", "icmpv6_type"), icmp_code=number("icmp_code", "icmpv6_code"),
        ttl=number("nw_ttl"), tos=None if tos is None else tos | (ecn or 0), mark=number("pkt_mark") or 0,
        vlan=number("dl_vlan"), fragment=known.get("nw_frag") == "later",
        first=known.get("nw_frag") == "first", mac_src=known.get("dl_src"),
        mac_dst=known.get("dl_dst"))


def fits(match: str, packet: Packet) -> bool | None:
    """Return whether all of a match fits a packet; None: as far as can be told it does."""
    told = [_fits(name, value, packet) for name, value in fields_of(match).items()
            if name not in _NOT_ASKED and not name.startswith(_TUNNEL)]
    return False if False in told else None if None in told else True


def _fits(name: str, value: str, packet: Packet) -> bool | None:
    if name in _PROTOCOLS and not value:
        version, protocol = _PROTOCOLS[name]
        return packet.version == version and protocol in (None, packet.protocol)
    if name == "arp" and not value:
        return packet.protocol == "arp"
    try:
        return _VALUES[name](value, packet)
    except (KeyError, ValueError):    # a field that no record has, or a value that nobody prints
        return None


def _number(get: Callable[[Packet], int | None]) -> Callable[[str, Packet], bool | None]:
    def compare(value: str, packet: Packet) -> bool | None:
        own = get(packet)
        if own is None:
            return None
        wanted, _, mask = value.partition("/")
        bits = int(mask, 0) if mask else -1
        return own & bits == int(wanted, 0) & bits
    return compare


def _address(get: Callable[[Packet], str | None], arp: bool = False) -> Callable[[str, Packet], bool | None]:
    def compare(value: str, packet: Packet) -> bool | None:
        own = get(packet)
        if (packet.protocol == "arp") != arp:
            return False
        if own is None:
            return None
        wanted, _, mask = value.partition("/")
        one, two = int(ipaddress.ip_address(own)), ipaddress.ip_address(wanted)
        if not mask.isdigit():
            bits = int(ipaddress.ip_address(mask)) if mask else (1 << two.max_prefixlen) - 1
        else:
            bits = (1 << two.max_prefixlen) - (1 << two.max_prefixlen - int(mask))
        return one & bits == int(two) & bits
    return compare


def _mac(get: Callable[[Packet], str | None]) -> Callable[[str, Packet], bool | None]:
    def compare(value: str, packet: Packet) -> bool | None:
        own = get(packet)
        if own is None:
            return None
        wanted, _, mask = value.partition("/")
        bits = int(mask.replace(":", ""), 16) if mask else -1
        return int(own.replace(":", ""), 16) & bits == int(wanted.replace(":", ""), 16) & bits
    return compare


def _tag(value: str, packet: Packet) -> bool | None:
    """Compare a tag but for its priority."""
    wanted, _, mask = value.partition("/")
    bits = int(mask, 0) if mask else 0xFFFF
    own = 0 if packet.vlan is None else _PRESENT | packet.vlan
    return own & bits & 0x1FFF == int(wanted, 0) & bits & 0x1FFF


def _vlan(value: str, packet: Packet) -> bool | None:
    return False if packet.vlan is None else _number(lambda packet: packet.vlan)(value, packet)


def _fragment(value: str, packet: Packet) -> bool | None:
    own = "later" if packet.fragment else "first" if packet.first else "no"
    return {"yes": own != "no", "not_later": own != "later"}.get(value, own == value)


def _port(end: str) -> Callable[[str, Packet], bool | None]:
    def get(packet: Packet) -> int | None:
        own: int | None = getattr(packet, end)
        return own
    return _number(get)


_VALUES: Mapping[str, Callable[[str, Packet], bool | None]] = {
    "dl_src": _mac(lambda packet: packet.mac_src), "dl_dst": _mac(lambda packet: packet.mac_dst),
    "dl_vlan": _vlan, "vlan_tci": _tag,
    "dl_type": _number(lambda packet: {4: 0x0800, 6: 0x86DD}.get(packet.version,
                                                                0x0806 if packet.protocol == "arp" else None)),
    "nw_src": _address(lambda packet: packet.src), "nw_dst": _address(lambda packet: packet.dst),
    "ipv6_src": _address(lambda packet: packet.src), "ipv6_dst": _address(lambda packet: packet.dst),
    "arp_spa": _address(lambda packet: packet.src, arp=True), "arp_tpa": _address(lambda packet: packet.dst, arp=True),
    "nw_proto": _number(lambda packet: _NUMBERS.get(packet.protocol or "")),
    "nw_tos": _number(lambda packet: None if packet.tos is None else packet.tos & 0xFC),
    "nw_ecn": _number(lambda packet: None if packet.tos is None else packet.tos & 3),
    "nw_ttl": _number(lambda packet: packet.ttl), "nw_frag": _fragment, "pkt_mark": _number(lambda packet: packet.mark),
    "icmp_type": _number(lambda packet: packet.icmp_type), "icmp_code": _number(lambda packet: packet.icmp_code),
    "icmpv6_type": _number(lambda packet: packet.icmp_type), "icmpv6_code": _number(lambda packet: packet.icmp_code),
    **{name: _port(end) for end in ("src_port", "dst_port")
       for name in ("%s_%s" % (kind, end[:3]) for kind in ("tp", "tcp", "udp", "sctp"))},
}
