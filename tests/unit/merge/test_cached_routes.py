# SPDX-License-Identifier: Apache-2.0
"""What hosts have learnt by ICMP of the way to a tunnel's other end, beside the packets that did not get there."""
import random
from pathlib import Path
from typing import Any

import pytest
from support.bundles import NETNS, ethernet, ipv4, udp, vxlan
from support.fleet import ETH0, VNET0, A, B, Fleet, add_evidence, merged, udp_packet
from support.spoilt import spoilt

from fleetmerge.bundle.evidence import Reading
from fleetmerge.products.cached import cached_routes
from fleetmerge.products.causes import Known

ENDS = ("10.88.0.1", "10.88.0.2")
TUNNEL = 9
FLOW = "%s:40000 > %s:5001 udp" % (A, B)
CACHED = {"dst": ENDS[1], "dev": "eth0", "table": "main", "cache": [], "expires": 500, "metrics": [{"mtu": 1000}]}
VXLAN = {"ifname": "vxlan0", "master": "br0", "linkinfo": {"info_kind": "vxlan", "info_data": {
    "id": 42, "remote": ENDS[1], "local": ENDS[0]}}}
ROUTE = {"type": "unicast", "dst": "10.88.0.0/24", "dev": "eth0", "table": "main"}
FOUND = {"host": "hv-a", "netns": "hv-a", "tunnel": "vxlan0", "to": ENDS[1], "device": "eth0", "path_mtu": 1000,
         "device_mtu": 1500, "seconds": 500, "fits": 950, "packets": 20, "flows": [{"flow": FLOW, "packets": 20}]}


class NoRecords:
    """A run without any."""

    def rows(self, _query: str, *_values: Any) -> list[dict[str, Any]]:
        return [{"whole": 0, "cut": 0}]


def outer(packet: bytes, **more: Any) -> bytes:
    return ethernet(ipv4(*ENDS, udp(50000, 4789, vxlan(42, packet)), ident=7, **more))


def told(tmp_path: Path, *, size: int = 1200, small: bool = True, large: bool = False, cut: bool = False,
         cached: Any = (CACHED,), before: Any = None, link: Any = None, mtu: Any = 1500) -> dict[str, Any]:
    """A run in which twenty datagrams of a size go into hv-a's tunnel. small, large: whether such ones of others, or of
    these, leave in it; cut: whether fragments do."""
    fleet = Fleet()
    fleet.a.device(TUNNEL, "vxlan0", "tunnel", kind="vxlan")
    for number in range(20):
        second, packet = 1 + number / 10, udp_packet(number, size=size)
        fleet.a.event(second, "dev.rx", VNET0, packet)
        fleet.a.event(second + 1e-5, "dev.tx", TUNNEL, packet, len=len(packet))
        if large:
            fleet.a.event(second + 2e-5, "dev.tx", ETH0, outer(packet), len=len(packet) + 50)
        if small:
            other = outer(udp_packet(number, target="192.168.32.30"))
            fleet.a.event(second + 3e-5, "dev.tx", ETH0, other, len=len(other))
        if cut:
            fleet.a.event(second + 4e-5, "dev.tx", ETH0, outer(packet, more=True), len=1000)
    run = fleet.write(tmp_path)
    common = {"links": [VXLAN if link is None else link, {"ifname": "eth0", "mtu": mtu}], "routes": [ROUTE],
              "rules": [{"priority": 32766, "src": "all", "table": "main"}]}
    readings = {when: {"began_ns": 1, "ended_ns": 2, "host": {}, "namespaces": {str(NETNS): {
        name: {"value": value} for name, value in {**common, "cached-routes": rows}.items()}}}
        for when, rows in (("before", list(cached) if before is None else before), ("after", list(cached)))}
    add_evidence(run, "hv-a", {"format": "skbfleet-evidence/1", **readings})
    return merged(run)


def test_packets_that_a_tunnel_sent_back(tmp_path: Path) -> None:
    summary = told(tmp_path)
    assert summary["cached_routes"] == [FOUND]
    assert ("On hv-a, 20 packets went into vxlan0 and did not leave it: with the cached route to 10.88.0.2 by eth0 "
            "(path MTU 1000, for 500 s yet), IP packets of more than 950 bytes do not fit, and are sent back with that "
            "word; eth0 itself takes 1500.") in summary["verdict"]


@pytest.mark.parametrize("case", [
    {"size": 900}, {"large": True}, {"cut": True}, {"small": False}, {"cached": ()}, {"before": []}, {"mtu": 1000},
    {"mtu": "x"}, {"mtu": 10 ** 30},
    {"cached": (dict(CACHED, metrics=[{"mtu": 1 << 40}]),)}, {"cached": (dict(CACHED, metrics=[{"mtu": 60}]),)},
    {"cached": (CACHED, CACHED)}, {"cached": (dict(CACHED, dev="eth1"),)}, {"cached": 7 * [[]]},
    {"link": {**VXLAN, "master": None, "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 42, "external": True}}}},
    {"link": {"ifname": "vxlan0", "linkinfo": VXLAN["linkinfo"]}},     # no bridge's port: it answers nobody
    {"link": {**VXLAN, "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 10 ** 400, "remote": ENDS[1]}}}},
    {"link": {**VXLAN, "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 42, "remote": "x"}}}}, {"link": 7}])
def test_where_nothing_is_to_be_said(tmp_path: Path, case: dict[str, Any]) -> None:
    summary = told(tmp_path, **case)
    assert summary["cached_routes"] == []
    assert not any("cached route" in sentence for sentence in summary["verdict"])


@pytest.mark.parametrize("seed", range(100))
def test_what_no_command_prints_is_survived(seed: int) -> None:
    chance = random.Random(seed)
    said = {"links": [VXLAN, {"ifname": "eth0", "mtu": 1500}], "routes": [ROUTE], "cached-routes": [CACHED],
            "rules": [{"priority": 32766, "src": "all", "table": "main"}]}
    before, after = ({name: spoilt(value, chance) for name, value in said.items()} for _ in range(2))
    assert cached_routes(NoRecords(), Known({("hv-a", "hv-a"): Reading(before, after)})) == []
