# SPDX-License-Identifier: Apache-2.0
"""hv-a answers its VM's DNS queries itself (REDIRECT to a local resolver); pings to the same address are forwarded.

Each of 50 queries ends in a socket of hv-a, where its sk_buff is freed, not dropped, and each is answered. None is
lost, though the other packets to 8.8.8.8 go on to eth0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, echo, ethernet, ipv4, udp
from truth.truth import Summary, lost_nothing

SERVER = "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    for number in range(200):
        host.through(1 + 0.02 * number, VNET0, ETH0, echo(number, A, SERVER, ident=number + 1, asker=7))
    for number in range(50):
        second = 1.01 + 0.02 * number
        query = ethernet(ipv4(A, SERVER, udp(40000 + number, 53, 40), ident=5000 + number))
        answer = ethernet(ipv4(SERVER, A, udp(53, 40000 + number, 80), ident=6000 + number))
        host.free(second + 30e-6, VNET0, query, host.seen(second, "dev.rx", VNET0, query))
        host.deliver(second + 80e-6, VNET0, answer, host.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
