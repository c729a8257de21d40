# SPDX-License-Identifier: Apache-2.0
"""A behind hv-a's masquerade asks a server outside; answers come back translated. A's tap throws 10 of 100 away.

Queries and answers change their addresses in the sk_buff in which they came. The tap's drops are recorded: 10 packets
were lost there, and none elsewhere.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, ethernet, ipv4, udp
from truth.truth import Summary, lost_at

OUTSIDE, SERVER = "203.0.113.7", "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    for number in range(100):
        second = 1 + 0.05 * number
        before, after = (ethernet(ipv4(source, SERVER, udp(port, 53, 40), ident=number + 1))
                         for source, port in ((A, 40000), (OUTSIDE, 61000)))
        host.through(second, VNET0, ETH0, before, then=after)
        before, after = (ethernet(ipv4(SERVER, target, udp(53, port, 80), ident=number + 7001))
                         for target, port in ((OUTSIDE, 61000), (A, 40000)))
        if number % 10 == 5:
            skb = host.seen(second + 0.004, "dev.rx", ETH0, before)
            host.seen(second + 0.004008, "dev.tx", VNET0, after, skb)
            host.drop(second + 0.00401, VNET0, after, skb)
        else:
            host.through(second + 0.004, ETH0, VNET0, before, then=after)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a vnet0")
