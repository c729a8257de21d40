# SPDX-License-Identifier: Apache-2.0
"""Ten equal datagrams (IP id 0, the same payload) at a time, 100 us apart; hv-a's tracer was told to look at eth0 only.
One of each ten is dropped there.

The nine others left hv-a, and arrived: what was dropped was a packet like them, not a copy of one.
"""
from pathlib import Path

from truth.bundle import ETH0, FORWARD, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, has_no_words, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    packet = datagram(0, ident=0)
    for number in range(50):
        for turn in range(10):
            second = 1 + 0.15 * number + 100e-6 * turn
            if turn == 4:
                skb = fleet.a.seen(second, "dev.rx", VNET0, packet, payload_hash=7)
                fleet.a.drop(second + 8e-6, ETH0, packet, skb, FORWARD, NOT_SPECIFIED, payload_hash=7)
            else:
                fleet.send(second, packet, payload_hash=7)
    fleet.a.manifest["filter"] = {"interfaces": ["eth0"]}
    fleet.a.forget(lambda row: row["ifindex"] != ETH0)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 50, "hv-a eth0", words=A + ":40000", doubtful=True)
            + flow_count(summary, A + ":40000 >", 450, 500) + has_no_words(verdict, "No packet was lost"))
