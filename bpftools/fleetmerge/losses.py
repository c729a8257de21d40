# SPDX-License-Identifier: Apache-2.0
"""Drops: what the kernel itself said it threw away, where, in which function, why, how often."""
from collections.abc import Sequence
from typing import Any

from .store import Store

MOST = 10_000  # losses that are listed one by one


def find_drops(store: Store) -> list[dict[str, Any]]:
    """Return every drop: one entry for each host, device, function, reason and flow, most packets first."""
    return store.rows("""
        SELECT host, netns, device, point, split_part("at", '+', 1) AS function, mode("at") AS "at", reason, flow,
               count(*) AS packets, sum(len)::BIGINT AS bytes, epoch_ns(min(time)) AS first_ns,
               epoch_ns(max(time)) AS last_ns, mode(stack) AS stack
        FROM counted WHERE point = 'skb.drop'
        GROUP BY host, netns, device, point, function, reason, flow
        ORDER BY packets DESC, host, device, function, flow""")


def by_place(drops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sum drops over flows: one entry for each host, device, function and reason, most packets first."""
    places: dict[tuple[Any, ...], dict[str, Any]] = {}
    for drop in drops:
        key = tuple(drop[name] for name in ("host", "netns", "device", "function", "reason"))
        place = places.setdefault(key, dict(drop, packets=0, flows=0))
        place["packets"] += drop["packets"]
        place["flows"] += 1
        place["first_ns"] = min(place["first_ns"], drop["first_ns"])
        place["last_ns"] = max(place["last_ns"], drop["last_ns"])
    return sorted(places.values(), key=lambda place: -place["packets"])


def as_loss(drop: dict[str, Any], iso: Any) -> dict[str, Any]:
    """Return a drop as it stands in summary.json."""
    return {"kind": "drop", "flow": drop["flow"], "packets": drop["packets"], "bytes": drop["bytes"],
            "certainty": "certain", "why": "the kernel freed the packet as a drop", "host": drop["host"],
            "netns": drop["netns"], "device": drop["device"], "point": drop["point"], "function": drop["function"],
            "at": drop["at"], "reason": drop["reason"],
            "stack": drop["stack"].split(";") if drop["stack"] else [],
            "first": iso(drop["first_ns"]), "last": iso(drop["last_ns"])}
