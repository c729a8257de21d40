# SPDX-License-Identifier: Apache-2.0
"""hv-a looks at what its devices send only, and lost some records of that. 20 times it sends two equal acknowledgements
into its tunnel, 4 us apart, over IPv6, where there is no IP id: of the first its record at vxlan0 is lost, of the
second that at eth0.

From vxlan0 a packet goes to eth0, never back: there is no such step.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import ethernet, in_vxlan, ipv6, tcp
from truth.truth import Summary, lost_nothing, no_step

VXLAN0 = 7


def make(run_dir: Path) -> None:
    fleet = Fleet(a={"points": ("dev.tx", "skb.drop")})
    for host in fleet.hosts:
        host.device(VXLAN0, "vxlan0", "tunnel")
    for number in range(20):
        packet = ethernet(ipv6("fd00::1", "fd00::2", tcp(1, 2, seq=5, ack=100 + number), protocol=6), 0x86DD)
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2")
        for turn in range(2):
            second = 1 + 0.1 * number + 4e-6 * turn
            fleet.a.seen(second, *(("dev.tx", VXLAN0, packet) if turn else ("dev.tx", ETH0, outer)))
            skb = fleet.b.seen(second + 50e-6, "dev.rx", ETH0, outer)
            fleet.b.seen(second + 51e-6, "dev.rx", VXLAN0, packet, skb)
            fleet.b.deliver(second + 54e-6, VNET0, packet, skb)
    fleet.a.manifest["counters"]["lost"] = 40
    fleet.a.manifest["per_point"]["dev.tx"].update(lost=40, lost_per_cpu={"0": 40})
    for device in (ETH0, VXLAN0):
        fleet.a.counted(device, tx_packets=20)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + no_step(summary, "hv-a eth0", "hv-a vxlan0")
