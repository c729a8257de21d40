# SPDX-License-Identifier: Apache-2.0
"""summary.json: the run in numbers, for programs."""
from collections.abc import Sequence
from typing import Any

from ..clock.host import HostClock
from ..findings.hosts import Host
from ..journey.found import FLOWS
from ..words import iso
from .store import Store

NEVER = 1 << 63  # a window without an end has its end at the end of time


def window(hosts: Sequence[Host]) -> dict[str, Any]:
    """Return the window in wall time."""
    start, end = window_ns(hosts)
    return {"start": iso(start), "end": iso(end),
            "seconds": (end - start) / 1e9 if start is not None and end is not None else None}


def window_ns(hosts: Sequence[Host]) -> tuple[int | None, int | None]:
    """Return the earliest start and the latest end that any host had, wall ns."""
    starts: list[int] = []
    ends: list[int] = []
    for host in hosts:
        for bundle, _, clock in host.bundles:
            given = bundle.manifest["window"]
            for name, into in (("start_ns", starts), ("end_ns", ends)):
                if 0 < int(given.get(name) or 0) < NEVER:
                    into.append(int(clock.to_wall(_array(given[name]))[0]))
    return min(starts, default=None), max(ends, default=None)


def _array(value: int) -> Any:
    import numpy as np
    return np.array([int(value)], "i8")


def flows(store: Store) -> list[dict[str, Any]]:
    """Return the flows whose packets were not followed (they are not IP), by what was seen of them. A flow has as many
    packets as the place that saw most of them; one packet is seen at many places."""
    rows = store.rows("""SELECT flow AS key, max(packets) AS packets, max_by(bytes, packets) AS bytes,
        epoch_ns(min(first)) AS first, epoch_ns(max(last)) AS last
        FROM (SELECT flow, count(*) AS packets, sum(len)::BIGINT AS bytes, min(time) AS first, max(time) AS last
              FROM counted WHERE flow LIKE 'ethertype %' GROUP BY flow, host, netns, device, point)
        GROUP BY flow ORDER BY packets DESC, key LIMIT ?""", FLOWS)
    return [dict(row, first=iso(row["first"]), last=iso(row["last"])) for row in rows]


def host_entry(host: Host) -> dict[str, Any]:
    """Return a host as it stands in summary.json."""
    clock: HostClock | None = host.bundles[0][2] if host.bundles else None
    return {
        "status": host.status(), "why": host.why(), "records": host.records, "lost": host.lost,
        "shed": host.shed,
        "late_us": host.late_ns() / 1000, "stopped_early_us": host.early_ns() / 1000,
        "points": {"attached": host.attached(), "skipped": host.skipped(), "unmatched": host.unmatched()},
        "clock": {"offset_us": clock.offset_us, "bound_us": clock.bound_us, "method": clock.method,
                  "drift_ppm": clock.drift_ppm, "stepped_us": clock.stepped_us,
                  "doubt": clock.doubt} if clock else None,
        "tracers": {bundle.tracer: {
            "records": bundle.records, "lost": bundle.lost(), "shed": bundle.shed(),
            "counters": bundle.manifest["counters"],
            "ended_by": bundle.manifest.get("ended_by"), "limits": bundle.manifest["limits"],
            "tool_version": bundle.manifest.get("tool_version"), "problems": bundle.problems,
        } for bundle, _, _ in host.bundles},
        **host.nearest(),
        "kernel": next((bundle.manifest["kernel"].get("release") for bundle, _, _ in host.bundles), None),
    }
