# SPDX-License-Identifier: Apache-2.0
"""A and C live on hv-a; the router between them is a VM behind hv-b's vnet0, whose ring is full for all that A sends.

All 100 are lost there. That the VM is a router nothing shows: it need not be certain, but that they were copies, whose
drop is no loss, must not be said.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

VNET1 = 4
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, A, C)
        fleet.out(fleet.a, second, packet)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        fleet.b.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        fleet.b.drop(second + 66e-6, VNET0, packet, skb)
        fleet.a.through(second + 0.01, VNET1, VNET0, datagram(number, C, A))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return lost_at(summary, 100, "hv-b vnet0", words=A + ":40000 >", doubtful=True) + copies
