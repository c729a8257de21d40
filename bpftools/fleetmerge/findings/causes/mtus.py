# SPDX-License-Identifier: Apache-2.0
"""Drops of what was too large for the way on and may not be fragmented.

What a host sends has to fit the path MTU that it has learnt of the way, and else the MTU of the device that it leaves
by. For what it routes a path MTU counts only with net.ipv4.ip_forward_use_pmtu (ip_dst_mtu_maybe_forward in
include/net/ip.h).
"""
from ...bundle.evidence import Reading
from .cached import Learnt, learnt
from .drop import Candidate, Drop, Packet
from .hooks import plain
from .routes import route_of

_FORWARD = ("ip_forward", "ip6_forward")
_OWN = ("ip_fragment", "ip6_fragment")
_NO_REASON = (None, "NOT_SPECIFIED")


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the MTU, of a device or of a path, that is too small for these packets; None if that is not why they were
    dropped."""
    own = plain(drop.function) in _OWN and drop.reason in (*_NO_REASON, "PKT_TOO_BIG")
    if not own and (drop.reason != "PKT_TOO_BIG" or plain(drop.function) not in _FORWARD):
        return None
    found: dict[str, Candidate] = {}
    for packet in drop.packets:
        drop.budget.spend(len(reading.rows("routes")) + len(reading.rows("routes6")))
        one = None if own and packet.received else _of_packet(packet, reading)    # what is routed came there whole
        if one is None:
            return []
        found[one.what] = one
    return list(found.values())


def _of_packet(packet: Packet, reading: Reading) -> Candidate | None:
    """Return the one MTU that a packet does not fit."""
    route = route_of(packet, reading)
    if route is None or packet.dst is None or "nexthops" in route or route.get("metrics"):
        return None
    device = str(route.get("dev"))
    mtu = mtu_of(device, reading)
    path = learnt(packet.dst, route, reading)
    if mtu is None or (path and path.mtu and not packet.longest):
        return None
    if path and path.mtu < packet.shortest and packet.longest <= mtu:
        return _of_path(path, packet, mtu, path.is_like(learnt(packet.dst, route, reading, "before")))
    if packet.longest and packet.shortest <= mtu:
        return None
    return Candidate("mtu", "the MTU of %s, %d bytes" % (device, mtu), {"device": device, "mtu": mtu}, evaluated=True,
                     by="packets to %s leave by it" % packet.dst, unchanged=mtu_of(device, reading, "before") == mtu)


def _of_path(path: Learnt, packet: Packet, mtu: int, unchanged: bool) -> Candidate | None:
    if not path.mtu:
        return None
    return Candidate("cached-route", path.words, path.where(), evaluated=True, unchanged=unchanged,
                     by="it was learnt by ICMP, these have %s bytes, and %s takes %d" % (
                         packet.shortest if packet.shortest == packet.longest else "%d to %d" % (
                             packet.shortest, packet.longest), path.device, mtu))


def mtu_of(device: str, reading: Reading, when: str = "after") -> int | None:
    """Return the MTU of a device, in bytes; None if nothing tells it."""
    found = [row.get("mtu") for row in reading.rows("links", when) if row.get("ifname") == device]
    return found[0] if len(found) == 1 and isinstance(found[0], int) and 0 < found[0] < 1 << 32 else None
