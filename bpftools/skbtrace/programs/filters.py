# SPDX-License-Identifier: Apache-2.0
"""Which packets: what the user asked for, checked, and turned into the constants of bpf/filter.h."""
import hashlib
import ipaddress
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from .. import foreign
from ..errors import InputError, option
from . import classic, expressions

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132}
_WITH_PORTS = ("tcp", "udp", "sctp")
_FAMILY_OF = {"icmp": 4, "arp": 4, "icmpv6": 6}


class Filter(NamedTuple):
    """What was asked for; None, empty or "all" where nothing was."""

    src: Optional[Network]
    dst: Optional[Network]
    protocol: Union[str, int]  # a name of PROTOCOLS, "all", "arp", or a number that has no name here
    src_port: Optional[Tuple[int, int]]
    dst_port: Optional[Tuple[int, int]]
    both_directions: bool
    interfaces: List[str]
    netns: Optional[str]
    vlan: Optional[int]
    expression: Optional[expressions.Expression]  # of the packet itself
    inner_expression: Optional[expressions.Expression]  # of what a tunnel carries


def parse_network(name: str, value: Optional[str]) -> Optional[Network]:
    """Return the address or prefix given for option `name`; raises InputError."""
    if value is None:
        return None
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise InputError("%s is %r: it must be an IPv4 or IPv6 address, or a prefix such as 192.168.32.0/24"
                         % (option(name), value)) from None


def parse_protocol(value: str) -> Union[str, int]:
    """Return the protocol's name, or its number if it has no name here; raises InputError."""
    text = str(value).lower()
    if text in PROTOCOLS or text in ("all", "arp"):
        return text
    if foreign.is_number(text) and int(text) <= 255:
        names = [name for name, number in PROTOCOLS.items() if number == int(text)]
        return names[0] if names else int(text)
    raise InputError("%s is %r: it must be all, tcp, udp, icmp, icmpv6, sctp, arp or a number from 0 to 255"
                     % (option("protocol"), value))


def parse_ports(name: str, value: Optional[str]) -> Optional[Tuple[int, int]]:
    """Return (lowest, highest) port of "443" or "8000-8080"; raises InputError."""
    if value is None:
        return None
    low, _dash, high = str(value).partition("-")
    high = high or low
    if foreign.is_number(low) and foreign.is_number(high) and 1 <= int(low) <= int(high) <= 65535:
        return int(low), int(high)
    raise InputError("%s is %r: it must be a port from 1 to 65535, or a range such as 8000-8080"
                     % (option(name), value))


def parse_vlan(value: Optional[str]) -> Optional[int]:
    """Return the VLAN id; raises InputError."""
    if value is None:
        return None
    if foreign.is_number(value) and 1 <= int(value) <= 4094:
        return int(value)
    raise InputError("%s is %r: it must be a VLAN id from 1 to 4094" % (option("vlan"), value))


def make_filter(options: Any) -> Filter:
    """Return the filter that the parsed command line asks for; raises InputError for what cannot match anything."""
    chosen = Filter(
        src=parse_network("src", options.src), dst=parse_network("dst", options.dst),
        protocol=parse_protocol(options.protocol),
        src_port=parse_ports("src-port", options.src_port), dst_port=parse_ports("dst-port", options.dst_port),
        both_directions=options.both_directions, interfaces=list(options.interface), netns=options.netns,
        vlan=parse_vlan(options.vlan),
        expression=expressions.make("filter", options.filter, options.filter_code),
        inner_expression=expressions.make("inner-filter", options.inner_filter, options.inner_filter_code))
    _check_families(chosen)
    for name, ports in (("src-port", chosen.src_port), ("dst-port", chosen.dst_port)):
        if ports and chosen.protocol not in _WITH_PORTS:
            raise InputError("%s is %s but %s is %s: a port needs tcp, udp or sctp"
                             % (option(name), format_ports(ports), option("protocol"), chosen.protocol))
    return chosen


def _check_families(chosen: Filter) -> None:
    if chosen.src and chosen.dst and chosen.src.version != chosen.dst.version:
        raise InputError("%s is %s and %s is %s: both must be IPv4 or both IPv6"
                         % (option("src"), format_network(chosen.src), option("dst"), format_network(chosen.dst)))
    wanted = _FAMILY_OF.get(str(chosen.protocol))
    for name, network in (("src", chosen.src), ("dst", chosen.dst)):
        if wanted and network and network.version != wanted:
            raise InputError("%s is %s but %s is %s: that protocol has IPv%d addresses"
                             % (option(name), format_network(network), option("protocol"), chosen.protocol, wanted))


def program_options(chosen: Filter) -> List[str]:
    """Return the options that say what the expressions were compiled to."""
    both = zip(expressions.OPTIONS, (chosen.expression, chosen.inner_expression))
    return ["--%s-code=%s" % (name, classic.text_of(expression.program)) for name, expression in both if expression]


def format_network(network: Network) -> str:
    """Return the address alone where the prefix is a single one."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def format_ports(ports: Tuple[int, int]) -> str:
    """Return "443" or "8000-8080"."""
    return "%d" % ports[0] if ports[0] == ports[1] else "%d-%d" % ports


def describe(chosen: Filter) -> Dict[str, Any]:
    """Return the filter as the manifest carries it: only what was asked for."""
    programs = "".join(program_options(chosen)).encode()
    shown = {
        "src": chosen.src and format_network(chosen.src), "dst": chosen.dst and format_network(chosen.dst),
        "protocol": None if chosen.protocol == "all" else str(chosen.protocol),
        "src_port": chosen.src_port and format_ports(chosen.src_port),
        "dst_port": chosen.dst_port and format_ports(chosen.dst_port),
        "both_directions": chosen.both_directions or None,
        "interfaces": [foreign.from_system(name) for name in chosen.interfaces] or None,
        "netns": chosen.netns and foreign.from_system(chosen.netns), "vlan": chosen.vlan,
        "filter": chosen.expression and chosen.expression.text,
        "inner_filter": chosen.inner_expression and chosen.inner_expression.text,
        # the same expression is another one where a name in it is another address
        "filter_program": hashlib.sha256(programs).hexdigest()[:12] if programs else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _words(address: bytes) -> List[str]:
    """Return an address as the words that a little- or big-endian CPU reads from the packet."""
    return ["0x%xu" % word for word in struct.unpack("=%dI" % (len(address) // 4), address)]


def _same_name(name: bytes) -> str:
    """Return C that compares a device's name, in two words, with this one; behind its end it may hold anything."""
    wanted, mask = (struct.unpack("=2Q", data.ljust(16, b"\0")) for data in (name, b"\xff" * (len(name) + 1)))
    return "(%s)" % " && ".join("((name)[%d] & 0x%xull) == 0x%xull" % (place, mask[place], wanted[place])
                                for place in range(2) if mask[place])


def defines(chosen: Filter, netns: Optional[int]) -> Dict[str, Any]:
    """Return the constants for bpf/filter.h; netns: inode of the namespace to look at, None for all."""
    constants: Dict[str, Any] = {}
    for name, network in (("SRC", chosen.src), ("DST", chosen.dst)):
        if network:
            constants["FILTER_FAMILY"] = network.version
            constants["FILTER_" + name] = ", ".join(_words(network.network_address.packed))
            constants["FILTER_%s_MASK" % name] = ", ".join(_words(network.netmask.packed))
    if chosen.protocol == "arp":
        constants["FILTER_ARP"] = 1
    elif chosen.protocol != "all":
        constants["FILTER_PROTOCOL"] = PROTOCOLS.get(str(chosen.protocol), chosen.protocol)
    for name, ports in (("SRC", chosen.src_port), ("DST", chosen.dst_port)):
        if ports:
            constants["FILTER_%s_PORT_LOW" % name], constants["FILTER_%s_PORT_HIGH" % name] = ports
    if chosen.both_directions:
        constants["FILTER_BOTH"] = 1
    if chosen.vlan is not None:
        constants["FILTER_VLAN"] = chosen.vlan
    if netns is not None:
        constants["FILTER_NETNS"] = "%uu" % netns
    if chosen.interfaces:
        names = [foreign.to_bytes(name) for name in chosen.interfaces]
        constants["FILTER_INTERFACES(name)"] = "(%s)" % " || ".join(map(_same_name, names))
    constants.update({name: classic.to_c(expression.program)
                      for name, expression in (("FILTER_EXPRESSION", chosen.expression),
                                               ("FILTER_INNER_EXPRESSION", chosen.inner_expression)) if expression})
    return constants
