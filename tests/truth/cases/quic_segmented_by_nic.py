# SPDX-License-Identifier: Apache-2.0
"""A sends QUIC, ten datagrams of 1,200 bytes in one sk_buff (UDP_L4); hv-a's NIC cuts it, nobody joins it.

Of 500 datagrams 7 are lost on the wire: their IP ids count on from that of the sk_buff's head.
"""
from pathlib import Path

from truth.bundle import UDP_L4
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, flow_count, lost_at

SIZE = 1200
LOST = (13, 14, 77, 200, 333, 334, 480)


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(50):
        second, ident = 1 + 0.1 * number, 10 * number + 1
        joined = datagram(0, ident=ident, size=10 * SIZE)
        fleet.out(fleet.a, second, joined[:64], length=42 + 10 * SIZE, gso_size=SIZE, gso_segs=10, gso_type=UDP_L4)
        for piece in range(10):
            if 10 * number + piece not in LOST:
                fleet.into(fleet.b, second + 58e-6 + 1e-6 * piece, datagram(0, ident=ident + piece, size=SIZE))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 7, WIRE, words=A) + flow_count(summary, A + ":40000 >", 500, 500)
