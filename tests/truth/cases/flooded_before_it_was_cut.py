# SPDX-License-Identifier: Apache-2.0
"""hv-a's bridge does not know where B lives: it floods each datagram of 4,000 bytes to the tap of another VM,
whose ring is full for 10 of 100, and cuts the packet itself into fragments, of which all arrive.

What was dropped were copies: no packet was lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, ethernet, ipv4, udp
from truth.truth import Summary, lost_nothing

VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    data = udp(40000, 5001, 3992)
    for number in range(100):
        second, whole = 1 + 0.05 * number, datagram(number, size=3992)
        skb = host.seen(second, "dev.rx", VNET0, whole)
        if number % 10 == 5:
            copy = host.clone(skb)
            host.seen(second + 4e-6, "dev.tx", VNET1, whole, copy)
            host.drop(second + 5e-6, VNET1, whole, copy)
        for place, offset in enumerate(range(0, len(data), 1480)):
            piece = ethernet(ipv4(A, B, data[offset:offset + 1480], ident=number + 1, fragment=offset,
                                  more=offset + 1480 < len(data)))
            at = second + 8e-6 + 1e-6 * place
            host.deliver(at, ETH0, piece, host.skb())
            fleet.into(fleet.b, at + 50e-6, piece)
        host.free(second + 15e-6, ETH0, whole, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A)
