# SPDX-License-Identifier: Apache-2.0
"""A sends equal heartbeats (IP id 0), two each second, to B on hv-b; after 5 s it lives on hv-c. hv-a's clock is 1.5 ms
ahead, within the 2 ms that NTP promises; those of hv-b and hv-c agree, and packets between them show that.

Nothing is lost: what the clock of hv-c is worth says nothing about heartbeats that hv-a sent.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet(a={"skew": 0.0015})
    other = fleet.host("hv-c")
    for host, promise in ((fleet.a, 2000), (fleet.b, 300), (other, 300)):
        host.promise(promise)
    fleet.talk(fleet.b, other)
    for number in range(18):
        second, packet = 0.5 + 0.5 * number, datagram(number, ident=0)
        fleet.out(fleet.a if second < 5 else other, second, packet, payload_hash=7)
        fleet.into(fleet.b, second + 58e-6, packet, payload_hash=7)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A) + flow_count(summary, A + ":40000 >", 18, 18)
