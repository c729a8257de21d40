# SPDX-License-Identifier: Apache-2.0
"""How far a flow is from a filter: which of the filter's fields it does not have.

A flow is a dict with the keys of show/headers.py's packets. It is compared as it is and, where a tunnel carries it, by
what is inside; forth and back; so that what is told is the least that would have to be corrected.
"""
import ipaddress
from typing import Any, Dict, List, NamedTuple, Tuple

from .. import foreign
from .filters import PROTOCOLS, Filter, Network

# what may differ -> how much that counts: the filter's fields, and three that are none. An address is worth most: who
# knows two packets by their addresses alone knows more than by all the rest.
WEIGHTS = {"src": 8, "dst": 8, "protocol": 4, "src_port": 4, "dst_port": 4, "no_ports": 4, "vlan": 2, "interfaces": 2,
           "netns": 2, "direction": 1, "ports": 1}
_ENDS = ("src", "dst")


class Nearness(NamedTuple):
    """The distance of a flow: `differs` are keys of WEIGHTS."""

    differs: List[str]
    inside: bool      # what a tunnel carries was compared
    distance: int
    alike: int        # bits with which the addresses that differ begin like those that are asked for

    def order(self) -> Tuple[int, int]:
        """Return what the nearest has least of."""
        return self.distance, -self.alike


def of(flow: Dict[str, Any], chosen: Filter, is_namespace: bool) -> Nearness:
    """Return how far a flow is; is_namespace: whether it was seen in the namespace that the filter names, if any.

    Of the filter's expressions nothing is said.
    """
    place = [] if is_namespace else ["netns"]
    if chosen.interfaces and flow["device"] not in [foreign.shown(foreign.to_bytes(one)) for one in chosen.interfaces]:
        place.append("interfaces")
    packets = [(flow, False)] + ([(flow["inner"], True)] if "inner" in flow else [])
    found = [_one(packet, chosen, inside, order, place) for packet, inside in packets for order in _orders(chosen)]
    return min(found, key=Nearness.order)


def _orders(chosen: Filter) -> List[Tuple[bool, bool, List[str]]]:
    """Return (addresses exchanged, ports exchanged, what that differs), what is most usual first."""
    back = [] if chosen.both_directions else ["direction"]
    return [(False, False, []), (True, True, back), (True, False, back or ["ports"]), (False, True, ["ports"])]


def _one(packet: Dict[str, Any], chosen: Filter, inside: bool, order: Tuple[bool, bool, List[str]],
         place: List[str]) -> Nearness:
    addresses_back, ports_back, exchanged = order
    differs, alike = [], 0
    for name, wanted, network in zip(_ENDS, _turned(addresses_back), (chosen.src, chosen.dst)):
        if network and packet.get(wanted) is None:
            differs.append(name)
        elif network and ipaddress.ip_address(packet[wanted]) not in network:
            differs.append(name)
            alike += _alike(ipaddress.ip_address(packet[wanted]), network)
    differs += _transport(packet, chosen, ports_back)
    if chosen.vlan is not None and packet.get("vlan") != chosen.vlan:
        differs.append("vlan")
    differs += exchanged + place
    return Nearness(differs, inside, sum(WEIGHTS[name] for name in differs), alike)


def _turned(back: bool) -> Tuple[str, ...]:
    return _ENDS[::-1] if back else _ENDS


def _alike(address: Any, network: Network) -> int:
    if address.version != network.version:
        return 0
    return int(address.max_prefixlen) - (int(address) ^ int(network.network_address)).bit_length()


def _transport(packet: Dict[str, Any], chosen: Filter, back: bool) -> List[str]:
    wanted = chosen.protocol if chosen.protocol in PROTOCOLS or chosen.protocol == "arp" else \
        "ip-protocol-%s" % chosen.protocol
    differs = ["protocol"] if chosen.protocol != "all" and packet.get("protocol") != wanted else []
    for name, end, asked in zip(_ENDS, _turned(back), (chosen.src_port, chosen.dst_port)):
        port = packet.get(end + "_port")
        if asked and port is None:
            return differs + ["no_ports"]
        if asked and port is not None and not asked[0] <= port <= asked[1]:
            differs.append(name + "_port")
    return differs
