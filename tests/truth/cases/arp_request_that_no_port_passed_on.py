# SPDX-License-Identifier: Apache-2.0
"""A asks for B by ARP, once a second; hv-b's ports are isolated from each other, so its bridge passes none of the
requests on, and calls none of them a drop: its own stack gets them, and frees them.

Nothing was dropped; but no request is known to have come to B, and nobody answered.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, lost_nothing

BR0 = 6


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.b.device(BR0, "br0", "bridge")
    request = ethernet(arp(1, A, B), 0x0806)
    for number in range(8):
        fleet.out(fleet.a, 0.5 + number, request)
        skb = fleet.b.seen(0.500058 + number, "dev.rx", ETH0, request)
        fleet.b.seen(0.500062 + number, "dev.rx", BR0, request, skb, pkt_type=1)
        fleet.b.free(0.500064 + number, BR0, request, skb, pkt_type=1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary, "arp")
    asked = [(entry["kind"], entry["outcome"], entry["packets"]) for entry in summary["unanswered"]]
    if asked != [("ARP request", "ended", 8)]:
        out.append("8 ARP requests got no answer; it says %s" % asked)
    if summary["result"] != "unknown" or "of 8 questions for an address nobody can tell" not in verdict:
        out.append("it says that nothing was lost, though no request is known to have come to B")
    return out
