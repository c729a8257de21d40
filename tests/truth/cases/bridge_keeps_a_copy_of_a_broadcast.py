# SPDX-License-Identifier: Apache-2.0
"""A asks for B by ARP; hv-a's bridge keeps a clone of each request for its own stack, which looks at it and frees it.

All 20 requests come to hv-b and to B. The clone is no step on the way to B: nothing goes from br0 to hv-b.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, lost_nothing, no_step, took

BR0 = 6


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(BR0, "br0", "bridge")
    request = ethernet(arp(1, A, B), 0x0806)
    for number in range(20):
        second = 1 + 0.3 * number
        for host, begin, own in fleet.to_all(second, request):
            host.seen(begin + 4.343e-3, "dev.rx", BR0, request, own, pkt_type=1)
            host.free(begin + 4.345e-3, BR0, request, own, pkt_type=1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + no_step(summary, "hv-a br0", "hv-b") + no_step(summary, "hv-b br0", "hv-b vnet0")
            + took(summary, "hv-a eth0", "hv-b eth0", 50, 50))
