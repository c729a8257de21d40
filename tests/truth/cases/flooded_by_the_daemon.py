# SPDX-License-Identifier: Apache-2.0
"""hv-b's Open vSwitch floods: to its VM, to another tap, to a mirror's port, and to its own stack, which drops it.

The first packet of each flow is upcalled: the daemon sends it on in a new skb, of which the others are clones. They do
not go from one of the ports to the next. All packets arrive; a packet that B sent shows which tap is its own.
"""
from pathlib import Path

from truth.bundle import ETH0, OTHER_MAC, OTHERHOST, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_nothing, no_step

VNET9, BR0, MON0 = 9, 10, 11


def make(run_dir: Path) -> None:
    fleet = talking(b={"points": (*POINTS, "ovs.upcall")})
    host = fleet.b
    for device in ((VNET9, "vnet9", "vnet"), (BR0, "br0", "internal"), (MON0, "mon0", "other")):
        host.device(*device)
    fleet.send(0.5, datagram(900, B, A), way="back")
    for flow in range(10):
        for number in range(5):
            second = 1 + 0.1 * flow + 0.01 * number
            packet = datagram(5 * flow + number, port=6000 + flow)
            fleet.out(fleet.a, second, packet)
            skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
            if not number:
                host.seen(second + 61e-6, "ovs.upcall", ETH0, packet, skb)
                host.free(second + 64e-6, ETH0, packet, skb)
                second, skb = second + 300e-6, host.skb()
            host.deliver(second + 66e-6, MON0, packet, host.clone(skb))
            host.deliver(second + 72e-6, VNET0, packet, host.clone(skb))
            host.deliver(second + 78e-6, VNET9, packet, skb)
            own = host.clone(skb)
            host.seen(second + 90e-6, "dev.rx", BR0, packet, own)
            host.drop(second + 92e-6, BR0, packet, own, OTHER_MAC, OTHERHOST)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    ports = ("mon0", "vnet0", "vnet9", "br0")
    return lost_nothing(summary) + arrived_at_least(summary, 50, A + ":40000 >") + [
        wrong for one in ports for other in ports if one != other
        for wrong in no_step(summary, "hv-b " + one, "hv-b " + other)]
