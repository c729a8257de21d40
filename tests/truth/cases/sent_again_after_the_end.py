# SPDX-License-Identifier: Apache-2.0
"""hv-a stopped recording 2 s early. TCP segments (IP id 0) of the time before are lost on the wire, and sent again,
1.5 s later, when hv-a does not look any more.

The wire takes 50 us: what came 1.5 s later was not what hv-a saw.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import segment
from truth.truth import Summary, took

END = 8.0


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, packet = 3 + 0.049 * number, segment(1 + 1000 * number, 1000, 0)
        lost = number >= 80
        fleet.send(second, packet, lose=lost)
        if lost:
            fleet.send(second + 1.5, packet)
    fleet.a.forget(lambda row: row["time_ns"] >= fleet.a.monotonic(END))
    fleet.a.manifest["window"]["ended_ns"] = fleet.a.monotonic(END)
    fleet.a.manifest.update(status="partial", ended_by="records", why="it had written all that it may",
                            limits=["records"])
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return took(summary, "hv-a eth0", "hv-b eth0", 50, 50)
