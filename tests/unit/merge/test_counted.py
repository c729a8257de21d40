# SPDX-License-Identifier: Apache-2.0
"""What tracers counted and did not record: said where it may make a statement false, and only there."""
from pathlib import Path
from typing import Any

import pytest
from support.bundles import Bundle, ethernet, ipv4, udp
from support.fleet import merged

PACKET = ethernet(ipv4("192.168.32.10", "192.168.32.20", udp(5000, 5001, 10)))
POINTS = ["dev.rx", "dev.tx", "skb.drop", "skb.free", "tcp.retransmit", "ip.rx"]


def summary(path: Path, counts: dict[str, Any], **attached: Any) -> dict[str, Any]:
    """Merge a host whose one packet comes in and leaves; counts: per point, in place of what is usual."""
    bundle = Bundle("hv-a", points=POINTS)
    bundle.device(2, "eth0", role="phy")
    bundle.device(3, "vnet0", role="vnet")
    for number, (point, ifindex) in enumerate((("dev.rx", 3), ("dev.tx", 2), ("skb.free", 2))):
        bundle.event(1 + number / 1e5, point, ifindex, PACKET, skb=16, head=32)
    for point in ("dev.rx", "dev.tx", "skb.free"):
        bundle.manifest["per_point"][point].update(seen=10, matched=1)
    for point, row in counts.items():
        bundle.manifest["per_point"][point] = row
    for entry in bundle.manifest["points"]["attached"]:
        entry.update(attached)
    bundle.write(path)
    return merged(path)


def said(found: dict[str, Any], words: str) -> list[str]:
    return [one for one in found["doubts"] + found["verdict"] if words in one]


def test_drops_that_were_not_recorded_may_be_losses(tmp_path: Path) -> None:
    found = summary(tmp_path, {"skb.drop": {"seen": 9, "matched": 0, "no_device": 4}})
    (doubt,) = said(found, "at which device")
    assert doubt.startswith("4 packets that fit the filter were dropped on hv-a and not recorded by its ")
    assert said(found, "No packet was lost as far as can be seen, but drops at devices that the kernel does not tell "
                       "were not recorded on hv-a")


def test_frees_that_were_not_recorded_say_nothing(tmp_path: Path) -> None:
    found = summary(tmp_path, {"skb.free": {"seen": 9000, "matched": 1, "no_device": 5000}})
    assert said(found, "device") == []
    assert said(found, "No packet was lost.")


def test_other_points_are_named(tmp_path: Path) -> None:
    found = summary(tmp_path, {"tcp.retransmit": {"seen": 9, "matched": 0, "no_device": 7}})
    (doubt,) = said(found, "kernel does not say")
    assert "at tcp.retransmit (7): there" in doubt
    assert said(found, "No packet was lost.")


def test_a_point_where_nothing_fitted_is_named(tmp_path: Path) -> None:
    found = summary(tmp_path, {"ip.rx": {"seen": 12, "matched": 0}, "skb.drop": {"seen": 3, "matched": 0}})
    (doubt,) = said(found, "No packet that fits")
    assert "at ip.rx (12), though others were there" in doubt, "that nothing is dropped is as it should be"
    assert found["hosts"]["hv-a"]["points"]["unmatched"] == {"ip.rx": 12, "skb.drop": 3}


@pytest.mark.parametrize("counts", [
    {"ip.rx": {"seen": 0, "matched": 0}}, {"ip.rx": {"seen": 12, "matched": 1}}, {"ip.rx": 7},
    {"ip.rx": {"seen": "many", "matched": -3}}, {"ip.rx": {"seen": 1 << 70}},
    {"ip.rx": {"seen": 12, "matched": 0}, **{point: {"seen": 5, "matched": 0} for point in POINTS[:4]}}], ids=str)
def test_otherwise_none_is(tmp_path: Path, counts: dict[str, Any]) -> None:
    found = summary(tmp_path, counts)
    assert said(found, "No packet that fits") == []
    assert found["hosts"]["hv-a"]["points"]["unmatched"] == {}


def test_points_where_another_tracer_matches_are_not(tmp_path: Path) -> None:
    found = summary(tmp_path, {"ip.rx": {"seen": 12, "matched": 0}}, only_followed=True)
    assert found["hosts"]["hv-a"]["points"]["unmatched"] == {}


@pytest.mark.parametrize(("points", "seen", "words"), [
    (POINTS, {"dev.rx": 53, "ip.rx": 7}, ", though other packets came to dev.rx (53)."),
    (POINTS, {"ip.rx": 7}, ", nor any other at a device."),
    (["skb.drop", "skb.free"], {"skb.free": 99}, ".")])
def test_where_nothing_matched_it_is_said_whether_there_was_anything(tmp_path: Path, points: list[str],
                                                                     seen: dict[str, int], words: str) -> None:
    bundle = Bundle("hv-a", points=points)
    for point, count in seen.items():
        bundle.manifest["per_point"][point]["seen"] = count
    bundle.write(tmp_path)
    assert said(merged(tmp_path), "was seen on hv-a") == ["No packet that matches the filter was seen on hv-a" + words]
