# SPDX-License-Identifier: Apache-2.0
"""Two equal datagrams (IP id 0) at a time, 20 us apart; nft on hv-a eats the second of each. By the clocks, what comes
to hv-b may be either. It is the first: a packet that was dropped before it left is none that arrives.

50 were dropped there, and 50 arrived; none vanished.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(50):
        second, packet = 1 + 0.1 * number, datagram(number, ident=0)
        fleet.send(second, packet)
        skb = fleet.a.seen(second + 20e-6, "dev.rx", VNET0, packet)
        fleet.a.drop(second + 22e-6, ETH0, packet, skb, NETFILTER, NETFILTER_DROP)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 50, "hv-a eth0", words=A) + arrived_at_least(summary, 50, A + ":40000 >")
