# SPDX-License-Identifier: Apache-2.0
"""A switch does not know where the receiver of 50 datagrams is, which never sends anything: it floods them to hv-b,
too, whose bridge floods them to the tap of VM C, which has no room. The receiver is on a host that nobody traced.

C talks, so its MAC address is known, and the frames are for another one: whether they were lost nobody can know.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram, framed
from truth.truth import Summary, arrived_at_most, lost_nothing

C = "192.168.32.30"
MAC_A, MAC_C, MAC_SILENT = 1, 3, 9


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.b
    for number in range(50):
        second = 1 + 0.1 * number
        fleet.send(second + 0.03, framed(datagram(number, C, A), MAC_A, MAC_C), way="back")
        fleet.send(second + 0.06, framed(datagram(number, A, C), MAC_C, MAC_A))
        packet = framed(datagram(number), MAC_SILENT, MAC_A)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        host.drop(second + 66e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary) + arrived_at_most(summary, 0, A + ":40000 > 192.168.32.20")
    if "its frame was for no MAC address of the VM there" not in verdict:
        out.append("the verdict does not say that the frames were for another address")
    return out
