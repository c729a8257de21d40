# SPDX-License-Identifier: Apache-2.0
"""Drops of what was too large for the way on and may not be fragmented.

What a host routes has to fit the MTU of the device that it leaves by; a path MTU that the host itself has learnt counts
for that only with net.ipv4.ip_forward_use_pmtu (ip_dst_mtu_maybe_forward in include/net/ip.h).
"""
from ...bundle.evidence import Reading
from .drop import Candidate, Drop
from .hooks import plain
from .routes import route_of

_FORWARD = ("ip_forward", "ip6_forward")


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the device whose MTU is too small for these packets; None if that is not why they were dropped."""
    if drop.reason != "PKT_TOO_BIG" or plain(drop.function) not in _FORWARD:
        return None
    found: dict[str, Candidate] = {}
    for packet in drop.packets:
        drop.budget.spend(len(reading.rows("routes")) + len(reading.rows("routes6")))
        route = route_of(packet, reading)
        if route is None or "nexthops" in route or route.get("metrics"):
            return []
        device = str(route.get("dev"))
        mtu = _mtu(reading, device, "after")
        if mtu is None:
            return []
        found[device] = Candidate("mtu", "the MTU of %s, %d bytes" % (device, mtu), {"device": device, "mtu": mtu},
                                  evaluated=True, by="packets to %s leave by it" % packet.dst,
                                  unchanged=_mtu(reading, device, "before") == mtu)
    return list(found.values())


def _mtu(reading: Reading, device: str, when: str) -> int | None:
    found = [row.get("mtu") for row in reading.rows("links", when) if row.get("ifname") == device]
    return found[0] if len(found) == 1 and isinstance(found[0], int) and 0 < found[0] < 1 << 32 else None
