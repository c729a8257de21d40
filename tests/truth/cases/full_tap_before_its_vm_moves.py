# SPDX-License-Identifier: Apache-2.0
"""B lives on hv-b, where all of its tap is mirrored, until it moves to A's host, hv-a, at 5 s. Its new tap is there
before, with an address made from B's, and nobody has it open; the bridge of hv-a floods what is for B, and that tap
drops its copies. On hv-b, B's tap is full for every tenth packet.

These are lost there. What the new tap drops are copies.
"""
from pathlib import Path

from truth.bundle import DEV_READY, ETH0, RING_FULL, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_least, lost_at

MIRROR, VNET2 = 5, 6
MAC_A, MAC_B = 1, 2


def make(run_dir: Path) -> None:
    fleet = talking()
    one, two = fleet.a, fleet.b
    one.device(VNET2, "vnet2", "vnet")
    for host, tap in ((one, VNET2), (two, VNET0)):
        (device,) = [device for device in host.manifest["devices"] if device["ifindex"] == tap]
        device["mac"] = "fe:54:00:00:00:%02x" % MAC_B
    two.device(MIRROR, "mirror0", "vnet")
    for number in range(100):
        second, packet, answer = 1 + 0.08 * number, framed(datagram(number), MAC_B, MAC_A), framed(
            datagram(number, B, A, port=7001), MAC_A, MAC_B)
        if number >= 50:
            one.through(second, VNET0, VNET2, packet)
            one.through(second + 0.01, VNET2, VNET0, answer)
            continue
        skb = one.seen(second, "dev.rx", VNET0, packet)
        copy = one.clone(skb)
        one.seen(second + 3e-6, "dev.tx", VNET2, packet, copy)
        one.drop(second + 3e-6, VNET2, packet, copy, RING_FULL, DEV_READY)
        one.deliver(second + 8e-6, ETH0, packet, skb)
        came = two.seen(second + 58e-6, "dev.rx", ETH0, packet)
        two.deliver(second + 60e-6, MIRROR, packet, two.clone(came))
        if number % 10 == 5:
            two.seen(second + 64e-6, "dev.tx", VNET0, packet, came)
            two.drop(second + 64e-6, VNET0, packet, came)
        else:
            two.deliver(second + 64e-6, VNET0, packet, came)
        fleet.send(second + 0.01, answer, way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + B
    return lost_at(summary, 5, "hv-b vnet0", words=words) + arrived_at_least(summary, 95, words)
