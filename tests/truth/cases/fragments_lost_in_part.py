# SPDX-License-Identifier: Apache-2.0
"""hv-a cuts datagrams of 4,000 bytes into three fragments; hv-b joins them. Of 10 of 100 the last one is lost.

hv-b keeps the other two, and waits, longer than the window. 10 datagrams do not arrive: lost on the wire, nowhere
else.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, ethernet, ipv4, udp
from truth.truth import WIRE, Summary, arrived_at_most, lost_at


def _pieces(number: int) -> list[bytes]:
    """Return the fragments of a datagram."""
    data = udp(40000, 5001, 3992)
    return [ethernet(ipv4(A, B, data[offset:offset + 1480], ident=number + 1, fragment=offset,
                          more=offset + 1480 < len(data))) for offset in range(0, len(data), 1480)]


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, whole = 1 + 0.05 * number, datagram(number, size=3992)
        skb = fleet.a.seen(second, "dev.rx", VNET0, whole)
        for place, piece in enumerate(_pieces(number)):
            fleet.a.deliver(second + 8e-6 + 1e-6 * place, ETH0, piece, fleet.a.skb())
        fleet.a.free(second + 15e-6, ETH0, whole, skb)
        lost = number % 10 == 5
        came = [fleet.b.seen(second + 60e-6 + 1e-6 * place, "dev.rx", ETH0, piece)
                for place, piece in enumerate(_pieces(number)[:2 if lost else 3])]
        if not lost:
            fleet.b.deliver(second + 75e-6, VNET0, whole, came[0], frag_list=1, data_len=3000)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A, doubtful=True) + arrived_at_most(summary, 90, A + ":40000 >")
