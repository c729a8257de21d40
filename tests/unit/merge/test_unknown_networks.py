# SPDX-License-Identifier: Apache-2.0
"""What comes in a tunnel's network that the host has no device for."""
from pathlib import Path
from typing import Any

import pytest
from support.bundles import NETNS, ethernet, geneve, ipv4, udp, vxlan
from support.fleet import ETH0, Fleet, add_evidence, merged, udp_packet

ENDS = ("10.88.0.1", "10.88.0.2")
OWN = [{"ifname": "eth0", "addr_info": [{"family": "inet", "local": ENDS[1]}]}]
FOUND = {"host": "hv-b", "netns": "hv-b", "kind": "vxlan", "vni": 42, "packets": 20, "senders": [ENDS[0]],
         "ends": [{"device": "vxlan0", "vni": 43}]}


def link(name: str, vni: Any, kind: str = "vxlan", **more: Any) -> dict[str, Any]:
    return {"ifname": name, "linkinfo": {"info_kind": kind, "info_data": {"id": vni, **more}}}


def told(tmp_path: Path, *links: dict[str, Any], addresses: Any = OWN, target: str = ENDS[1], inside: str = "vxlan",
         devices: tuple[int, ...] = (ETH0,), before: Any = None) -> tuple[list[dict[str, Any]], str]:
    """Return the unknown networks, and the verdict, of a run in which hv-b got packets of network 42. links, addresses:
    what was read there; devices: that received each of them."""
    fleet = Fleet()
    fleet.b.device(9, "bond0", "bond")
    for number in range(20):
        port, head = (4789, vxlan) if inside == "vxlan" else (6081, geneve)
        outer = ethernet(ipv4(ENDS[0], target, udp(50000, port, head(42, udp_packet(number))), ident=number + 1))
        for device in devices:
            fleet.b.event(1 + number / 10, "dev.rx", device, outer)
    run = fleet.write(tmp_path)
    readings = {when: {"began_ns": 1, "ended_ns": 2, "host": {}, "namespaces": {str(NETNS): {
        "links": {"value": rows}, "addresses": {"value": addresses}}}}
        for when, rows in (("before", list(links) if before is None else before), ("after", list(links)))}
    add_evidence(run, "hv-b", {"format": "skbfleet-evidence/1", **readings})
    summary = merged(run)
    return summary["unknown_networks"], "\n".join(summary["verdict"])


def test_a_network_that_was_changed_at_one_end(tmp_path: Path) -> None:
    found, verdict = told(tmp_path, link("vxlan0", 43))
    assert found == [FOUND]
    assert "20 packets came to hv-b in the VXLAN network 42, for which it has no device (vxlan0 has 43)." in verdict


def test_a_device_that_went_away_in_the_window_may_have_taken_it(tmp_path: Path) -> None:
    assert told(tmp_path, link("vxlan0", 43), before=[link("vxlan0", 43), link("vxlan1", 42)])[0] == []


def test_what_a_bond_receives_again_counts_once(tmp_path: Path) -> None:
    assert told(tmp_path, link("vxlan0", 43), devices=(ETH0, 9))[0] == [FOUND]


def test_devices_of_another_kind_do_not_matter(tmp_path: Path) -> None:
    found, _ = told(tmp_path, link("vxlan0", 42), link("gnv0", 7, "geneve"), inside="geneve")
    assert found == [dict(FOUND, kind="geneve", ends=[{"device": "gnv0", "vni": 7}])]


@pytest.mark.parametrize("links", [
    [], [link("vxlan0", 43), link("vxlan1", 42)], [link("vxlan0", 42), link("vxlan0", 43)],
    [link("vxlan0", 43), link("vxlan_sys_4789", 0, external=True)], [link("vxlan0", 0, vnifilter=True)],
    [link("vxlan0", "x")], [link("vxlan0", -1)], [link("gnv0", 43, "geneve")],
    [{"ifname": "vxlan0", "linkinfo": {"info_kind": "vxlan", "info_data": [42]}}, {"linkinfo": "vxlan"}]])
def test_where_a_device_takes_it_or_may(tmp_path: Path, links: list[dict[str, Any]]) -> None:
    assert told(tmp_path, *links)[0] == []


@pytest.mark.parametrize("addresses", [[], "x", [{"addr_info": 7}, {"addr_info": [7, {"local": {}}]}]])
def test_what_is_for_another_host(tmp_path: Path, addresses: Any) -> None:
    assert told(tmp_path, link("vxlan0", 43), addresses=addresses)[0] == []
    assert told(tmp_path / "on", link("vxlan0", 43), target="10.88.0.3")[0] == []
