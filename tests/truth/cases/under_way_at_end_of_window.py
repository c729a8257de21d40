# SPDX-License-Identifier: Apache-2.0
"""The wire takes 200 ms. When the window ends, 18 packets are on it: they left hv-a, and come to hv-b later.

None is lost, and they are not passed over.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking(there=0.2, back=0.2)
    for number in range(898):
        second = 1 + 0.01 * number
        fleet.send(second, datagram(number))
    for host in fleet.hosts:     # what comes later is not counted either: devices are read at the end of the window
        host.rows = [row for row in host.rows if row["time_ns"] < host.monotonic(10.0)]
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 18, A)
