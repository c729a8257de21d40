# SPDX-License-Identifier: Apache-2.0
"""summary.json: the run in numbers, for programs."""
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .clock import HostClock
from .devices import Key
from .fleet import Host, one_value
from .losses import MOST, as_loss
from .store import Store

FORMAT = "skbfleet-summary/1"
FLOWS = 1000
NEVER = 1 << 63  # a window without an end has its end at the end of time


def iso(nanoseconds: int | None) -> str | None:
    """Return wall ns as ISO 8601 with microseconds."""
    if nanoseconds is None:
        return None
    second, rest = divmod(int(nanoseconds), 1_000_000_000)
    return "%s.%06dZ" % (datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"), rest // 1000)


def window(hosts: Sequence[Host]) -> dict[str, Any]:
    """Return the window in wall time: from the earliest start to the latest end that any host had."""
    starts: list[int] = []
    ends: list[int] = []
    for host in hosts:
        for bundle, _, clock in host.bundles:
            given = bundle.manifest["window"]
            for name, into in (("start_ns", starts), ("end_ns", ends)):
                if 0 < int(given.get(name) or 0) < NEVER:
                    into.append(int(clock.to_wall(_array(given[name]))[0]))
    start, end = min(starts, default=None), max(ends, default=None)
    return {"start": iso(start), "end": iso(end),
            "seconds": (end - start) / 1e9 if start is not None and end is not None else None}


def _array(value: int) -> Any:
    import numpy as np
    return np.array([int(value)], "i8")


def flows(store: Store) -> tuple[list[dict[str, Any]], int]:
    """Return (the flows with most packets, how many flows there are). A flow has as many packets as the place that
    saw most of them; one packet is seen at many places."""
    store.run("""CREATE TEMP TABLE places AS SELECT flow, host, netns, device, point, count(*) AS packets,
              sum(len)::BIGINT AS bytes, min(time) AS first, max(time) AS last FROM counted GROUP BY ALL""")
    total = store.rows("SELECT count(DISTINCT flow) AS n FROM places")[0]["n"]
    rows = store.rows("""SELECT flow AS key, max(packets) AS packets, max_by(bytes, packets) AS bytes,
        sum(packets)::BIGINT AS records, epoch_ns(min(first)) AS first, epoch_ns(max(last)) AS last,
        list(DISTINCT host ORDER BY host) AS hosts
        FROM places GROUP BY flow ORDER BY packets DESC, key LIMIT ?""", FLOWS)
    return [dict(row, first=iso(row["first"]), last=iso(row["last"])) for row in rows], total


def seen(store: Store) -> list[dict[str, Any]]:
    """Return what was seen at each point of each device: packets (records) and bytes."""
    rows = store.rows("""SELECT host, netns, device, point, sum(packets)::BIGINT AS packets,
        sum(bytes)::BIGINT AS bytes, epoch_ns(min(first)) AS first, epoch_ns(max(last)) AS last
        FROM places GROUP BY ALL ORDER BY host, netns, device, point""")
    return [dict(row, first=iso(row["first"]), last=iso(row["last"])) for row in rows]


def summarise(run_id: str, hosts: Sequence[Host], store: Store, drops: Sequence[dict[str, Any]],
              devices: dict[Key, dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
    """Return the content of summary.json, but for the verdict."""
    listed, total = flows(store)
    return {
        "format": FORMAT, "run_id": run_id, "window": window(hosts), "filter": one_value(hosts, "filter") or {},
        "tracers": sorted({bundle.tracer for host in hosts for bundle, _, _ in host.bundles}),
        "records": sum(host.records for host in hosts), **facts,
        "hosts": {host.name: _host(host) for host in hosts},
        "flows": listed, "flows_total": total, "segments": [],
        "losses": [as_loss(drop, iso) for drop in drops[:MOST]], "losses_total": len(drops),
        "drops": sum(drop["packets"] for drop in drops),
        "seen": seen(store),
        "devices": [dict({"host": host, "netns": netns, "device": name}, **entry)
                    for (host, netns, name), entry in sorted(devices.items())],
    }


def _host(host: Host) -> dict[str, Any]:
    clock: HostClock | None = host.bundles[0][2] if host.bundles else None
    return {
        "status": host.status(), "why": host.why(), "records": host.records, "lost": host.lost,
        "late_us": host.late_ns() / 1000, "stopped_early_us": host.early_ns() / 1000,
        "points": {"attached": host.attached(), "skipped": host.skipped()},
        "clock": {"offset_us": clock.offset_us, "bound_us": clock.bound_us, "method": clock.method,
                  "stepped_us": clock.stepped_us} if clock else None,
        "tracers": {bundle.tracer: {
            "records": bundle.records, "lost": bundle.lost(), "counters": bundle.manifest["counters"],
            "ended_by": bundle.manifest.get("ended_by"), "limits": bundle.manifest["limits"],
            "tool_version": bundle.manifest.get("tool_version"), "problems": bundle.problems,
        } for bundle, _, _ in host.bundles},
        "kernel": next((bundle.manifest["kernel"].get("release") for bundle, _, _ in host.bundles), None),
    }
