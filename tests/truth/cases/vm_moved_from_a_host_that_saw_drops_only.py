# SPDX-License-Identifier: Apache-2.0
"""B lives on hv-b, whose tracer looks at drops only, and moves to hv-c after 5 s. Of what A sends, B's tap on hv-b
drops every fifth packet.

Those were packets, and they are lost. That B lived there nothing shows: it need not be certain; that they were copies
must not be said.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": ("skb.drop",)})
    other = fleet.host("hv-c")
    for host in fleet.hosts:
        host.promise(1000)
    for number in range(80):
        second, packet, answer = 1 + 0.1 * number, datagram(number), datagram(number, B, A, port=7001)
        fleet.out(fleet.a, second, packet)
        if second > 5:
            fleet.into(other, second + 58e-6, packet)
            fleet.out(other, second + 0.01, answer)
            fleet.into(fleet.a, second + 0.01 + 58e-6, answer)
        elif number % 5 == 2:
            fleet.b.drop(second + 66e-6, VNET0, packet, fleet.b.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return lost_at(summary, 8, "hv-b vnet0", words=A + ":40000 >", doubtful=True) + copies
