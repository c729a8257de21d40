# SPDX-License-Identifier: Apache-2.0
"""B lives on hv-b, whose tracer could not look at dev.rx, and moves to hv-c after 5 s. A's datagrams have no ids, and
their payloads cannot be compared: of two of one size, one comes to hv-b, one to hv-c, and nobody keeps hv-b's clock.

None is lost. That B lived on hv-b nothing shows but that packets came to it: what came there was no copy.
"""
from pathlib import Path

from truth.bundle import POINTS, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": POINTS[1:]})
    other = fleet.host("hv-c")
    for host in (fleet.a, other):
        host.promise(1000)
    for number in range(80):
        second = 1 + 0.1 * number
        packet = datagram(number, ident=0, size=64 + (0 if number in (34, 42) else number + 1))
        fleet.out(fleet.a, second, packet)
        if second > 5:
            fleet.into(other, second + 58e-6, packet)
            answer = datagram(number, B, A, port=7001)
            fleet.out(other, second + 0.01, answer)
            fleet.into(fleet.a, second + 0.01 + 58e-6, answer)
        else:
            fleet.b.deliver(second + 66e-6, VNET0, packet, fleet.b.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
