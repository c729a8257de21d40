# SPDX-License-Identifier: Apache-2.0
"""A way with branches is shown as a tree."""
from pathlib import Path
from typing import Any

from support.bundles import NETNS
from support.fleet import A, B, Fleet, merged, udp_packet

from fleetmerge.products.report import _paths

SKB = 0xFFFF888177000000


def place(before: int | None, host: str, own: bool = True, point: str = "dev.rx") -> dict[str, Any]:
    return {"host": host, "device": "eth0", "point": point, "before": before, "own": own}


def test_branches_below_each_other() -> None:
    nodes = [place(None, "a"), place(0, "b"), place(1, "c"), place(0, "d", False), place(3, "e", False),
             place(3, "f", False), place(1, "g", False)]
    assert _paths([{"addresses": "A > B", "packets": 3, "places": [], "branches": nodes}]) == [
        "A > B, 3 packets:",
        "* a eth0 dev.rx",
        "* ├─ b eth0 dev.rx",
        "* │  ├─ c eth0 dev.rx",
        "  │  └─ g eth0 dev.rx",
        "  └─ d eth0 dev.rx",
        "     ├─ e eth0 dev.rx",
        "     └─ f eth0 dev.rx",
        "(* the packet's own branch; the others are copies)"]


def test_at_most_a_screenful() -> None:
    nodes = [place(None, "a"), place(0, "b"), *(place(0, "copy-%d" % number, False) for number in range(58))]
    path = {"addresses": "A > B", "packets": 3, "places": [], "branches": nodes}
    lines = _paths([path] * 10)
    assert len(lines) <= 53
    assert lines[:3] == ["A > B, 3 packets:", "* a eth0 dev.rx", "* ├─ b eth0 dev.rx"]
    assert lines[12] == "  ... 49 more lines"


def test_a_flooded_packet(tmp_path: Path) -> None:
    """hv-b's bridge floods to another VM: a clone in an skb of its own, with the same data."""
    fleet = Fleet()
    fleet.talk()
    fleet.b.device(4, "vnet1", "vnet", NETNS)
    for number in range(5):
        own = {"skb": SKB + 512 * number, "head": SKB + 4096 * number}
        fleet.send(1 + 0.1 * number, udp_packet(number), **own)
        fleet.b.event(1 + 0.1 * number + 63e-6, "dev.tx", 4, udp_packet(number), len=106, data_offset=64,
                      network_offset=78, skb=own["skb"] + 256, head=own["head"])
        fleet.send(1.05 + 0.1 * number, udp_packet(number, B, A), way="back")
    run = fleet.write(tmp_path)
    summary = merged(run)
    (path,) = [path for path in summary["paths"] if path["addresses"] == "%s > %s" % (A, B)]
    assert [(node["device"], node["own"]) for node in path["branches"]] == [
        ("vnet0", True), ("eth0", True), ("eth0", True), ("vnet0", True), ("vnet1", False)]
    page = (run / "verdict.txt").read_text()
    assert ("192.168.32.10 > 192.168.32.20, 5 packets:\n"
            "* hv-a vnet0 dev.rx > hv-a eth0 dev.tx > hv-b eth0 dev.rx\n"
            "* ├─ hv-b vnet0 dev.tx\n"
            "  └─ hv-b vnet1 dev.tx\n") in page
    assert path["packets"] == 5


def test_of_many_paths_those_of_most_packets(tmp_path: Path) -> None:
    """Of 30 pairs of VMs, some of which send more."""
    fleet = Fleet()
    for pair in range(30):
        for number in range(1 + pair):
            fleet.send(1 + 0.1 * number + 1e-3 * pair, udp_packet(number, "10.9.1.%d" % pair, "10.9.2.%d" % pair))
    paths = merged(fleet.write(tmp_path))["paths"]
    assert [(path["addresses"], path["packets"]) for path in paths[:3]] == [
        ("10.9.1.%d > 10.9.2.%d" % (pair, pair), 1 + pair) for pair in (29, 28, 27)]
