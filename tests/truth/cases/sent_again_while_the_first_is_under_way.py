# SPDX-License-Identifier: Apache-2.0
"""A sends to C, both on hv-a, through a gateway behind hv-a's eth0; hv-a's tracer looks at dev.tx alone. 10 of 100
segments take 50 ms instead of 400 us, and are sent again, with an IP id of their own, 6 us before they come.

Nothing is lost, and no packet took less than 400 us from hv-a's eth0 to C.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import Fleet
from truth.packets import segment
from truth.truth import Summary, lost_nothing, sent_again, took

VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = Fleet(a={"points": ("dev.tx", "skb.drop")})
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")

    def send(second: float, number: int, ident: int, took_s: float) -> None:
        for at, device, ttl in ((second, ETH0, 64), (second + took_s, VNET1, 63)):
            host.seen(at, "dev.tx", device, segment(1 + 700 * number, 700, ident, ttl=ttl))

    for number in range(100):
        second = 1 + 0.08 * number
        late = number % 10 == 5
        send(second, number, 1000 + number, 50e-3 if late else 400e-6)
        if late:
            send(second + 50e-3 - 6e-6, number, 2000 + number, 400e-6)
    fleet.hosts = [host]
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + sent_again(summary, 10)
            + took(summary, "hv-a eth0", "hv-a vnet1", 399, 50_001))
