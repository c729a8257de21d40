# SPDX-License-Identifier: Apache-2.0
"""A asks for V, which is on a host that is not traced, ten times. hv-a mirrors what A sends to a monitor VM's tap, as
it does what A sends to B on hv-b: the monitor gets copies of all, and nothing came from it.

The ten questions left by eth0; that they came to somebody who could answer nobody saw.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, arp, datagram, ethernet, framed
from truth.truth import Summary, arrived_at_most, lost_nothing

MONITOR = 4
EVERYBODY = bytes([0xFF] * 6)
V = "192.168.32.30"


def mirrored(fleet: Fleet, second: float, packet: bytes) -> None:
    skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
    fleet.a.deliver(second + 1e-6, MONITOR, packet, fleet.a.clone(skb))
    fleet.a.deliver(second + 8e-6, ETH0, packet, skb)


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.a.device(MONITOR, "monitor0", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        mirrored(fleet, second, datagram(number))
        fleet.into(fleet.b, second + 58e-6, datagram(number))
        fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
        if number % 10 == 5:
            mirrored(fleet, second + 0.02, EVERYBODY + framed(ethernet(arp(1, A, V), 0x0806), 0, 1)[6:])
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_most(summary, 0, "arp")
