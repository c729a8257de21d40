# SPDX-License-Identifier: Apache-2.0
"""hv-a cuts datagrams for a router VM on hv-c, which sends the fragments back to B, on hv-a, too. 10 of 100 end in
the router.

hv-c's clock seems to be 100 us early, as most packets wait on their way there. These 10 do not, and come in to hv-c
before hv-a makes them, as the clocks have it. All the same they got to hv-c, and were not lost before.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, ethernet, ipv4, udp
from truth.truth import Summary, arrived_at_most, lost_at

VNET1 = 4


def _piece(number: int, first: bool, ttl: int) -> bytes:
    """Return a fragment of a datagram."""
    data = udp(40000, 5001, 1992)
    return ethernet(ipv4(A, B, data[:1480] if first else data[1480:], ident=number + 1, ttl=ttl,
                         fragment=0 if first else 1480, more=first))


def make(run_dir: Path) -> None:
    fleet = Fleet(there=250e-6)
    fleet.a.device(VNET1, "vnet1", "vnet")
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router)
    for number in range(100):
        second, whole = 1 + 0.05 * number, datagram(number, size=1992)
        skb = fleet.a.seen(second, "dev.rx", VNET0, whole)
        for place, first in enumerate((True, False)):
            at = second + 8e-6 + 1e-6 * place
            fleet.a.deliver(at, ETH0, _piece(number, first, 64), fleet.a.skb())
            ends = number % 10 == 5
            fleet.into(router, at + (5e-6 if ends else 250e-6), _piece(number, first, 64))
            if not ends:
                fleet.out(router, at + 290e-6, _piece(number, first, 63))
                fleet.a.through(at + 348e-6, ETH0, VNET1, _piece(number, first, 63))
        fleet.a.free(second + 15e-6, VNET0, whole, skb)
        fleet.a.through(second + 0.01, VNET1, VNET0, datagram(number, B, A))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 20, "hv-c vnet0 > hv-c vnet0", words=A, doubtful=True, least=0)
            + arrived_at_most(summary, 180, A + " >"))
