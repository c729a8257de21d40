# SPDX-License-Identifier: Apache-2.0
"""Three hosts' clock daemons promise 1 ms. hv-c's clock is 50 ms ahead, as packets both ways between all of them show.

Which host is wrong can be known: hv-a and hv-b agree. Latencies are right within their bounds, and hv-c is named.
"""
from pathlib import Path

from truth.fleet import talking
from truth.truth import Summary, has_doubt, lost_nothing, took


def make(run_dir: Path) -> None:
    fleet = talking()
    third = fleet.host("hv-c", skew=0.05)
    for one in (fleet.a, fleet.b):
        fleet.talk(one, third, port=5002)
    for host in fleet.hosts:
        host.promise(1000)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary) + has_doubt(summary, "hv-c", "clock")
    for one, two in (("hv-a", "hv-b"), ("hv-b", "hv-a"), ("hv-a", "hv-c"), ("hv-c", "hv-b")):
        out += took(summary, one + " eth0", two + " eth0", 50, 50)
    return out
