# SPDX-License-Identifier: Apache-2.0
"""hv-a and hv-c send packets for C to each other until their TTL is 0: each passes hv-a's eth0 five times.

hv-c then drops it. 100 packets were sent and lost, not 500; it is a loop, and the verdict calls it one.
"""
from pathlib import Path

from truth.bundle import ETH0, FORWARD, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, has_words, lost_at

C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router, port=5002)
    for number in range(100):
        second = 1 + 0.05 * number
        for turn in range(5):
            begin, ttl = second + 200e-6 * turn, 10 - 2 * turn
            fleet.a.through(begin, VNET0 if not turn else ETH0, ETH0, datagram(number, A, C, ttl=ttl),
                            then=datagram(number, A, C, ttl=ttl - 1))
            came = datagram(number, A, C, ttl=ttl - 1)
            if turn < 4:
                router.through(begin + 100e-6, ETH0, ETH0, came, then=datagram(number, A, C, ttl=ttl - 2))
            else:
                skb = router.seen(begin + 100e-6, "dev.rx", ETH0, came)
                router.drop(begin + 104e-6, ETH0, came, skb, FORWARD, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 100, "hv-c eth0", words=C) + flow_count(summary, A + ":40000 > " + C, 100, 100)
            + has_words(verdict, "loop"))
