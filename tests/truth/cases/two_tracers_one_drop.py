# SPDX-License-Identifier: Apache-2.0
"""On hv-b both tracers run, and both record each of the 10 drops at vnet0. 10 packets are lost, not 20.
"""
import json
from pathlib import Path

from truth.bundle import ETH0, FULL_RING, RING_FULL, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    other = fleet.host("hv-b", (ETH0, "eth0", "phy"), (VNET0, "vnet0", "vnet"), boot=5000.0, tracer="drop_monitor",
                       points=("skb.drop",))
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        if number % 10 != 5:
            fleet.send(second, packet)
            continue
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        host.drop(second + 66e-6, VNET0, packet, skb)
        other.seen(second + 66.4e-6, "skb.drop", VNET0, packet, skb, location=RING_FULL, reason=FULL_RING)
    written = host.write(run_dir) / "manifest.json"
    other.manifest["devices"] = json.loads(written.read_text())["devices"]    # both read the same counters
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b vnet0") + arrived_at_least(summary, 90, A + ":40000 >")
