# SPDX-License-Identifier: Apache-2.0
"""hv-a mirrors what its VM sends to a port of its own. The bridge of hv-b floods what is for B to another VM, too, one
that is silent, and whose address its device tells. All 100 packets arrive, but of every tenth hv-b lost that record.

Of these only copies were seen to go on, on both hosts. They had left hv-a all the same: none vanished there.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, lost_nothing

MIRROR, VNET1 = 5, 6
MAC_A, MAC_B = 1, 2


def make(run_dir: Path) -> None:
    fleet = talking()
    one, two = fleet.a, fleet.b
    one.device(MIRROR, "mirror0", "vnet")
    two.device(VNET1, "vnet1", "vnet")
    two.manifest["devices"][-1]["mac"] = "fe:00:00:00:00:03"
    for number in range(100):
        second, packet = 1 + 0.05 * number, framed(datagram(number), MAC_B, MAC_A)
        fleet.copied(second, packet, MIRROR, VNET1, recorded=number % 10 != 5)
        fleet.send(second + 0.001, framed(datagram(number, B, A), MAC_A, MAC_B), way="back")
    two.manifest["counters"]["lost"] = 10
    two.manifest["per_point"]["dev.tx"].update(lost=10, lost_per_cpu={"0": 10})
    two.counted(VNET0, tx_packets=10)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A + ":40000 >")
