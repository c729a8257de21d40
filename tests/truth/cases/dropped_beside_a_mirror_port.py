# SPDX-License-Identifier: Apache-2.0
"""hv-a mirrors what its VM sends to the port mirror0. All 50 packets of one flow to hv-b's VM, which talks itself, are
dropped on hv-a behind the mirror, and only their copies go on; another flow gets there.

That to mirror0 go copies only is to be seen: whatever arrived did so by another way.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_at

MIRROR = 5


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.a
    host.device(MIRROR, "mirror0", "veth")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, port=5001 + number % 2)
        skb = host.seen(second, "dev.rx", VNET0, packet)
        host.deliver(second + 2e-6, MIRROR, packet, host.clone(skb))
        if number % 2:
            host.drop(second + 4e-6, VNET0, packet, skb, location=NETFILTER, reason=0)
            continue
        host.deliver(second + 8e-6, ETH0, packet, skb)
        fleet.into(fleet.b, second + 58e-6, packet)
        fleet.send(second + 0.001, datagram(number, B, A), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 50, "hv-a vnet0") + arrived_at_least(summary, 50, A + ":40000 >")
