# SPDX-License-Identifier: Apache-2.0
"""What tc says of queues that a device's hardware keeps, as `tc -s -j qdisc show` prints it."""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, QDISC_DROP, QUEUE, VNET0
from truth.fleet import talking
from truth.packets import datagram

COUNT = 10      # datagrams that are lost behind hv-a's eth0
DROPPED = 12    # others that its queue drops in the kernel
PRIO = {"kind": "prio", "handle": "1:", "dev": "eth0", "root": True, "offloaded": True, "options": {"bands": 2}}


def red(handle: str = "7:", **more: Any) -> dict[str, Any]:
    """Return a queue of eth0, which its hardware keeps."""
    return {"kind": "red", "handle": handle, "dev": "eth0", "root": True, "refcnt": 2, "offloaded": True,
            "options": {"limit": 10000, "min": 1500, "max": 4500, "ecn": False}, "packets": 43, "drops": 5, **more}


def leaf(handle: str, band: str) -> dict[str, Any]:
    """Return such a queue that is one of PRIO's."""
    return {name: value for name, value in red(handle, parent=band).items() if name != "root"}


def counted(row: dict[str, Any], drops: int) -> dict[str, Any]:
    """Return what tc says of a queue that has dropped so many more."""
    return {**row, "drops": row.get("drops", 0) + drops}


def lose(run_dir: Path, before: list[dict[str, Any]], after: list[dict[str, Any]], dropped: int = 0) -> None:
    """Datagrams from A to B, of which COUNT are lost behind hv-a's eth0, and hv-a has read these queues.

    dropped: further ones, that eth0's queue drops in the kernel.
    """
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 10 == 5)
    for number in range(100, 100 + dropped):
        second, packet = 1.02 + 0.05 * (number - 100), datagram(number)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        fleet.a.drop(second + 8e-6, ETH0, packet, skb, QUEUE, QDISC_DROP)
    fleet.a.read("qdiscs", before, after)
    fleet.write(run_dir)
