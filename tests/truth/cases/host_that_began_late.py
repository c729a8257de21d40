# SPDX-License-Identifier: Apache-2.0
"""hv-b began to record 4 s late. Of the 100 packets after that, 5 are lost on the wire.

The 60 before came, too, and were delivered: they may not be called lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, has_status, lost_at

LATE = 4.0


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(160):
        second = 1 + 0.05 * number
        fleet.send(second, datagram(number), lose=number % 20 == 10 and second > LATE)
    fleet.b.forget(lambda row: row["time_ns"] < fleet.b.monotonic(LATE))
    fleet.b.manifest["window"]["late_by_ns"] = int(LATE * 1e9)
    fleet.b.manifest.update(status="partial", why="the window was set %.3f s after its start" % LATE)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 5, WIRE, words=A, doubtful=True) + has_status(summary, "hv-b", "partial")
