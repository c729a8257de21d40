# SPDX-License-Identifier: Apache-2.0
"""A and C live on hv-a, the router between them is a VM on hv-b. hv-a's tracer was told to look at the VMs' taps only;
the router's ring is full for 10 of 100.

Of those the way from hv-a's tap to hv-b was not seen: what was dropped is the packet all the same, and no copy.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

VNET1 = 4
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = Fleet()
    for host in fleet.hosts:
        host.promise(1000)
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, (packet, routed) = 1 + 0.05 * number, (datagram(number, A, C, ttl=ttl) for ttl in (64, 63))
        fleet.out(fleet.a, second, packet)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        fleet.b.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        if number % 10 == 5:
            fleet.b.drop(second + 66e-6, VNET0, packet, skb)
        else:
            fleet.b.free(second + 68e-6, VNET0, packet, skb)
            fleet.b.through(second + 90e-6, VNET0, ETH0, routed)
            fleet.a.through(second + 2e-4, ETH0, VNET1, routed)
        fleet.a.through(second + 0.01, VNET1, VNET0, datagram(number, C, A))
    fleet.a.manifest["filter"] = {"interfaces": ["vnet0", "vnet1"]}
    fleet.a.forget(lambda row: row["ifindex"] == ETH0)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return lost_at(summary, 10, "hv-b vnet0", words=A + ":40000 >", doubtful=True) + copies
