# SPDX-License-Identifier: Apache-2.0
"""Where one tracer records what matches, and the other one what it follows, both count."""
from typing import Any

from support.bundles import Bundle

from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.findings.hosts import Host, counting


def bundles(where: Any, only_followed: bool) -> list[Any]:
    datapath, monitor = Bundle("hv-a"), Bundle("hv-a", "drop_monitor", points=["skb.drop"])
    datapath.manifest["points"]["attached"][2]["only_followed"] = only_followed
    return [open_bundle(made.write(where)) for made in (datapath, monitor)]


def test_both_tracers_count_at_a_point(tmp_path: Any) -> None:
    at_drops = [(tracer, point) for _, tracer, point in counting(bundles(tmp_path, True)) if point == "skb.drop"]
    assert sorted(at_drops) == [("datapath_tracing", "skb.drop"), ("drop_monitor", "skb.drop")]
    at_drops = [(tracer, point) for _, tracer, point in counting(bundles(tmp_path, False)) if point == "skb.drop"]
    assert at_drops == [("drop_monitor", "skb.drop")]


def test_who_records_what_it_follows_has_not_looked_for_the_rest(tmp_path: Any) -> None:
    datapath, monitor = bundles(tmp_path, True)

    def sees_drops(*some: Any) -> bool:
        return Host("hv-a", bundles=[(bundle, None, None) for bundle in some]).sees_drops()
    assert not sees_drops(datapath)
    assert sees_drops(datapath, monitor)
