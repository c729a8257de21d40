# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams of two flows, each in two fragments, to a host that is not traced: those to port 5001 straight,
those to port 5002 over hv-b.

None is lost. The second fragments have no ports, but go the way of their first.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, ethernet, ipv4, udp
from truth.truth import Summary, lost_nothing

OTHER = "192.168.32.30"


def _pieces(number: int, port: int) -> list[bytes]:
    """Return the fragments of a datagram."""
    data = udp(40000, port, 1992)
    return [ethernet(ipv4(A, OTHER, part, ident=number + 1, fragment=at, more=not at))
            for at, part in ((0, data[:1480]), (1480, data[1480:]))]


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        for turn, piece in enumerate(_pieces(number, 5001 + number % 2)):
            second = 1 + 0.05 * number + 1e-6 * turn
            fleet.out(fleet.a, second, piece)
            if number % 2:
                fleet.b.through(second + 58e-6, ETH0, ETH0, piece)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
