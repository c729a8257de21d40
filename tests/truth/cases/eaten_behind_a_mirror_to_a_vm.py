# SPDX-License-Identifier: Apache-2.0
"""hv-a mirrors what its VM sends to the tap of another VM, which only listens. Behind the mirror, something on hv-a
eats 10 of 100 packets, and calls that no drop.

To the listening VM go copies only: all that arrived did so beside it. The 10 vanished on hv-a.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_at

LISTENER = 7


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(LISTENER, "vnet7", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        skb = host.seen(second, "dev.rx", VNET0, packet)
        host.deliver(second + 2e-6, LISTENER, packet, host.clone(skb))
        if number % 10 != 5:
            host.deliver(second + 8e-6, ETH0, packet, skb)
            fleet.into(fleet.b, second + 58e-6, packet)
        fleet.send(second + 0.001, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 >"
    return lost_at(summary, 10, "hv-a vnet0 > hv-a eth0", words=words) + arrived_at_least(summary, 90, words)
