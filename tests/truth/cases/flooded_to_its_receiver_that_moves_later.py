# SPDX-License-Identifier: Apache-2.0
"""A and V, VMs of hv-a, talk by a router on a host that is not traced. hv-a's bridge floods what is for the router: V
gets a copy before it is routed. The queue of hv-a's eth0 drops 10 of the first 100 packets. Then V moves away, and what
it sends comes in by eth0.

That V's address came out of two devices, one after the other, does not make V nobody: the copies were not for it, and
10 packets are lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram, framed
from truth.truth import Summary, lost_at

VNET1 = 6
V = "192.168.32.30"
MAC_A, MAC_V, MAC_R = 1, 3, 9


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    for number in range(150):
        second, moved = 1 + 0.05 * number, number >= 100
        there, routed = (datagram(number, A, V, ttl=ttl) for ttl in (64, 63))
        skb = host.seen(second, "dev.rx", VNET0, framed(there, MAC_R, MAC_A))
        if not moved:
            host.deliver(second + 4e-6, VNET1, framed(there, MAC_R, MAC_A), host.clone(skb))
        if number % 10 == 5 and not moved:
            host.drop(second + 5e-6, ETH0, framed(there, MAC_R, MAC_A), skb)
        else:
            host.deliver(second + 5e-6, ETH0, framed(there, MAC_R, MAC_A), skb)
            if not moved:
                host.through(second + 300e-6, ETH0, VNET1, framed(routed, MAC_V, MAC_R))
        answer = framed(datagram(number, V, A, port=7001), MAC_A, MAC_V)
        host.through(second + 0.01, ETH0 if moved else VNET1, VNET0, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return copies + lost_at(summary, 10, "hv-a eth0", words=A + ":40000 > " + V)
