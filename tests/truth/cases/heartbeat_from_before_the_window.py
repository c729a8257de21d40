# SPDX-License-Identifier: Apache-2.0
"""Equal heartbeats (IP id 0), one each second, one way. Nothing tells how far the hosts' clocks are apart.

hv-a's window begins just after it sent one, which hv-b records. Of the 9 that hv-a records, one is lost on the wire:
each host saw 9, and 8 are the same.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, arrived_at_most, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": 0.3})
    for number in range(10):
        fleet.send(-20e-6 + number, datagram(number, ident=0), lose=number == 5)
    fleet.a.forget(lambda row: row["time_ns"] < fleet.a.monotonic(0))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return arrived_at_most(summary, 8, A + ":40000 >") + lost_at(summary, 1, WIRE, words=A, doubtful=True, least=0)
