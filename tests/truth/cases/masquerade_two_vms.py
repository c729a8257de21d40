# SPDX-License-Identifier: Apache-2.0
"""Two VMs behind hv-a's masquerade ping one server; one of them also asks it by DNS. Everything leaves by eth0.

Each of the 300 packets leaves under its translated address, in the sk_buff in which it came from the tap. None is
lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, echo, ethernet, ipv4, udp
from truth.truth import Summary, lost_nothing

VNET1 = 4
OTHER, OUTSIDE, SERVER = "192.168.32.11", "203.0.113.7", "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        for wait, tap, inside, asker, ident in ((0, VNET0, A, 7, number + 1), (0.01, VNET1, OTHER, 9, number + 3000)):
            before, after = (echo(number, source, SERVER, ident=ident, asker=asker) for source in (inside, OUTSIDE))
            host.through(second + wait, tap, ETH0, before, then=after)
        before, after = (ethernet(ipv4(source, SERVER, udp(40000, 53, 40), ident=number + 9000))
                         for source in (A, OUTSIDE))
        host.through(second + 0.02, VNET0, ETH0, before, then=after)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
