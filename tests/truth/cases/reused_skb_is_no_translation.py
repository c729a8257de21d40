# SPDX-License-Identifier: Apache-2.0
"""Five UDP flows of equal datagrams come to hv-b, in one sk_buff that the kernel uses over and over.

Frees are not recorded. Three times the sk_buff carries the same IP id in another flow, by chance. That is no address
translation: there are five flows, of which each keeps its own packets.
"""
import random
from collections import Counter
from pathlib import Path

from truth.bundle import ETH0, VNET0, Skb
from truth.fleet import Fleet
from truth.packets import B, ethernet, ipv4, udp
from truth.truth import Summary, flow_count

CHANCES = (1000, 2000, 3000)


def _flows() -> list[tuple[int, int]]:
    """Return (flow, IP id) of each packet."""
    choose = random.Random(1)
    idents = [choose.randrange(65535) for _ in range(5)]
    out: list[tuple[int, int]] = []
    for number in range(4000):
        flow = choose.randrange(5)
        idents[flow] = idents[flow] % 65535 + 1
        if number in CHANCES:
            idents[flow] = out[-1][1]
        out.append((flow, idents[flow]))
    return out


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": ("dev.rx", "dev.tx", "skb.drop")})
    fleet.talk()
    skb = Skb(0xFFFF888900000000, 0xFFFF888A00000000)
    for number, (flow, ident) in enumerate(_flows()):
        second = 1 + 0.002 * number
        packet = ethernet(ipv4("10.1.0.%d" % (flow + 1), B, udp(5000, 6000, 1000), ident=ident))
        fleet.b.seen(second, "dev.rx", ETH0, packet, skb, data_len=1000)
        fleet.b.seen(second + 7e-6, "dev.tx", VNET0, packet, skb, data_len=1000)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = []
    for flow, count in sorted(Counter(flow for flow, _ in _flows()).items()):
        out += flow_count(summary, "10.1.0.%d:5000 >" % (flow + 1), count, count)
    return out
