# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B; every tenth is lost on the wire. hv-a's window ends a second before hv-b's, just when a
packet has come out of A and not yet left by eth0: hv-b sees it come.

hv-a recorded all that it had to: what it did not see is no record that it lost, and the losses are certain.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, has_no_words, lost_at

END = 9.0


def make(run_dir: Path) -> None:
    fleet = talking(a={"duration": END})
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 10 == 5)
    last = datagram(100)
    fleet.a.seen(END - 4e-6, "dev.rx", VNET0, last)
    fleet.into(fleet.b, END + 54e-6, last)
    fleet.a.rows = [row for row in fleet.a.rows if row["time_ns"] <= fleet.a.monotonic(END)]
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A + ":40000 >") + has_no_words(verdict, "must have seen")
