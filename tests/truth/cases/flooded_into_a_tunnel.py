# SPDX-License-Identifier: Apache-2.0
"""On hv-a Open vSwitch floods what A sends: a clone goes into the tunnel, then the packet itself to a port where a
probe listens. The clone comes to hv-b; nothing came there from the probe's port, though it is the later one.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, in_vxlan
from truth.truth import Summary, arrived_at_least, has_no_words, lost_nothing, no_step

VXLAN0, PROBE = 7, 8


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(VXLAN0, "vxlan0", "tunnel")
    fleet.a.device(PROBE, "probe0", "other")
    for number in range(20):
        second = 1 + 0.1 * number
        packet = datagram(number)
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2", ident=number + 3001)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        clone = fleet.a.clone(skb)
        fleet.a.seen(second + 4e-6, "dev.tx", VXLAN0, packet, clone)
        fleet.a.deliver(second + 8e-6, ETH0, outer, clone)
        if number < 10:
            fleet.a.deliver(second + 14e-6, PROBE, packet, skb)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, outer)
        fleet.b.seen(second + 61e-6, "dev.rx", VXLAN0, packet, skb)
        fleet.b.deliver(second + 66e-6, VNET0, packet, skb)
        fleet.send(second + 0.01, datagram(number, B, A), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + arrived_at_least(summary, 20, A + ":40000 >")
            + no_step(summary, "hv-a probe0", "hv-b")
            + has_no_words(verdict, "probe0 dev.tx > hv-b") + has_no_words(verdict, "another way: "))
