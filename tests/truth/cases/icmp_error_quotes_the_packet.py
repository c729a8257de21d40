# SPDX-License-Identifier: Apache-2.0
"""B refuses A's datagrams: an ICMP error that quotes the datagram's headers comes back for each. Of 100, 5 are lost.

What is quoted is not the packet: 100 datagrams were sent and arrived, once; the 5 are errors, lost on the way back.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, datagram, ethernet, icmp, ipv4
from truth.truth import Summary, arrived_at_least, flow_count, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.send(second, packet)
        error = icmp(3, 3, payload=0) + packet[14:14 + 28]
        fleet.send(second + 0.001, ethernet(ipv4(B, A, error, protocol=1, ident=number + 20001)), way="back",
                   lose=number % 20 == 10)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 5, "hv-b eth0 > hv-a eth0") + flow_count(summary, A + ":40000 >", 100, 100)
            + arrived_at_least(summary, 100, A + ":40000 >"))
