# SPDX-License-Identifier: Apache-2.0
"""hv-b drops a clone of every packet at eth0, and of 100 packets the packet itself at vnet0 3 times. It records all.

3 packets are lost. The clones' 100 drops are no losses, whatever they are called.
"""
from pathlib import Path

from truth.bundle import ELSEWHERE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.drop(second + 60e-6, ETH0, packet, host.clone(skb), ELSEWHERE, NOT_SPECIFIED)
        host.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        if number % 40 == 15:
            host.drop(second + 66e-6, VNET0, packet, skb)
        else:
            host.free(second + 68e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 3, "hv-b vnet0") + arrived_at_least(summary, 97, A + ":40000 >")
