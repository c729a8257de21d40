# SPDX-License-Identifier: Apache-2.0
"""hv-a redirects its VM's TCP to a proxy of its own, which sends the same bytes on in a connection of its own.

A's segments end in the proxy's socket, under the proxy's address, and are freed. What leaves by eth0 comes from the
proxy. Nothing is lost, nothing is sent again.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, lost_nothing, sent_again

OWN, PROXY, SERVER = "203.0.113.7", "192.168.32.1", "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking(a={"points": (*POINTS, "sock.deliver")})
    host = fleet.a
    for number in range(100):
        second, size = 1 + 0.05 * number, 500
        asked = segment(1 + number * size, size, number + 1, A, SERVER, ports=(40000, 80))
        taken = segment(1 + number * size, size, number + 1, A, PROXY, ports=(40000, 3128))
        skb = host.seen(second, "dev.rx", VNET0, asked, length=length(asked))
        host.seen(second + 40e-6, "sock.deliver", VNET0, taken, skb, length=length(taken))
        host.free(second + 41e-6, VNET0, taken, skb, length=length(taken))
        sent = segment(900000 + number * size, size, number + 4001, OWN, SERVER, ports=(52000, 80))
        host.deliver(second + 90e-6, ETH0, sent, host.skb(), length=length(sent))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + sent_again(summary, 0)
