# SPDX-License-Identifier: Apache-2.0
"""How full queues were: over the run, and before a drop."""
import json
from pathlib import Path
from typing import Any

import pytest
from support import html
from support.bundles import Bundle, ethernet, ipv4, udp
from support.fleet import merged

from fleetmerge.errors import MergeError
from skbtrace.programs import queues

PACKET = ethernet(ipv4("192.168.32.10", "192.168.32.20", udp(5000, 5001, 10)))
TAP, SOFTNET, QDISC, RECEIVE = (queues.BY_NAME[name].number for name in ("tap", "softnet", "qdisc", "receive"))


def host(name: str = "hv-b") -> Bundle:
    """A host with a NIC and a tap."""
    bundle = Bundle(name, points=["dev.rx", "dev.tx", "skb.drop", "skb.free", "dev.backlog", "dev.queue", "udp.full"])
    bundle.device(2, "eth0", role="phy")
    bundle.device(3, "vnet0", role="vnet")
    bundle.symbol(0xFFFFFFFF81000010, "tun_net_xmit+0x2e2")
    return bundle


def meet(bundle: Bundle, second: float, kind: int, length: int, limit: int, point: str = "dev.tx", ifindex: int = 3,
         **fields: Any) -> None:
    bundle.event(second, point, ifindex, PACKET, queue_kind=kind, queue_len=length, queue_limit=limit, **fields)


def summary(bundle: Bundle, path: Path) -> dict[str, Any]:
    bundle.write(path)
    return merged(path)


def test_fill_over_the_run(tmp_path: Path) -> None:
    bundle = host()
    for number in range(100):
        meet(bundle, 1 + 0.01 * number, TAP, number, 99)
    meet(bundle, 2.5, TAP, 99, 99)       # full from 1.99 to 2.5, and not at 2.6
    meet(bundle, 2.6, TAP, 7, 99)
    meet(bundle, 2.7, TAP, 3, 8, queue_mapping=1)
    (one, two) = summary(bundle, tmp_path)["queues"]
    assert one.pop("full") == {"records": 2, "share": pytest.approx(100 * 2 / 102), "seconds": pytest.approx(0.51)}
    assert one == {"host": "hv-b", "netns": "hv-b", "device": "vnet0", "kind": "tap", "queue": "0",
                   "unit": "packets", "records": 102, "points": ["dev.tx"], "min": 0, "median": 49, "p99": 99,
                   "max": 99, "limit": 99, "drops": 0}
    assert (two["queue"], two["max"], two["limit"], two["full"]["records"]) == ("1", 3, 8, 0)
    assert "hv-b  vnet0 0  tap   packets      102    0      49    99   99     99     2.0      0" in \
        (tmp_path / "verdict.txt").read_text()
    page = html.read((tmp_path / "report.html").read_text())
    (first, second) = json.loads(next(page.all("script", id="series")).text())["lines"]
    assert (first["name"], first["unit"], first["limit"]) == ("hv-b vnet0 tap 0", "packets", 99)
    parts = [int(0.01 * number / 1.7 * 1000) for number in (0, 50, 99)]    # of the 1.7 s, in 1000 parts
    assert [first["fill"][part] for part in parts] == [0, 50, 99]
    assert [length for length in second["fill"] if length is not None] == [3]


def test_what_has_one_queue_each(tmp_path: Path) -> None:
    """A backlog is of its CPU, whatever device; a socket of its address; a qdisc of its device's queue."""
    bundle = host()
    for number, fields in enumerate([{"ifindex": 2, "cpu": 1}, {"ifindex": 3, "cpu": 1}, {"ifindex": 3, "cpu": 0}]):
        meet(bundle, 1 + number, SOFTNET, number, 1000, "dev.backlog", **fields)
    meet(bundle, 5, RECEIVE, 212000, 212992, "udp.full", ifindex=0)
    meet(bundle, 6, QDISC, 5, 0, "dev.queue", ifindex=2)
    found = {(row["kind"], row["netns"], row["device"], row["queue"], row["unit"]): (row["records"], row["full"])
             for row in summary(bundle, tmp_path)["queues"]}
    nothing = {"records": 0, "share": 0.0, "seconds": 0.0}
    assert found == {("softnet", "", "", "cpu 1", "packets"): (2, nothing),
                     ("softnet", "", "", "cpu 0", "packets"): (1, nothing),
                     ("receive", "hv-b", "", "192.168.32.20:5001 udp", "bytes"): (1, {
                         "records": 1, "share": 100.0, "seconds": 0.0}),  # UDP says so, below the limit
                     ("qdisc", "hv-b", "eth0", "0", "packets"): (1, nothing)}


def test_fill_before_the_first_drop(tmp_path: Path) -> None:
    bundle = host()
    for number in range(20):
        meet(bundle, 1 + 0.1 * number, TAP, number, 20)
        meet(bundle, 1.01 + 0.1 * number, TAP, 3, 20, queue_mapping=1)     # another ring
    for second in (4.0, 4.1):
        meet(bundle, second, TAP, 20, 20, "skb.drop", reason=77, location=0xFFFFFFFF81000010)
        meet(bundle, second + 0.05, TAP, 20, 20)
    found = summary(bundle, tmp_path)
    (loss,) = [one for one in found["losses"] if one["kind"] == "drop"]
    queue = loss["queue"]
    assert [one["length"] for one in queue["before"]] == list(range(10, 20))
    assert queue["before"][-1]["time"] == "2026-11-22T11:27:52.900000Z"
    assert (queue["kind"], queue["queue"], queue["unit"], queue["limit"]) == ("tap", "0", "packets", 20)
    assert any("found in it: 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 of 20." in one for one in found["verdict"])


def test_a_qdisc_may_drop_without_being_full(tmp_path: Path) -> None:
    """What netem loses, and what a shaper has no room for, has one reason."""
    bundle = host()
    bundle.manifest["drop_reasons"]["9"] = "QDISC_DROP"
    for number in range(3):
        meet(bundle, 1 + number, QDISC, number, 100, "dev.queue", ifindex=2)
    meet(bundle, 4, QDISC, 3, 100, "skb.drop", ifindex=2, reason=9, location=0xFFFFFFFF81000010)
    found = summary(bundle, tmp_path)
    (queue,) = found["queues"]
    assert (queue["drops"], queue["full"]["records"]) == (1, 0)
    assert [one["length"] for one in found["losses"][0]["queue"]["before"]] == [0, 1, 2]


def test_other_drops_have_no_queue(tmp_path: Path) -> None:
    bundle = host()
    meet(bundle, 1, TAP, 5, 20)
    bundle.event(2, "skb.drop", 3, PACKET, reason=5, location=0xFFFFFFFF81000010)
    assert all("queue" not in loss for loss in summary(bundle, tmp_path)["losses"])


def test_numbers_are_what_their_own_bundle_says(tmp_path: Path) -> None:
    """Another version may number kinds otherwise, and one before this said nothing of them."""
    other, old = host("hv-a"), host("hv-b")
    other.manifest["queues"] = {"kinds": {"2": {"name": "elsewhere", "unit": "things", "of": "device"}}}
    del old.manifest["queues"]
    for bundle in (other, old):
        meet(bundle, 1, 2, 5, 9)
        bundle.write(tmp_path)
    found = {row["host"]: (row["kind"], row["unit"]) for row in merged(tmp_path)["queues"]}
    assert found == {"hv-a": ("elsewhere", "things"), "hv-b": ("2", "")}
    assert "queue=elsewhere:5/9" in (tmp_path / "timeline.log").read_text()


@pytest.mark.parametrize("kinds", [[], {"x": {"name": "tap"}}, {"1": {}}, {"1": {"name": "tap", "full": "all"}},
                                   {"1": "tap"}, {"256": {"name": "tap"}},
                                   {"1": {"name": "tap", "refused": [7]}}])
def test_kinds_that_make_no_sense(kinds: Any, tmp_path: Path) -> None:
    bundle = host()
    bundle.manifest["queues"] = {"kinds": kinds}
    meet(bundle, 1, TAP, 5, 20)
    with pytest.raises(MergeError, match="kinds of queues are not an object"):
        summary(bundle, tmp_path)
