# SPDX-License-Identifier: Apache-2.0
"""50 datagrams arrive at VM C on hv-b, for the MAC address of a macvlan device inside, from which nothing is ever sent;
C itself talks with its own. The bridge has not learned that address: it floods a clone out by a second uplink, to
hv-c, where nobody wants it. Nothing was lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram, framed
from truth.truth import Summary, lost_nothing

C = "192.168.32.30"
ETH1 = 5
MAC_A, MAC_C, MAC_INSIDE = 1, 3, 9


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.b
    host.device(ETH1, "eth1", "phy")
    fleet.talk(fleet.a, fleet.host("hv-c"), port=5002)
    for number in range(50):
        second = 1 + 0.1 * number
        fleet.send(second + 0.03, framed(datagram(number, C, A), MAC_A, MAC_C), way="back")
        fleet.send(second + 0.06, framed(datagram(number, A, C), MAC_C, MAC_A))
        packet = framed(datagram(number), MAC_INSIDE, MAC_A)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.deliver(second + 63e-6, ETH1, packet, host.clone(skb))
        host.deliver(second + 65e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
