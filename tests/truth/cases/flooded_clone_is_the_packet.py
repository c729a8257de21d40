# SPDX-License-Identifier: Apache-2.0
"""hv-b's bridge floods packets to B: a clone goes to B's tap, vnet0, the sk_buff that came in to the last port, vnet1.

B's ring is full for 20 of 100: those clones are the packets, and they are lost. The VM behind vnet1 takes what is not
for it; that is no arrival. B lives behind vnet0: it sends from there.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_most, lost_at

VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        clone = host.clone(skb)
        host.seen(second + 61e-6, "dev.tx", VNET0, packet, clone)
        if number % 5 == 2:
            host.drop(second + 62e-6, VNET0, packet, clone)
        else:
            host.free(second + 64e-6, VNET0, packet, clone)
        host.deliver(second + 66e-6, VNET1, packet, skb)
        fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 20, "hv-b vnet0", words=A) + arrived_at_most(summary, 80, A + ":40000 >")
