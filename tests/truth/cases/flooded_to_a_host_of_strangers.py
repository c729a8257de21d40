# SPDX-License-Identifier: Apache-2.0
"""A sends to B, which lives on a host that is not traced, by way of a router on another such host. What the router
sends on, the switch floods to hv-b, too: there the bridge gives it to the VMs C and D, whose MAC addresses are others.
Of every fifth, the switch floods nothing, for it knows again where B is.

All arrived at B, where nobody looked: that some did not come to hv-b is no loss.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram, framed
from truth.truth import Summary, lost_nothing, not_silent

B, C, D = "192.168.32.99", "192.168.32.20", "192.168.32.21"
MAC_A, MAC_C, MAC_D, MAC_B, MAC_R = 1, 2, 3, 9, 5
VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = Fleet()
    strangers = fleet.b
    strangers.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        fleet.send(second + 0.01, framed(datagram(number, C, A, port=53), MAC_A, MAC_C), way="back")
        fleet.send(second + 0.015, framed(datagram(number, A, C, port=53), MAC_C, MAC_A))
        fleet.heard(strangers, second + 0.02, framed(datagram(number, D, A, port=53), MAC_A, MAC_D), VNET1)
        fleet.out(fleet.a, second, framed(datagram(number, A, B), MAC_R, MAC_A))
        if number % 5:
            copy = framed(datagram(number, A, B, ttl=63), MAC_B, MAC_R)
            skb = strangers.seen(second + 300e-6, "dev.rx", ETH0, copy)
            strangers.deliver(second + 305e-6, VNET0, copy, strangers.clone(skb))
            strangers.deliver(second + 306e-6, VNET1, copy, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 20, A + ":40000 > " + B)
