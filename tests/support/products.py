# SPDX-License-Identifier: Apache-2.0
"""Two merges of one run, compared."""
import json
from pathlib import Path
from typing import Any

import duckdb


def assert_equal(one: Path, two: Path) -> None:
    """Fail if the products in two directories differ in a line, a row or a number."""
    assert (one / "timeline.log").read_bytes() == (two / "timeline.log").read_bytes()
    assert (one / "verdict.txt").read_text() == (two / "verdict.txt").read_text()
    assert _summary(one) == _summary(two)
    for path in sorted(one.glob("*.parquet")):
        rows = ["SELECT * FROM '%s'" % (where / path.name) for where in (one, two)]
        for left, right in (rows, rows[::-1]):
            assert duckdb.sql("SELECT count(*) FROM (%s EXCEPT ALL %s)" % (left, right)).fetchall() == [(0,)]


def _summary(directory: Path) -> Any:
    return json.loads((directory / "summary.json").read_text())
