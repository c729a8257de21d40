# SPDX-License-Identifier: Apache-2.0
"""Equal heartbeats (IP id 0), one each second, one way. hv-b's clock is 1 ms behind, within the 5 ms that NTP promises.

Of 9 heartbeats 3 are lost on the wire, and the others take 50 us. The clocks are good enough to tell which is which.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, flow_count, lost_at, took


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": -0.001})
    for host in fleet.hosts:
        host.promise(5000)
    for number in range(9):
        fleet.send(0.5 + number, datagram(number, ident=0), lose=number % 3 == 1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 3, WIRE, doubtful=True) + flow_count(summary, A + ":40000 >", 9, 9)
            + took(summary, "hv-a eth0", "hv-b eth0", 50, 50))
