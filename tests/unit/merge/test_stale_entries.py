# SPDX-License-Identifier: Apache-2.0
"""Entries of a bridge's forwarding table that lead to where an address does not send from."""
from pathlib import Path
from typing import Any

import pytest
from support.bundles import NETNS
from support.fleet import VNET0, A, B, Fleet, add_evidence, merged, udp_packet

MAC_A, MAC_B = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
OF_B = {"mac": MAC_B, "ifname": "vnet0", "master": "br0", "flags": [], "state": ""}
STALE = {"host": "hv-a", "netns": "hv-a", "bridge": "br0", "device": "vnet0", "mac": MAC_B, "static": False,
         "lives": {"host": "hv-b", "netns": "hv-b", "device": "vnet0", "by": "sent"}, "frames": 20}


def frame(number: int, source: str, target: str, src: str, dst: str) -> bytes:
    return bytes.fromhex((dst + src).replace(":", "")) + udp_packet(number, source, target)[12:]


def told(tmp_path: Path, *entries: dict[str, Any], answers: bool = True,
         named: str = "") -> tuple[list[dict[str, Any]], str]:
    """Return the stale entries, and the verdict, of a run in which A on hv-a sent to B, and B answered from hv-b.
    entries: of hv-a's bridge; named: the host whose tap has B's address behind 0xfe."""
    fleet = Fleet()
    for host in (fleet.a, fleet.b):
        if host.manifest["host"] == named:
            host.manifest["devices"][1]["mac"] = "fe" + MAC_B[2:]
    fleet.a.device(9, "bond0", "bond")
    for number in range(20):
        fleet.a.event(1 + number / 10, "dev.rx", 9, frame(number, A, B, MAC_A, MAC_B))      # counted once
        fleet.a.event(1 + number / 10, "dev.rx", VNET0, frame(number, A, B, MAC_A, MAC_B))
        if answers:
            fleet.b.event(1.05 + number / 10, "dev.rx", VNET0, frame(number, B, A, MAC_B, MAC_A))
    run = fleet.write(tmp_path)
    read = {"began_ns": 1, "ended_ns": 2, "host": {}, "namespaces": {str(NETNS): {"fdb": {"value": list(entries)}}}}
    add_evidence(run, "hv-a", {"format": "skbfleet-evidence/1", "before": read, "after": read})
    summary = merged(run)
    return summary["stale_entries"], "\n".join(summary["verdict"])


def test_a_vm_that_moved_away(tmp_path: Path) -> None:
    found, verdict = told(tmp_path, OF_B, dict(OF_B, vlan=7))
    assert found == [STALE]
    assert ("On hv-a, the bridge br0 believes %s to be behind vnet0, but it last sent from vnet0 on hv-b: "
            "20 frames for it came to hv-a." % MAC_B) in verdict


def test_a_static_entry_says_so(tmp_path: Path) -> None:
    found, verdict = told(tmp_path, dict(OF_B, state="static"))
    assert found == [dict(STALE, static=True)] and "behind vnet0 (a static entry), but" in verdict


@pytest.mark.parametrize("entry", [
    dict(OF_B, ifname="eth0"),                   # it leads to other hosts
    dict(OF_B, state="permanent"), dict(OF_B, master=None), dict(OF_B, mac=MAC_A),      # its own VM's
    dict(OF_B, mac=["%s"]), dict(OF_B, ifname={}, flags="sticky")])
def test_what_leads_to_where_it_should(tmp_path: Path, entry: dict[str, Any]) -> None:
    assert told(tmp_path, entry)[0] == []


def test_of_two_vms_with_one_address_each_has_its_own_device(tmp_path: Path) -> None:
    assert told(tmp_path, OF_B, named="hv-a")[0] == []


def test_of_who_was_not_heard_the_device_s_own_address_tells(tmp_path: Path) -> None:
    found, verdict = told(tmp_path, OF_B, answers=False, named="hv-b")
    assert found == [dict(STALE, lives=dict(STALE["lives"], by="device"))]
    assert "behind vnet0, but the device of the VM that has it is vnet0 on hv-b: 20 frames" in verdict


@pytest.mark.parametrize("named", ["", "hv-a"])
def test_of_who_was_not_heard_nothing_else_tells(tmp_path: Path, named: str) -> None:
    assert told(tmp_path, OF_B, answers=False, named=named)[0] == []
