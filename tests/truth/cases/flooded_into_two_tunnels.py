# SPDX-License-Identifier: Apache-2.0
"""hv-a does not know where B is, and floods what A sends into its tunnels to hv-b and hv-c. The one to hv-b is lost on
the wire, each time; the other one is dropped by a filter of hv-c.

That it came to hv-c through a tunnel does not make it the packet: B lives on hv-b. What hv-c dropped were copies.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, in_vxlan
from truth.truth import WIRE, Summary, lost_at, not_silent

VXLAN0 = 7


def make(run_dir: Path) -> None:
    fleet = talking()
    other = fleet.host("hv-c")
    fleet.talk(fleet.a, other, port=5002)
    for one in fleet.hosts:
        one.device(VXLAN0, "vxlan0", "tunnel")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        fleet.a.seen(second + 4e-6, "dev.tx", VXLAN0, packet, skb)
        for delay, copy, end in ((8e-6, fleet.a.clone(skb), "10.0.0.2"), (9e-6, skb, "10.0.0.3")):
            outer = in_vxlan(packet, 42, "10.0.0.1", end, ident=number + 3001)
            fleet.a.deliver(second + delay, ETH0, outer, copy)
        skb = other.seen(second + 58e-6, "dev.rx", ETH0, outer)
        other.drop(second + 60e-6, ETH0, outer, skb, NETFILTER, NETFILTER_DROP)
        fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, WIRE, words=A + ":40000 >", doubtful=True) + not_silent(summary, 100, A + ":40000 >")
