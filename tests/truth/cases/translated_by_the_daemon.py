# SPDX-License-Identifier: Apache-2.0
"""hv-a translates A's address by conntrack, and every packet goes up to the daemon: no sk_buff shows both addresses.

All arrive at B, under A's other address. Each is one packet, told from others by its IP id and payload.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, flows, lost_nothing

OUTSIDE = "192.168.32.110"


def make(run_dir: Path) -> None:
    fleet = talking(a={"points": (*POINTS, "ovs.upcall")})
    host = fleet.a
    fleet.send(0.5, datagram(900, B, OUTSIDE), way="back")
    for number in range(50):
        second = 1 + 0.1 * number
        before, after = (datagram(number, source, B) for source in (A, OUTSIDE))
        skb = host.seen(second, "dev.rx", VNET0, before)
        asked = [(3e-6, before, skb), (300e-6, after, host.skb())]
        for wait, packet, skb in asked if number % 2 else asked[:1]:
            host.seen(second + wait, "ovs.upcall", VNET0, packet, skb)
            host.free(second + wait + 3e-6, VNET0, packet, skb)
        host.deliver(second + 600e-6, ETH0, after, host.skb())
        fleet.into(fleet.b, second + 650e-6, after)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    twice = ["%s is said to be a flow of its own" % flow["key"] for flow in flows(summary, OUTSIDE + ":40000 >")
             if B + ":5001" in flow["key"]]
    probably = ["%d packets are said to be lost, probably" % summary["likely"]] if summary["likely"] else []
    return lost_nothing(summary) + arrived_at_least(summary, 50, A + ":40000 >") + twice + probably
