# SPDX-License-Identifier: Apache-2.0
"""IPsec (ESP) between the hypervisors: the packets are seen at the taps, and as ESP at the uplinks.

Of 100 packets 10 are lost on the wire. On hv-a each is encrypted in its own sk_buff: 10 packets are lost, not 20.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import datagram, ethernet, ipv4
from truth.truth import WIRE, Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        sealed = ethernet(ipv4("10.0.0.1", "10.0.0.2", bytes(120), protocol=50, ident=number + 1))
        fleet.a.through(second, VNET0, ETH0, packet, then=sealed)
        if number % 10 != 5:
            fleet.b.through(second + 58e-6, ETH0, VNET0, sealed, then=packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, "hv-a vnet0 > hv-b vnet0", doubtful=True)
