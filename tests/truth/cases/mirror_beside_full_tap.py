# SPDX-License-Identifier: Apache-2.0
"""A mirror on hv-b copies everything to a monitor's tap, vnet9; the tap of VM B, vnet0, throws 30 of 100 packets away.

The mirror's copy is made before the packet comes to vnet0, or after it. Either way 30 packets were dropped at vnet0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, stated_at

VNET9 = 9


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VNET9, "vnet9", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        copy = host.clone(skb)
        if number % 2:
            host.deliver(second + 61e-6, VNET9, packet, copy)
        host.seen(second + 66e-6, "dev.tx", VNET0, packet, skb)
        if number < 30:
            host.drop(second + 68e-6, VNET0, packet, skb)
        else:
            host.free(second + 69e-6, VNET0, packet, skb)
        if not number % 2:
            host.deliver(second + 72e-6, VNET9, packet, copy)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = stated_at(summary, 30, "hv-b vnet0", A)
    if summary["lost"] > 30:
        out.append("%d packets are said to be lost; it was 30" % summary["lost"])
    return out
