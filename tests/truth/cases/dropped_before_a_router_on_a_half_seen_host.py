# SPDX-License-Identifier: Apache-2.0
"""A and C live on hv-a, the router between them is a VM on hv-b, whose tracer did not look at dev.tx. Packets come back
from hv-b with a hop less; 10 of 100 are dropped there as they come in, by nft.

That they went on to the router from there was not seen; that those which did not were copies must not be said.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

VNET1 = 4
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": ("dev.rx", "skb.drop", "skb.free")})
    for host in fleet.hosts:
        host.promise(1000)
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, (packet, routed) = 1 + 0.05 * number, (datagram(number, A, C, ttl=ttl) for ttl in (64, 63))
        fleet.out(fleet.a, second, packet)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        if number % 10 == 5:
            fleet.b.drop(second + 60e-6, ETH0, packet, skb, NETFILTER, NETFILTER_DROP)
        else:
            fleet.a.through(second + 3e-4, ETH0, VNET1, routed)
        fleet.a.through(second + 0.01, VNET1, VNET0, datagram(number, C, A))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return lost_at(summary, 10, "hv-b eth0", words=A + ":40000 >", doubtful=True) + copies
