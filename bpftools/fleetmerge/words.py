# SPDX-License-Identifier: Apache-2.0
"""Words for values, the same in every product; and what a host says, made fit to stand among them."""
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_NAMES = {"both_directions": "bidirectional"}     # as the playbooks' variables have it


def iso(nanoseconds: int | None) -> str | None:
    """Return wall ns as ISO 8601 with microseconds."""
    if nanoseconds is None:
        return None
    second, rest = divmod(int(nanoseconds), 1_000_000_000)
    return "%s.%06dZ" % (datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"), rest // 1000)


def printable(text: Any) -> str:
    """Make a text from a host fit to be shown: a name may hold anything, line ends and escape sequences too."""
    text = str(text)
    return text if text.isprintable() else "".join(char if char.isprintable() else "_" for char in text)


def clean(text: Any) -> str:
    """Make a name fit to stand in a line: no white space, nothing that is not printable."""
    return printable(text).replace(" ", "_") or "-"


def case(summary: Mapping[str, Any]) -> list[str]:
    """Return the case that a run was made for, `TICKET: TITLE (by AUTHOR)`, as one line; none if it has none."""
    about = summary.get("case") or {}
    name = ": ".join(filter(None, (about.get("ticket"), about.get("title"))))
    return [name + (" (by %s)" % about["author"] if about.get("author") else "")] if name else []


def passed(segment: Mapping[str, Any]) -> str:
    """Return the packets of a step, and in brackets those that may have taken another one: `100 (10?)`."""
    return str(segment["packets"]) + (" (%d?)" % segment["unsure"] if segment["unsure"] else "")


def settings(given: dict[str, Any]) -> str:
    """Return settings as `bidirectional, dst=10.0.0.1, filter="tcp port 80"`: quotes where there are blanks."""
    return ", ".join(_setting(clean(_NAMES.get(name, name)), value) for name, value in sorted(given.items()))


def _setting(name: str, value: Any) -> str:
    if value is True:
        return name
    text = ",".join(map(printable, value)) if isinstance(value, list) else printable(value)
    return "%s=%s" % (name, json.dumps(text, ensure_ascii=False) if " " in text else text)
