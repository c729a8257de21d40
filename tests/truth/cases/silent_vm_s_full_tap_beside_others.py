# SPDX-License-Identifier: Apache-2.0
"""hv-a looks at its VMs' taps only. A sends to V, whose tap is full, so that V was never heard: all 90 packets are
dropped there. A talks with the VM W, too, all the time.

W's tap got none of them, so the bridge did not flood them: it knew that V is behind vnet1, and the 90 are lost. Of what
U sends to V nobody knows that: nothing of U's came to another VM.
"""
from pathlib import Path

from truth.bundle import VNET0, Bundle
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, is_certain, losses, lost_at

VNET1, VNET2, VNET3 = 6, 7, 8
V, W, U = "192.168.32.30", "192.168.32.40", "192.168.32.50"


def into_the_full_tap(host: Bundle, second: float, tap: int, packet: bytes) -> None:
    skb = host.seen(second, "dev.rx", tap, packet)
    host.seen(second + 5e-6, "dev.tx", VNET1, packet, skb)
    host.drop(second + 6e-6, VNET1, packet, skb)


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.a
    host.manifest["filter"]["interfaces"] = ["vnet0", "vnet1", "vnet2", "vnet3"]
    for number, tap in enumerate((VNET1, VNET2, VNET3)):
        host.device(tap, "vnet%d" % (number + 1), "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        if 5 <= number < 95:
            into_the_full_tap(host, second, VNET0, datagram(number, A, V))
            into_the_full_tap(host, second + 0.02, VNET3, datagram(number, U, V))
        host.through(second + 0.01, VNET0, VNET2, datagram(number, A, W))
        host.through(second + 0.011, VNET2, VNET0, datagram(number, W, A))
    fleet.hosts.remove(fleet.b)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 90, "hv-a vnet1", words=A + ":40000 > " + V) + [
        "%d packets of U are said to be lost for certain" % loss["packets"]
        for loss in losses(summary, U + ":40000 >") if is_certain(loss)]
