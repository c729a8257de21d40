# SPDX-License-Identifier: Apache-2.0
"""hv-a's tracer was told to look at vnet0 only. Of 100 packets that came out of its VM, 10 are lost on the way to hv-b,
and hv-b's tap has no room for the 90 others.

They left hv-a by a device that nobody looked at: so what came to hv-b is no copy of what stayed on hv-a, and the 10 may
have been lost on hv-a.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import datagram
from truth.truth import Summary, lost_at, segments

TAP, BETWEEN = "hv-b vnet0", "hv-a vnet0 > hv-b eth0"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        if number % 10 != 5:
            skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
            host.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
            host.drop(second + 66e-6, VNET0, packet, skb)
    fleet.a.manifest["filter"] = {"interfaces": ["vnet0"]}
    fleet.a.forget(lambda row: row["ifindex"] != VNET0)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_at(summary, 100, TAP, BETWEEN, least=90)
    if sum(segment["packets"] for segment in segments(summary, *BETWEEN.split(" > "))) < 90:
        out.append("the way of what came to hv-b does not begin on hv-a")
    if "hv-a had sent" in verdict:
        out.append("nobody saw hv-a send anything")
    return out
