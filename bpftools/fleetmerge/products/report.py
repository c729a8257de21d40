# SPDX-License-Identifier: Apache-2.0
"""verdict.txt: the summary as a page of text."""
from collections.abc import Iterable, Sequence
from typing import Any

from ..words import case, passed, settings

_PATHS = 10      # that are shown
_TREE = 12       # lines of one tree
_SCREEN = 40     # lines of all
_NUMBERS = ("packets", "min µs", "median", "99 %", "max", "±", "limit", "full %")    # columns; not each cell is one
_QUEUES = 12     # that are shown
_OWN = "* "      # before a line of the packet's own branch


def text(summary: dict[str, Any]) -> str:
    """Return verdict.txt."""
    window = summary["window"]
    complete = sum(host["status"] == "complete" for host in summary["hosts"].values())
    seconds = "%.3f" % window["seconds"] if window["seconds"] is not None else "?"
    lines = ["skbfleet run %s" % summary["run_id"], *("case     " + about for about in case(summary)),
             "window   %s to %s (%s s)" % (window["start"], window["end"], seconds),
             "filter   %s" % (settings(summary["filter"]) or "none"),
             "hosts    %d of %d complete; %d records" % (complete, len(summary["hosts"]), summary["records"])
             + "".join(", %d %s" % (count, name) for name, count in _gone(summary["hosts"].values()) if count)]
    if summary.get("reproduce"):
        lines.append("command  %s" % "; ".join("%s: %s" % item for item in summary["reproduce"].items()))
    lines += ["", "VERDICT", *("- " + sentence for sentence in summary["verdict"]), "", "HOW FAR TO TRUST IT"]
    lines += ["- " + doubt for doubt in summary["doubts"]] or ["- No record was lost, and no host is missing."]
    lines += ["", "WAYS", *_paths(summary["paths"])] if summary["paths"] else []
    lines += ["", "STEPS", *_segments(summary["segments"])] if summary["segments"] else []
    lines += ["", "QUEUES", *_queues(summary["queues"])] if summary["queues"] else []
    lines += ["", "SEEN", *_table(("host", "device", "point", "packets", "bytes"), [
        (row["host"], row["device"], row["point"], row["packets"], row["bytes"]) for row in summary["seen"]])]
    return "\n".join(lines) + "\n"


def _gone(hosts: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return how many records there are not, though their packets were seen: lost, and shed."""
    return [(name, sum(host[name] for host in hosts)) for name in ("lost", "shed")]


def _place(place: dict[str, str]) -> str:
    return "%s %s %s" % (place["host"], place["device"], place["point"])


def _paths(paths: Sequence[dict[str, Any]]) -> list[str]:
    """Return the ways as lines, at most a screenful: a way without branches in one, else a tree."""
    out: list[str] = []
    for path in paths[:_PATHS]:
        head = "%s, %d packets:" % (path["addresses"], path["packets"])
        if "branches" in path:
            lines = [head, *_tree(path["branches"])]
            out += [*lines[:_TREE], "  ... %d more lines" % (len(lines) - _TREE)] if len(lines) > _TREE + 1 else lines
        else:
            out.append("%s %s" % (head, " > ".join(_place(place) for place in path["places"])))
        if len(out) >= _SCREEN:
            break
    if any(line.startswith(_OWN) for line in out):
        out.append("(%s the packet's own branch; the others are copies)" % _OWN.strip())
    return out


def _tree(nodes: Sequence[dict[str, Any]]) -> list[str]:
    """Return a tree as lines: a line for each stretch without branches, those that branch off below it."""
    below: dict[int | None, list[int]] = {}
    for number, node in enumerate(nodes):
        below.setdefault(node["before"], []).append(number)
    out: list[str] = []
    # (first node of a stretch, what stands before the lines below it, what stands before its own line)
    waiting = [(first, "", "") for first in reversed(below.get(None, []))]
    while waiting:
        number, indent, branch = waiting.pop()
        stretch = [number]
        while len(below.get(stretch[-1], [])) == 1 and nodes[below[stretch[-1]][0]]["own"] == nodes[number]["own"]:
            stretch.append(below[stretch[-1]][0])
        out.append((_OWN if nodes[number]["own"] else " " * len(_OWN)) + branch
                   + " > ".join(_place(nodes[one]) for one in stretch))
        children = below.get(stretch[-1], [])
        for place, child in reversed(list(enumerate(children))):
            last = place == len(children) - 1
            waiting.append((child, indent + ("   " if last else "│  "), indent + ("└─ " if last else "├─ ")))
    return out


def _segments(segments: Sequence[dict[str, Any]]) -> list[str]:
    rows = []
    for segment in segments:
        took = segment["latency_us"]
        times = ["%.1f" % took[name] for name in ("min", "p50", "p99", "max")] if took else ["-"] * 4
        bound = "-" if not took or took["bound"] is None else "%.1f" % took["bound"]
        rows.append((_place(segment["from"]), _place(segment["to"]), passed(segment), segment["missing"], *times,
                     bound))
    return _table(("from", "to", "packets", "missing", "min µs", "median", "99 %", "max", "±"), rows)


def _queues(queues: Sequence[dict[str, Any]]) -> list[str]:
    """Return the fullest queues as a table; queue: its device and number, or what else it is of."""
    head = ("host", "queue", "kind", "unit", "records", "min", "median", "99 %", "max", "limit", "full %", "drops")
    return _table(head, [
        (row["host"], ("%s %s" % (row["device"], row["queue"])).strip(), row["kind"], row["unit"], row["records"],
         row["min"], row["median"], row["p99"], row["max"], row["limit"] or "-", "%.1f" % row["full"]["share"],
         row["drops"])
        for row in queues[:_QUEUES]])


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [column for column in range(len(head)) if rows and not isinstance(rows[0][column], str)]
    right += [column for column, name in enumerate(head) if name in _NUMBERS]
    return ["  ".join(cell.rjust(width) if column in right else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
