# SPDX-License-Identifier: Apache-2.0
"""hv-a recorded 34 bytes of each packet: no ports, nothing that tells one from another. Of 100, nft drops 10.

What comes out of a VM and is dropped in the same skb is lost for certain. Of 10 others nft drops a copy for a mirror
port, in a clone, and the packet leaves.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

ETH9, SHORT = 9, 34


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.a.device(ETH9, "eth9", "phy")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet, packet_len=SHORT)
        if number % 10 == 5:
            fleet.a.drop(second + 3e-6, VNET0, packet, skb, NETFILTER, NETFILTER_DROP, packet_len=SHORT)
            continue
        if number % 10 == 7:
            fleet.a.drop(second + 3e-6, ETH9, packet, fleet.a.clone(skb), NETFILTER, NETFILTER_DROP, packet_len=SHORT)
        fleet.a.deliver(second + 8e-6, ETH0, packet, skb, packet_len=SHORT)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a vnet0", words=A)
