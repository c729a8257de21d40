# SPDX-License-Identifier: Apache-2.0
"""hv-a's ring lost the records of 30 of 300 packets, and its manifest says so. hv-b drops 10 others, and records all.

Packets that come to hv-b and never left hv-a did leave it. 10 packets are lost, at hv-b's vnet0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(300):
        second, packet = 1 + 0.02 * number, datagram(number)
        if number % 10 != 3:
            fleet.out(fleet.a, second, packet)
        if number % 30 == 7:
            skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
            fleet.b.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
            fleet.b.drop(second + 66e-6, VNET0, packet, skb)
        else:
            fleet.into(fleet.b, second + 58e-6, packet)
    counters, points = (fleet.a.manifest[name] for name in ("counters", "per_point"))
    counters["lost"] = 3 * 30
    for name in ("dev.rx", "dev.tx", "skb.free"):
        points[name].update(lost=30, lost_per_cpu={"0": 30})
    fleet.a.counted(VNET0, rx_packets=30)
    fleet.a.counted(ETH0, tx_packets=30)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b vnet0") + flow_count(summary, A + ":40000 >", 300, 300)
