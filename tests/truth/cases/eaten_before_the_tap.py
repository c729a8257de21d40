# SPDX-License-Identifier: Apache-2.0
"""hv-b floods to its VM and to another port; nft eats all of one flow before the VM's tap has it.

The other port gets the skb that the packet came in, the VM's tap a clone. No packet of that flow ever arrived; from
others it is known where B lives. All 20 were dropped there, and the 20 of the other flow arrived.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_at

MON0 = 11


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(MON0, "mon0", "other")
    for number in range(40):
        second, packet = 1 + 0.1 * number, datagram(number, port=6001 + number % 2)
        fleet.send(second - 0.05, datagram(900 + number, B, A), way="back")
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        if number % 2:
            host.drop(second + 60e-6, VNET0, packet, host.clone(skb), NETFILTER, NETFILTER_DROP)
        else:
            host.deliver(second + 60e-6, VNET0, packet, host.clone(skb))
        host.deliver(second + 66e-6, MON0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 20, "hv-b vnet0", words=":6002") + arrived_at_least(summary, 20, B + ":6001")
