# SPDX-License-Identifier: Apache-2.0
"""A asks all for B. On hv-b, which is busy, Open vSwitch's daemon takes 375 ms before it sends the question on to B's
tap, and a clone of that to the bridge's own stack. It is the packet that came in: none came unseen.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, has_no_words, lost_nothing, no_step

BR0 = 9


def make(run_dir: Path) -> None:
    fleet = talking(b={"points": (*POINTS, "ovs.upcall")})
    host = fleet.b
    host.device(BR0, "br0", "bridge")
    question = ethernet(arp(1, A, B), 0x0806)
    for number in range(3):
        second = 1 + number
        fleet.out(fleet.a, second, question)
        skb = host.seen(second + 50e-6, "dev.rx", ETH0, question)
        host.seen(second + 55e-6, "ovs.upcall", ETH0, question, skb)
        host.free(second + 60e-6, ETH0, question, skb)
        sent = second + (375e-3 if number else 75e-3)
        again = host.skb()
        clone = host.clone(again)
        host.seen(sent, "dev.tx", VNET0, question, clone)
        host.seen(sent + 10e-6, "dev.rx", BR0, question, again)
        host.free(sent + 12e-6, BR0, question, again)
        host.free(sent + 20e-6, VNET0, question, clone)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + no_step(summary, "hv-b vnet0", "hv-b br0")
            + has_no_words(verdict, "did not record"))
