# SPDX-License-Identifier: Apache-2.0
"""Words for values, the same in every product."""
from datetime import UTC, datetime


def iso(nanoseconds: int | None) -> str | None:
    """Return wall ns as ISO 8601 with microseconds."""
    if nanoseconds is None:
        return None
    second, rest = divmod(int(nanoseconds), 1_000_000_000)
    return "%s.%06dZ" % (datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"), rest // 1000)
