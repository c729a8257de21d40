# SPDX-License-Identifier: Apache-2.0
"""hv-b has a NIC for its management, and one that is a port of the bridge that its VM is at. What A sends to B is lost
on the wire, all of it; what B sends to A arrives.

Packets of the VM come by the bridge's port, and by no other.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, framed
from truth.truth import WIRE, Summary, lost_at

BRIDGE, MANAGEMENT = 7, 8
MAC_A, MAC_B = 1, 2


def make(run_dir: Path) -> None:
    fleet = Fleet()
    for host in fleet.hosts:
        host.promise(1000)
        for device in host.manifest["devices"]:
            if device["ifindex"] in (ETH0, VNET0):
                device["master"] = BRIDGE
        host.device(BRIDGE, "br0", "bridge")
        host.device(MANAGEMENT, "eth9", "phy")
    for number in range(100):
        fleet.out(fleet.a, 1 + 0.05 * number, framed(datagram(number), MAC_B, MAC_A))
    for number in range(102):
        fleet.heard(fleet.b, 0.96 + 0.05 * number, framed(datagram(number, B, A, port=7001), MAC_A, MAC_B))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, WIRE, "hv-a eth0 > hv-b eth0", words=A + ":40000 >")
