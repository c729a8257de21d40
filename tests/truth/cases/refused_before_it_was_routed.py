# SPDX-License-Identifier: Apache-2.0
"""VM A sends datagrams to B, on hv-b, by a router VM on a host that is not traced; it cuts each into two. The switch
floods to hv-b, too, what A sends to the router, and hv-b's bridge refuses that.

What it refused was not for it, though B lives there, and others of the flow come over it: they have a hop less left.
None was lost.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, B, datagram, ethernet, ipv4, udp
from truth.truth import Summary, arrived_at_least, lost_nothing


def _piece(number: int, first: bool) -> bytes:
    """Return a fragment of a datagram, behind the router."""
    data = udp(40000, 5001, 1992)
    return ethernet(ipv4(A, B, data[:1480] if first else data[1480:], ident=number + 1, ttl=63,
                         fragment=0 if first else 1480, more=first))


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, whole = 1 + 0.05 * number, datagram(number, size=1992)
        fleet.out(fleet.a, second, whole)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, whole)
        fleet.b.drop(second + 60e-6, ETH0, whole, skb, BRIDGE, NOT_SPECIFIED)
        for first in (True, False):
            fleet.into(fleet.b, second + 300e-6 + 1e-6 * (not first), _piece(number, first))
        fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 100, A + ":40000 >")
