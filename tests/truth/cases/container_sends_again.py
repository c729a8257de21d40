# SPDX-License-Identifier: Apache-2.0
"""A container of hv-a sends TCP to B. Ten of its segments are thrown away, unseen, between hv-a's bridge and its eth0.

It sends them again out of the same data, as the kernel's TCP does, in another sk_buff, under another IP id. That is no
second branch of the first ones, which never left.
"""
from pathlib import Path

from truth.bundle import ETH0, Skb
from truth.fleet import talking
from truth.packets import A, B, segment
from truth.truth import Summary, arrived_at_most, sent_again

VETH, TUNNEL = 8, 9


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VETH, "veth8", "veth")
    host.device(TUNNEL, "vxlan0", "tunnel")
    for number in range(100):
        second, first = 1 + 0.05 * number, host.skb()
        for again in range(1 + (number % 10 == 5)):
            packet = segment(1 + 1000 * number, 1000, 1 + 2 * number + again, A, B)
            at, skb = second + 2e-4 * again, Skb(host.skb().address, first.head)
            host.seen(at, "dev.rx", VETH, packet, skb)
            host.seen(at + 4e-6, "dev.tx", TUNNEL, packet, skb)
            if number % 10 != 5 or again:
                host.deliver(at + 8e-6, ETH0, packet, skb)
                fleet.into(fleet.b, at + 60e-6, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 10, A + ":40000 >") + arrived_at_most(summary, 100, A + ":40000 >")
