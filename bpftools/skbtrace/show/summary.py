# SPDX-License-Identifier: Apache-2.0
"""What a tracer saw at each point, as a table or as one JSON object, instead of lines."""
import json
from typing import Any, Dict, List

from ..capture.spool import Budget
from ..capture.tracer import COUNTERS

_ALWAYS = ("seen", "matched", "lost", "shed")  # columns that are shown if nothing is in them, too


class Silent:
    """Takes records, up to the limits that the user set, and shows none."""

    def __init__(self, budget: Budget, stride: int) -> None:
        """stride: bytes of a record."""
        self._stride = stride
        self.budget = budget

    def take(self, records: Any) -> None:
        """Count whole records."""
        self.budget.allow(len(records) // self._stride)

    def check(self) -> bool:
        """Whether somebody still reads: nothing is written before the end."""
        return True

    def unshown(self) -> int:
        """Return how many records somebody wanted to read and did not get: nobody did."""
        return 0


def table(counters: Dict[str, Dict[str, int]], totals: Dict[str, int]) -> str:
    """Return the counters by point, those that are 0 everywhere left out."""
    names = [name for name in COUNTERS if name in _ALWAYS or totals[name]]
    rows: List[List[str]] = [["point"] + names]
    rows += [[point] + [str(row[name]) for name in names] for point, row in list(counters.items()) + [("all", totals)]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    return "".join("  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                          zip(row[1:], widths[1:])]) + "\n" for row in rows)


def as_json(counters: Dict[str, Dict[str, int]], totals: Dict[str, int]) -> str:
    """Return the same as one line."""
    return json.dumps({"points": counters, "all": totals}) + "\n"
