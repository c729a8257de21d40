# SPDX-License-Identifier: Apache-2.0
"""A asks for B by ARP once a second: 9 equal requests, which each host has in the same memory every time.

Both bridges flood them: a clone goes to the other port, and what came goes up to the host's own stack, which frees it.
hv-b's filter drops the clones of requests 2, 5 and 8 on their way to B. Nobody answers.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0, Skb
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, flow_count, no_step, took

BR0 = 6
HEAD = 0xFFFF88810A5C8000


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(BR0, "br0", "bridge")
    request = ethernet(arp(1, A, B), 0x0806)
    for number in range(9):
        second = 0.5 + number
        for host, came, went, begin in ((fleet.a, VNET0, ETH0, second), (fleet.b, ETH0, VNET0, second + 58e-6)):
            skb, clone = (Skb(host.skb().address, HEAD) for _ in range(2))
            host.seen(begin, "dev.rx", came, request, skb)
            if host is fleet.b and number % 3 == 2:
                host.drop(begin + 8e-6, went, request, clone, NETFILTER, NETFILTER_DROP)
            else:
                host.seen(begin + 8e-6, "dev.tx", went, request, clone)     # where it is freed, another host sees
            host.seen(begin + 20e-6, "dev.rx", BR0, request, skb, pkt_type=1)
            host.free(begin + 22e-6, BR0, request, skb, pkt_type=1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    drops = sum(loss["packets"] for loss in summary["losses"] if loss["function"] == "nf_hook_slow")
    wrong = ["%d drops are named, 3 happened" % drops] if drops != 3 else []
    return (wrong + flow_count(summary, "arp", 9, 9) + no_step(summary, "hv-a br0", "hv-a eth0")
            + no_step(summary, "hv-b br0", "hv-b vnet0") + took(summary, "hv-a vnet0", "hv-a eth0", 8, 8)
            + took(summary, "hv-a eth0", "hv-b eth0", 50, 50))
