# SPDX-License-Identifier: Apache-2.0
"""hv-a mirrors what its VM sends to a port of its own. The bridge of hv-b floods what is for B to another VM, C, too.
All 100 packets arrive, but of every tenth hv-b lost the record of that.

What C got in its place shows that the packet had got to hv-b: it did not vanish on hv-a, behind the mirror.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, lost_nothing

C = "192.168.32.30"
MIRROR, VNET1 = 5, 6
MAC_A, MAC_B, MAC_C = 1, 2, 3


def make(run_dir: Path) -> None:
    fleet = talking()
    one, two = fleet.a, fleet.b
    one.device(MIRROR, "mirror0", "phy")
    two.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, framed(datagram(number), MAC_B, MAC_A)
        fleet.copied(second, packet, MIRROR, VNET1, recorded=number % 10 != 5)
        fleet.send(second + 0.001, framed(datagram(number, B, A), MAC_A, MAC_B), way="back")
        two.through(second + 0.002, VNET1, ETH0, framed(datagram(number, C, "192.168.32.99"), 9, MAC_C))
    two.manifest["counters"]["lost"] = 10
    two.manifest["per_point"]["dev.tx"].update(lost=10, lost_per_cpu={"0": 10})
    two.counted(VNET0, tx_packets=10)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A + ":40000 >")
