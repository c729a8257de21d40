# SPDX-License-Identifier: Apache-2.0
"""One packet of a merged run as a table: its places down, over all hosts, across only what changed on its way."""
import os
from collections.abc import Sequence
from typing import Any

import duckdb

from ..errors import MergeError
from ..words import printable
from .store import MEMORY

_MOST = 10_000   # records of one packet
_MARK = "*"
# not of the packet, or never the same twice
_BESIDE = {"time", "monotonic_ns", "host", "tracer", "point", "device", "netns", "comm", "pid", "cpu", "skb", "head",
           "reason", "at", "stack", "packet", "journey", "header", "ifindex", "rx_ifindex", "src", "dst", "src_port",
           "dst_port", "protocol"}   # the last ones stand in `flow`
# what a packet takes along from host to host; the rest is compared within one skb alone
_CARRIED = {"flow", "inner_flow", "vlan", "tunnel", "tunnel_id", "mac_src", "mac_dst", "tcp_flags", "seq", "ack",
            "ip_id", "ttl", "tos", "fragment", "more_fragments", "payload_len", "icmp_type", "icmp_code",
            "icmp_id", "icmp_seq", "payload_hash"}
Row = dict[str, Any]


def table(events: str, journey: str) -> str:
    """Return a packet's table. events: a merged run's events.parquet; journey: as journeys.parquet names it.

    Raises MergeError if the run has no such packet.
    """
    rows = read(events, [journey])
    if not rows:
        raise MergeError("%s has no record of journey %r: journeys.parquet names them" % (events, journey))
    names, fields = changes(rows)
    cells = [["µs", "host", "device", "point", *names]]
    for row, values in zip(rows, fields, strict=True):
        cells.append(["%+.1f" % ((row["time"] - rows[0]["time"]) / 1e3),
                      *(_text(row[name]) for name in ("host", "device", "point")),
                      *(text + _MARK * changed for text, changed in values)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    ends = [""] + ["".join("  %s=%s" % (name, _text(row[name])) for name in ("reason", "at") if row[name] is not None)
                   for row in rows]
    return "\n".join((line + end).rstrip() for line, end in zip(lines, ends, strict=True)) + "\n"


def changes(rows: Sequence[Row]) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Return the fields that changed on a packet's way, and, for each record, their values and whether they differ from
    what was known before it."""
    before = _before(rows)
    names = [name for name in rows[0] if name not in _BESIDE and any(
        _differs(row[name], one[name]) for row, one in zip(rows, before, strict=True))]
    return names, [[(_text(row[name]), _differs(row[name], one[name])) for name in names]
                   for row, one in zip(rows, before, strict=True)]


def read(events: str, journeys: Sequence[str]) -> list[Row]:
    """Return the records of packets in the order of time, which is in ns since 1970."""
    if not os.path.exists(events):
        raise MergeError("%s is not there: the run has to be merged first" % events)
    try:
        with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
            # the other columns are read only where these packets' records are
            cursor = connection.execute("""
                SELECT * EXCLUDE (file_row_number) REPLACE (epoch_ns(time) AS time)
                FROM read_parquet(?, file_row_number = true) WHERE file_row_number IN (
                    SELECT file_row_number FROM read_parquet(?, file_row_number = true) WHERE journey IN (%s))
                ORDER BY time, file_row_number LIMIT %d""" % (", ".join("?" * len(journeys)), _MOST),
                                        [events, events, *journeys])
            names = [printable(column[0]) for column in cursor.description or []]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error as error:
        raise MergeError("%s cannot be read: %s" % (events, printable(str(error).splitlines()[0]))) from error
    missing = _BESIDE - set(names)
    if missing:
        raise MergeError("%s cannot be read: it has no column %s" % (events, ", ".join(sorted(missing))))
    return rows


def _before(rows: Sequence[Row]) -> list[Row]:
    """Return for each record what was known of each field before it, None where nothing was."""
    out: list[Row] = []
    carried: Row = {}
    of_skb: dict[tuple[Any, Any], Row] = {}
    for row in rows:
        own = of_skb.setdefault((row["host"], row["skb"]), {})
        out.append({name: (carried if name in _CARRIED else own).get(name) for name in row})
        for name, value in row.items():
            if value is not None:
                own[name] = carried[name] = value
    return out


def _differs(value: Any, before: Any) -> bool:
    return before is not None and value is not None and value != before


def _text(value: Any) -> str:
    return "-" if value is None else printable(str(value))
