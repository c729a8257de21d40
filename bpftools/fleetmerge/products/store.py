# SPDX-License-Identifier: Apache-2.0
"""Questions to events.parquet, in SQL, with a bounded memory: duckdb streams the file and spills to disk."""
import os
from typing import Any

import duckdb

MEMORY = "512MB"


class Store:
    """events.parquet as the SQL view `events`; each host's points counted from one tracer only as `counted`."""

    def __init__(self, events: str, scratch: str, counted: list[tuple[str, str, str]], threads: int = 2) -> None:
        self._connection = duckdb.connect(os.path.join(scratch, "merge.duckdb"), config={
            "memory_limit": MEMORY, "temp_directory": os.path.join(scratch, "spill"), "threads": threads,
            "preserve_insertion_order": False})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("CREATE VIEW events AS SELECT * FROM read_parquet(%s)" % quoted(events))
        self._connection.execute("CREATE TEMP TABLE counting (host VARCHAR, tracer VARCHAR, point VARCHAR)")
        if counted:
            self._connection.executemany("INSERT INTO counting VALUES (?, ?, ?)", counted)
        self._connection.execute(
            "CREATE VIEW counted AS SELECT * FROM events SEMI JOIN counting USING (host, tracer, point)")

    def run(self, statement: str, *values: Any) -> None:
        """Run a statement for its effect."""
        self._connection.execute(statement, values)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        cursor = self._connection.execute(query, values)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'%s'" % text.replace("'", "''")
