# SPDX-License-Identifier: Apache-2.0
"""hv-c was asked to trace and could not be reached. A's packets to C, which lives there, leave hv-a; no more is seen.

All are delivered. hv-c is named as missing, the packets are not passed over, and none is called lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, has_status, has_words, lost_nothing, not_silent

C = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        fleet.out(fleet.a, 1 + 0.05 * number, datagram(number, A, C))
        fleet.into(fleet.a, 1.001 + 0.05 * number, datagram(number, C, A))
    hosts: dict[str, dict[str, object]] = {host: {"tracers": ["datapath_tracing"]} for host in ("hv-a", "hv-b", "hv-c")}
    hosts["hv-c"]["why"] = "unreachable: no route to host"
    fleet.write(run_dir, outcome={"hosts": hosts})


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + not_silent(summary, 100, A + ":40000 > " + C)
            + has_status(summary, "hv-c", "missing") + has_words(verdict, "hv-c"))
