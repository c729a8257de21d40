# SPDX-License-Identifier: Apache-2.0
"""200 hosts, on each of which packets are dropped at 400 different places of the code: 80,000 drop sites in all.

The merge must end, with all records and all hosts.
"""
from pathlib import Path

from truth.bundle import ETH0, NOT_SPECIFIED, Bundle
from truth.packets import datagram
from truth.truth import Summary, counts_packets


def make(run_dir: Path) -> None:
    for host in range(200):
        bundle = Bundle("hv-%d" % host, (ETH0, "eth0", "phy"))
        for number in range(400):
            bundle.drop(1 + number * 1e-3, ETH0, datagram(number), bundle.skb(), 0xFFFFFFFF81000000 + 16 * number,
                        NOT_SPECIFIED, stack_id=number)
        bundle.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = counts_packets(summary, 80_000)
    return out if len(summary["hosts"]) == 200 else [*out, "%d hosts are named; there are 200" % len(summary["hosts"])]
