# SPDX-License-Identifier: Apache-2.0
"""hv-b forwards port 8080 of its own address to B's port 80 (DNAT); nft drops 10 of 100 requests after that.

The others are delivered, and answered from the address that was asked. A dropped packet shows its translated address;
it is one loss, of the packet that came in.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import B, ethernet, ipv4, udp
from truth.truth import Summary, lost_at

CLIENT, OWN = "198.51.100.9", "203.0.113.7"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    for number in range(100):
        second = 1 + 0.05 * number
        before, after = (ethernet(ipv4(CLIENT, target, udp(40000, port, 64), ident=number + 1))
                         for target, port in ((OWN, 8080), (B, 80)))
        if number % 10 == 5:
            skb = host.seen(second, "dev.rx", ETH0, before)
            host.drop(second + 4e-6, ETH0, after, skb, NETFILTER, NETFILTER_DROP)
            continue
        host.through(second, ETH0, VNET0, before, then=after)
        before, after = (ethernet(ipv4(source, CLIENT, udp(port, 40000, 64), ident=number + 7001))
                         for source, port in ((B, 80), (OWN, 8080)))
        host.through(second + 0.001, VNET0, ETH0, before, then=after)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b eth0")
