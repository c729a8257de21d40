# SPDX-License-Identifier: Apache-2.0
"""More packets between two addresses than a merger may look at at once: a TCP transfer, and UDP both ways, all IPv6.

The sender's NIC has the UDP payload in the linear part, which gives it a hash; the receiver's splits it off, which
gives none. All 4000 datagrams are delivered, 2 ms and more apart: however the work is divided, none of them left.
"""
from pathlib import Path

from truth.bundle import TCPV6
from truth.fleet import Fleet
from truth.packets import ethernet, ipv6, tcp, udp
from truth.truth import Summary, flow_count, flows, lost_nothing, total

ONE, TWO = "fd00::10", "fd00::20"
SIZE, COUNT = 1448, 44
FLOWS = ("[fd00::10]:40000 > [fd00::20]:443 udp", "[fd00::20]:443 > [fd00::10]:40000 udp")


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.talk()
    for number in range(5000):     # together more than a million segments at places
        packet = ethernet(ipv6(ONE, TWO, tcp(50000, 9000, seq=1 + number * SIZE * COUNT), protocol=6,
                               length=20 + SIZE * COUNT), 0x86DD)
        fleet.send(0.5 + 0.0018 * number, packet, length=74 + SIZE * COUNT, gso_size=SIZE, gso_segs=COUNT,
                   gso_type=TCPV6)
    for number in range(2000):
        second = 1 + 0.004 * number
        for wait, ends, ports, size, seed, hosts in (
                (0, (ONE, TWO), (40000, 443), 1200, 12345, (fleet.a, fleet.b)),
                (0.002, (TWO, ONE), (443, 40000), 100, 777, (fleet.b, fleet.a))):
            packet = ethernet(ipv6(*ends, udp(*ports, size)), 0x86DD)
            fleet.out(hosts[0], second + wait, packet, payload_hash=2 * number + seed)
            fleet.into(hosts[1], second + wait + 58e-6, packet, data_len=size)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary)
    for flow in FLOWS:
        out += flow_count(summary, flow, 2000, 2000)
        left = total(flows(summary, flow), "left")
        if left:
            out.append("%d packets of %s are said to have left the traced hosts; all were delivered" % (left, flow))
    return out
