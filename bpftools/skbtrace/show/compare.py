# SPDX-License-Identifier: Apache-2.0
"""A table for each packet: its points down, across only what changed on the way, each change marked.

What is one packet, and what is compared, is what text.Changes says; then whatever else a record tells of the packet.
"""
from collections import OrderedDict
from typing import Any, Dict, List, Tuple

from . import text

_MOST_OPEN = 4096  # packets whose tables wait for their end
_MARK = "*"
_NOT_COMPARED = ("flags",)
Row = Tuple[Dict[str, Any], Dict[str, Any], int]  # the described record, what is compared, CLOCK_MONOTONIC ns


class Comparison:
    """Gathers records by packet, and writes each packet's table when it is freed, when its skb is used again, or at
    the end."""

    def __init__(self, stream: Any, facts: text.Facts) -> None:
        self._stream, self._facts = stream, facts
        self._changes = text.Changes(facts.fields)
        self._open: OrderedDict[Tuple[int, int], List[Row]] = OrderedDict()

    def write(self, record: Any) -> None:
        """Take one record."""
        shown = text.describe(record, self._facts)
        before, values = self._changes.values(record, shown["point"], shown["packet"])
        key = record.skb, record.head
        if before is None:
            self._close(key)
        compared = dict(zip(self._changes.names, values))
        compared.update(_flat(shown["packet"], ""))
        compared.update(_flat(shown.get("mac", {}), "mac_"))
        self._open.setdefault(key, []).append((shown, compared, record.time_ns))
        if shown["point"] in text.Changes.FREED:
            self._close(key)
        elif len(self._open) > _MOST_OPEN:
            self._close(next(iter(self._open)))

    def finish(self) -> None:
        """Write the tables that are left."""
        for key in list(self._open):
            self._close(key)

    def _close(self, key: Tuple[int, int]) -> None:
        """Write a packet's table, its records one by one: what the reader did not get is counted by record."""
        rows = self._open.pop(key, None)
        if rows:
            lines = _table(rows)
            first = rows[0][0]
            lines[0] = "%s %s %s skb=%s\n%s" % (first["time"], first["host"], text.format_packet(
                first["packet"], first["len"]), first["skb"], lines[0])
            for line in lines[:-1] + [lines[-1] + "\n"]:
                self._stream.write(line)


def _flat(packet: Dict[str, Any], prefix: str) -> Dict[str, Any]:
    out = {}
    for name, value in packet.items():
        if isinstance(value, dict):
            out.update(_flat(value, prefix + name + "."))
        elif name not in _NOT_COMPARED:
            out[prefix + name] = value
    return out


def _table(rows: List[Row]) -> List[str]:
    """Return the text of each row, the first one with the table's head above it."""
    names = _changed([compared for _shown, compared, _time in rows])
    started = rows[0][2]
    cells = [["µs", "point", "device"] + names]
    last: Dict[str, Any] = {}
    for shown, compared, time_ns in rows:
        cells.append(["%+.1f" % ((time_ns - started) / 1e3), shown["point"], shown["device"]]
                     + [_cell(compared.get(name), last.get(name)) for name in names])
        last.update((name, value) for name, value in compared.items() if value is not None)
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    lines[1:] = [line + _end(shown) for line, (shown, _compared, _time) in zip(lines[1:], rows)]
    return [lines[0] + "\n" + lines[1] + "\n"] + [line + "\n" for line in lines[2:]]


def _changed(each: List[Dict[str, Any]]) -> List[str]:
    """Return what has more than one value, in the order in which records have it."""
    names = OrderedDict((name, None) for compared in each for name in compared)
    return [name for name in names
            if len({compared[name] for compared in each if compared.get(name) is not None}) > 1]


def _cell(value: Any, before: Any) -> str:
    if value is None:
        return "-"
    return "%s%s" % (value, _MARK if before is not None and value != before else "")


def _end(shown: Dict[str, Any]) -> str:
    words = ["%s=%s" % (name, shown[name]) for name in ("reason", "at") if name in shown]
    return "".join("  " + word for word in words) + "".join("\n        " + frame for frame in shown.get("stack", []))
