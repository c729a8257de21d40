# SPDX-License-Identifier: Apache-2.0
"""verdict.txt: the summary as a page of text."""
from collections.abc import Sequence
from typing import Any


def text(summary: dict[str, Any]) -> str:
    """Return verdict.txt."""
    window = summary["window"]
    complete = sum(host["status"] == "complete" for host in summary["hosts"].values())
    seconds = "%.3f" % window["seconds"] if window["seconds"] is not None else "?"
    lines = ["skbfleet run %s" % summary["run_id"],
             "window   %s to %s (%s s)" % (window["start"], window["end"], seconds),
             "filter   %s" % (", ".join("%s=%s" % item for item in summary["filter"].items()) or "none"),
             "hosts    %d of %d complete; %d records" % (complete, len(summary["hosts"]), summary["records"])]
    if summary.get("reproduce"):
        lines.append("command  %s" % "; ".join("%s: %s" % item for item in summary["reproduce"].items()))
    lines += ["", "VERDICT", *("- " + sentence for sentence in summary["verdict"]), "", "HOW FAR TO TRUST IT"]
    lines += ["- " + doubt for doubt in summary["doubts"]] or ["- Nothing was lost, no host is missing."]
    lines += ["", "WAYS", *_paths(summary["paths"])] if summary["paths"] else []
    lines += ["", "STEPS", *_segments(summary["segments"])] if summary["segments"] else []
    lines += ["", "SEEN", *_table(("host", "device", "point", "packets", "bytes"), [
        (row["host"], row["device"], row["point"], row["packets"], row["bytes"]) for row in summary["seen"]])]
    return "\n".join(lines) + "\n"


def _place(place: dict[str, str]) -> str:
    return "%s %s %s" % (place["host"], place["device"], place["point"])


def _paths(paths: Sequence[dict[str, Any]]) -> list[str]:
    return ["%s, %d packets: %s" % (path["addresses"], path["packets"], " > ".join(_place(place) for place in
                                                                                  path["places"]))
            for path in paths[:10]]


def _segments(segments: Sequence[dict[str, Any]]) -> list[str]:
    rows = []
    for segment in segments:
        took = segment["latency_us"]
        times = ["%.1f" % took[name] for name in ("min", "p50", "p99", "max")] if took else ["-"] * 4
        bound = "-" if not took or took["bound"] is None else "%.1f" % took["bound"]
        rows.append((_place(segment["from"]), _place(segment["to"]), segment["packets"], segment["missing"], *times,
                     bound))
    return _table(("from", "to", "packets", "missing", "min µs", "median", "99 %", "max", "±"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [column for column in range(len(head)) if rows and not isinstance(rows[0][column], str)]
    right += [column for column, name in enumerate(head) if name in ("min µs", "median", "99 %", "max", "±")]
    return ["  ".join(cell.rjust(width) if column in right else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
