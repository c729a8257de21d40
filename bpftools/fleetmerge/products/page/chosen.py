# SPDX-License-Identifier: Apache-2.0
"""Which packets are shown one by one: some of those that were lost, the slowest, some that were sent again, and some
healthy ones beside them."""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from ..compare import Row, read
from ..store import MEMORY, quoted

_LOST, _EACH = 8, 4     # packets that are shown: of those that were lost, of each other kind
_PLACES = 100           # of one packet
_RECORDS = 60
AGAIN = "sent_before > 0 AND flow LIKE '% tcp'"     # what the verdict counts as sent again
_TOOK = "epoch_ns(last) - epoch_ns(first)"
_WHOLE = "outcome IN ('arrived', 'ended', 'left') AND carried_by IS NULL AND len(places) > 1"
_ORDERS = {
    "lost": "outcome IN ('dropped', 'vanished') ORDER BY certainty <> 'certain', first",
    "sent again": AGAIN + " ORDER BY sent_before DESC",
    "slow": "%s ORDER BY %s DESC" % (_WHOLE, _TOOK),
    # of the flows that lost some, if there are any
    "healthy": "%s AND sent_before = 0 AND certainty = 'certain' ORDER BY NOT coalesce(list_contains(?, flow), false), "
               "abs(%s - (SELECT median(%s) FROM journeys WHERE %s))" % (_WHOLE, _TOOK, _TOOK, _WHOLE)}


@dataclass
class Packet:
    """A packet, its places in the order of time, and its records."""

    journey: str
    kind: str            # lost, slow, sent again, healthy
    flow: str
    outcome: str
    certainty: str
    branches: int
    places: list[dict[str, Any]]    # host, device, point, time (ns), bound_us
    records: list[Row]


def choose(summary: Mapping[str, Any], journeys: str, events: str | None, lost: int = _LOST,
           each: int = _EACH) -> list[Packet]:
    """Return packets to look at, as many of those that were lost, and of each other kind. journeys, events:
    journeys.parquet and events.parquet; without the latter they come without records."""
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        kinds = dict.fromkeys(_lost(summary, lost), "lost")
        connection.execute("CREATE VIEW journeys AS FROM read_parquet(%s)" % quoted(journeys))
        suffered = connection.execute("SELECT DISTINCT flow FROM journeys WHERE list_contains(?, journey)",
                                      [list(kinds)]).fetchall()
        for kind, order in _ORDERS.items():
            values = [list(kinds), *[[flow for (flow,) in suffered]] * order.count("?")]
            most = max(0, lost - len(kinds)) if kind == "lost" else each
            for (journey,) in connection.execute(
                    "SELECT journey FROM journeys WHERE NOT list_contains(?, journey) AND %s, journey LIMIT %d" % (
                        order, most), values).fetchall():
                kinds[journey] = kind
        if not kinds:
            return []
        found = connection.execute("""
            SELECT journey, coalesce(carried_by, journey), flow, outcome, certainty, branches,
                   [{'host': x.host, 'device': x.device, 'point': x.point, 'time': epoch_ns(x.time),
                     'bound_us': x.bound_us} FOR x IN places[:%d]]
            FROM journeys WHERE list_contains(?, journey)""" % _PLACES, [list(kinds)]).fetchall()
    records: dict[str, list[Row]] = {}
    for row in read(events, sorted({carrier for _, carrier, *_ in found})) if events else ():
        records.setdefault(row["journey"], []).append(row)
    packets = {}
    for journey, carrier, flow, outcome, certainty, branches, places in found:
        packets[journey] = Packet(journey, kinds[journey], flow, outcome, certainty, branches, places,
                                  records.get(carrier, [])[:_RECORDS])
    return [packets[journey] for journey in kinds if journey in packets]


def _lost(summary: Mapping[str, Any], most: int) -> list[str]:
    """Return samples of what the verdict says was lost, one of each sentence before a second one of any."""
    samples = [basis["journeys"] for basis in summary["basis"]]
    found = [journeys[turn] for turn in range(max(map(len, samples), default=0))
             for journeys in samples if turn < len(journeys)]
    return list(dict.fromkeys(found))[:most]
