# SPDX-License-Identifier: Apache-2.0
"""Equal datagrams (IP id 0), two at a time, 20 us apart. hv-a lost the record of how the first came in, hv-b that of
the first at its tunnel, and of the second at its uplink.

What is seen of one is not the other again: no packet took as long as from a record of one to a record of the other.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0, Bundle
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, took

VXLAN0 = 5


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.b.device(VXLAN0, "vxlan0", "tunnel")
    packet = datagram(0, ident=0)
    for number in range(50):
        for turn in range(2):
            second = 1 + 0.1 * number + 20e-6 * turn
            skb = fleet.a.skb()
            if turn:
                fleet.a.seen(second, "dev.rx", VNET0, packet, skb)
            fleet.a.deliver(second + 25e-6, ETH0, packet, skb)
            skb = fleet.b.seen(second + 100e-6, "dev.rx", (ETH0, VXLAN0)[turn], packet)
            fleet.b.deliver(second + 107e-6, VNET0, packet, skb)
    for host in (fleet.a, fleet.b):
        _lose(host, 50 * (1 if host is fleet.a else 2))
    fleet.write(run_dir)


def _lose(host: Bundle, count: int) -> None:
    """Say how many records of packets that came in a host lost."""
    host.manifest["counters"]["lost"] = count
    host.manifest["per_point"]["dev.rx"].update(lost=count, lost_per_cpu={"0": count})
    host.counted(ETH0, rx_packets=count)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary, A) + took(summary, "hv-a vnet0", "hv-a eth0", 8, 25)
            + took(summary, "hv-b eth0", "hv-b vnet0", 7, 7) + took(summary, "hv-b eth0", "hv-b vxlan0", 0, 1))
