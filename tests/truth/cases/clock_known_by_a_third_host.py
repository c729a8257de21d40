# SPDX-License-Identifier: Apache-2.0
"""hv-a sends to hv-b, one way, with no clock daemon; both talk with hv-c both ways. hv-b's clock is 300 ms behind.

By way of hv-c, hv-a and hv-b can be compared. The wire takes 50 us; 3 of 200 packets are lost on it.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, lost_at, took


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": -0.3})
    third = fleet.host("hv-c")
    for one in (fleet.a, fleet.b):
        fleet.talk(one, third, port=5002)
    for number in range(200):
        fleet.send(1 + 0.04 * number, datagram(number), lose=number in (50, 51, 120))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 3, WIRE, words=A) + took(summary, "hv-a eth0", "hv-b eth0", 50, 50)
