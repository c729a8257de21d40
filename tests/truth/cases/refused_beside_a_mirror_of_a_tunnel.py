# SPDX-License-Identifier: Apache-2.0
"""hv-a mirrors what A sends into a tunnel, and its bridge refuses 10 of 100 packets, of which the mirror got copies.
hv-b lost some records of what came to its eth0.

What vxlan0 of hv-b handed up came out of the tunnel, not of the mirror: the mirror gets nothing but copies, and 10
packets are lost.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, in_vxlan
from truth.truth import Summary, arrived_at_least, lost_at, no_step

VXLAN0, MIRROR0 = 7, 8


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(VXLAN0, "vxlan0", "tunnel")
    fleet.a.device(MIRROR0, "mirror0", "phy")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2", ident=number + 3001)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        fleet.a.deliver(second + 1e-6, MIRROR0, packet, fleet.a.clone(skb))
        fleet.send(second + 0.02, datagram(number, B, A, port=7001), way="back")
        if number % 10 == 5:
            fleet.a.drop(second + 3e-6, VNET0, packet, skb, BRIDGE, NOT_SPECIFIED)
            continue
        fleet.a.seen(second + 4e-6, "dev.tx", VXLAN0, packet, skb)
        fleet.a.deliver(second + 8e-6, ETH0, outer, skb)
        skb = fleet.b.skb()
        if number % 10 != 7:
            fleet.b.seen(second + 58e-6, "dev.rx", ETH0, outer, skb)
        fleet.b.seen(second + 61e-6, "dev.rx", VXLAN0, packet, skb)
        fleet.b.deliver(second + 66e-6, VNET0, packet, skb)
    fleet.b.manifest["counters"]["lost"] = 10
    fleet.b.manifest["per_point"]["dev.rx"].update(lost=10, lost_per_cpu={"0": 10})
    fleet.b.counted(ETH0, rx_packets=10)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + B
    return (lost_at(summary, 10, "hv-a vnet0", words=words) + arrived_at_least(summary, 90, words)
            + no_step(summary, "hv-a mirror0", "hv-b"))
