# SPDX-License-Identifier: Apache-2.0
"""A sends TCP segments to B, on hv-b. The wire loses some, and one finds B's tap full; before they are sent again A has
moved to a host that is not traced, from where they come to hv-b 430 ms after the first time, with IP ids of their own.

What A sent again is no double: the one that was dropped was lost, and is no copy.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, length, segment
from truth.truth import Summary, arrived_at_least, stated_at

LOST, DROPPED, LATER = (55, 58), 57, 0.43


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(60):
        second, packet = 1 + 0.02 * number, segment(1 + 700 * number, 700, 100 + number)
        fields: dict[str, Any] = {"length": length(packet)}
        if number != DROPPED:
            fleet.send(second, packet, lose=number in LOST, **fields)
        else:
            fleet.out(fleet.a, second, packet, **fields)
            skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet, **fields)
            fleet.b.seen(second + 62e-6, "dev.tx", VNET0, packet, skb, **fields)
            fleet.b.drop(second + 63e-6, VNET0, packet, skb, **fields)
        if number in (*LOST, DROPPED):
            fleet.into(fleet.b, second + LATER, segment(1 + 700 * number, 700, 300 + number), **fields)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = stated_at(summary, 1, "hv-b vnet0") + arrived_at_least(summary, 57, A + ":40000 > " + B)
    if summary["copies_dropped"]:
        out.append("no copy was dropped; the summary says %d" % summary["copies_dropped"])
    return out
