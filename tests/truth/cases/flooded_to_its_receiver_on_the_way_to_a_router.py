# SPDX-License-Identifier: Apache-2.0
"""A sends 50 datagrams to B by way of the router R, a VM beside B on hv-b. The bridge there floods the frames, which
are for R's MAC address: B's tap takes a copy, which B throws away; R's tap has no room. All 50 are lost there.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_most, lost_at

R = "192.168.32.1"
VNET1 = 4
MAC_A, MAC_B, MAC_R = 1, 2, 5


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.b
    host.device(VNET1, "vnet1", "vnet")
    for number in range(50):
        second = 1 + 0.1 * number
        fleet.send(second + 0.03, framed(datagram(number, B, A, port=53), MAC_A, MAC_B), way="back")
        fleet.send(second + 0.06, framed(datagram(number, A, B, port=53), MAC_B, MAC_A))
        fleet.heard(host, second + 0.09, framed(datagram(number, R, A), MAC_A, MAC_R), VNET1)
        packet = framed(datagram(number), MAC_R, MAC_A)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.deliver(second + 63e-6, VNET0, packet, host.clone(skb))
        host.seen(second + 65e-6, "dev.tx", VNET1, packet, skb)
        host.drop(second + 66e-6, VNET1, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 50, "hv-b vnet1") + arrived_at_most(summary, 0, A + ":40000 > 192.168.32.20:5001")
