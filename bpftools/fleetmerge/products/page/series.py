# SPDX-License-Identifier: Apache-2.0
"""The run over time, in few numbers: packets, losses, what was sent again, and how full queues were."""
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ..queues import Queues
from ..store import MEMORY
from .chosen import AGAIN

BINS = 1000
_QUEUES = 8     # that are shown
_STEPS = 4
_SAMPLE = 200_000    # packets whose steps are measured
_KINDS = {"dropped": "outcome = 'dropped' AND certainty = 'certain'",
          "vanished": "outcome = 'vanished' AND certainty = 'certain'",
          "not certain": "outcome IN ('dropped', 'vanished', 'unknown') AND certainty <> 'certain'"}


@dataclass(frozen=True)
class Axis:
    """Equal parts of the time in which packets were seen. start, width: ns."""

    start: int
    width: int


def axis(summary: Mapping[str, Any]) -> Axis | None:
    """Return the axis for a run; None if nothing was seen."""
    if not summary["seen"]:
        return None
    first = min(_nanoseconds(place["first"]) for place in summary["seen"])
    last = max(_nanoseconds(place["last"]) for place in summary["seen"]) + 1000
    return Axis(first, max(1000, -(-(last - first) // BINS)))


def _nanoseconds(iso: str) -> int:
    moment = datetime.fromisoformat(iso)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def of_queues(queues: Queues, along: Axis | None) -> list[dict[str, Any]]:
    """Return how full the queues were that were full most often, or held most: the most in each part of the time."""
    if not along:
        return []
    out = []
    for queue, points in queues.over_time(along.start, along.width, _QUEUES):
        fill: list[int | None] = [None] * BINS
        for part, length in points:
            if 0 <= part < BINS:
                fill[part] = length
        name = " ".join(str(queue[key]) for key in ("host", "device", "kind", "queue") if queue[key] != "")
        out.append({"name": name, "unit": queue["unit"], "limit": queue["limit"], "fill": fill})
    return out


def of_steps(journeys: str, summary: Mapping[str, Any], along: Axis | None) -> list[dict[str, Any]]:
    """Return how long the slowest steps took in each part of the time: median and 99 %, us, of a sample of packets, of
    those whose way has no branches.

    journeys: journeys.parquet.
    """
    slow = sorted((step for step in summary["segments"] if step["latency_us"]),
                  key=lambda step: -step["latency_us"]["p50"])[:_STEPS]
    if not along or not slow:
        return []
    out: list[dict[str, Any]] = [{"name": _words(step, "host", "device"), "unit": "µs", "fill": [None] * BINS,
                                  "high": [None] * BINS} for step in slow]
    places = [step[end][name] for step in slow for end in ("from", "to") for name in ("host", "device", "point")]
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        rows = connection.execute("""
            WITH steps (number, host, device, point, to_host, to_device, to_point) AS (VALUES %s),
            pairs AS (
                SELECT unnest(list_zip(places[:-2], places[2:])) AS pair FROM read_parquet(?)
                WHERE branches = 1 AND hash(journey) %% ? = 0),
            taken AS (
                SELECT number, (epoch_ns(pair[1].time) - ?) // ? AS part,
                       (epoch_ns(pair[2].time) - epoch_ns(pair[1].time)) / 1e3 AS took
                FROM pairs JOIN steps ON (pair[1].host, pair[1].device, pair[1].point) = (host, device, point)
                    AND (pair[2].host, pair[2].device, pair[2].point) = (to_host, to_device, to_point))
            SELECT number, part, round(quantile_cont(took, 0.5), 1), round(quantile_cont(took, 0.99), 1) FROM taken
            GROUP BY number, part""" % ", ".join("(%d, ?, ?, ?, ?, ?, ?)" % number for number in range(len(slow))), [
                *places, journeys, max(1, summary["packets"] // _SAMPLE), along.start, along.width]).fetchall()
    for number, part, median, high in rows:
        if 0 <= part < BINS:
            out[number]["fill"][part], out[number]["high"][part] = max(0.0, median), max(0.0, high)
    return out


def _words(step: Mapping[str, Any], *names: str) -> str:
    return " > ".join(" ".join(step[end][name] for name in names) for end in ("from", "to"))


def of_packets(journeys: str, along: Axis | None) -> dict[str, list[int]]:
    """Return how many packets were seen first in each part of the time, were sent again, or were last seen and lost.

    journeys: journeys.parquet.
    """
    if not along:
        return {}
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        def counts(moment: str, condition: str) -> list[int]:
            out = [0] * BINS
            for part, count in connection.execute(
                    "SELECT (epoch_ns(%s) - ?) // ? AS part, count(*) FROM read_parquet(?) WHERE %s GROUP BY part" % (
                        moment, condition), [along.start, along.width, journeys]).fetchall():
                out[min(max(part, 0), BINS - 1)] += count
            return out
        lost = {name: counts("last", condition) for name, condition in _KINDS.items()}
        return {"packets": counts("first", "true"), **lost, "sent again": counts("first", AGAIN)}
