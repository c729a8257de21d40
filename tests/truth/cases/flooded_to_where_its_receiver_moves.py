# SPDX-License-Identifier: Apache-2.0
"""B lives on hv-b and moves to hv-a after 5 s, where its tap is there already, with an address made from B's. Nobody
has it open yet: of the copies that hv-a's bridge floods to it of all that A sends, it drops each. On its way out of
hv-a, nft drops 10 of the 40 packets that A sends before.

Those 10 are lost: B was seen to send from hv-b before and after each. What was dropped at the tap was copies.
"""
from pathlib import Path

from truth.bundle import DEV_READY, ETH0, NETFILTER, NETFILTER_DROP, RING_FULL, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_least, lost_at

VNET1 = 6


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    host.manifest["devices"][-1]["mac"] = "fe:54:00:00:00:02"
    for number in range(80):
        second, packet = 1 + 0.1 * number, framed(datagram(number), 2, 1)
        answer = framed(datagram(number, B, A, port=7001), 1, 2)
        if second > 5:
            host.through(second, VNET0, VNET1, packet)
            host.through(second + 0.01, VNET1, VNET0, answer)
            continue
        skb = host.seen(second, "dev.rx", VNET0, packet)
        copy = host.clone(skb)
        host.seen(second + 3e-6, "dev.tx", VNET1, packet, copy)
        host.drop(second + 4e-6, VNET1, packet, copy, RING_FULL, DEV_READY)
        if number % 4 == 1:
            host.drop(second + 7e-6, ETH0, packet, skb, NETFILTER, NETFILTER_DROP)
        else:
            host.deliver(second + 8e-6, ETH0, packet, skb)
            fleet.into(fleet.b, second + 58e-6, packet)
        fleet.send(second + 0.01, answer, way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a eth0", words=A + ":40000 >") + arrived_at_least(summary, 69, A + ":40000 >")
