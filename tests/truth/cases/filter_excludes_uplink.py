# SPDX-License-Identifier: Apache-2.0
"""hv-b's tracer was told to look at vnet0 only. Of 100 packets 10 that left hv-a never come to hv-b's vnet0.

They may have been lost on the wire, or in hv-b, or gone to another tap: nobody looked there. Lost between hv-a's eth0
and hv-b's vnet0 they may be called, not lost on the wire.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import datagram
from truth.truth import Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 10 == 5)
    fleet.b.manifest["filter"] = {"interfaces": ["vnet0"]}
    fleet.b.forget(lambda row: row["ifindex"] != VNET0)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a eth0 > hv-b vnet0", doubtful=True)
