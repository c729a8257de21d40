# SPDX-License-Identifier: Apache-2.0
"""hv-a has two VMs, and mirrors what one of them sends to the other to a port that leads out. hv-b routes between them:
its qdisc drops 20 of 100 packets, and the rest is lost on the wire back, so that none of the flow arrives.

What hv-b routed was for it, and no copy: those 20 must not be called copies. That what went to the port did not get any
nearer to where it should go is known from where the VM lives.
"""
from pathlib import Path

from truth.bundle import ETH0, NOT_SPECIFIED, ROUTING, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at, not_silent

MIRROR, VNET1 = 5, 6
OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(MIRROR, "mirror0", "phy")
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, A, OTHER), datagram(number, A, OTHER, ttl=63)
        host.through(second - 0.02, VNET1, ETH0, datagram(number, OTHER, "192.168.32.99", port=7001))
        skb = host.seen(second, "dev.rx", VNET0, packet)
        host.deliver(second + 2e-6, MIRROR, packet, host.clone(skb))
        host.deliver(second + 8e-6, ETH0, packet, skb)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        if number % 5 == 2:
            fleet.b.drop(second + 62e-6, ETH0, routed, skb, ROUTING, NOT_SPECIFIED)
        else:
            fleet.b.deliver(second + 66e-6, ETH0, routed, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + OTHER
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return (copies + lost_at(summary, 100, "hv-b eth0", "hv-b eth0 > hv-a eth0", words=words, doubtful=True)
            + not_silent(summary, 100, words))
