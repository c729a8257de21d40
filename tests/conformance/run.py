# SPDX-License-Identifier: Apache-2.0
"""What one tracer recorded of the scene, on whatever machine, held against the table."""
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from . import table

OPTIONS = ("--profile", "full")
_SKIPPED = re.compile(r"skipped ([\w., ]+): (.+)")
_NOT_READ = re.compile(r"not read, queues of kind ([\w., ]+): .+")


@dataclass(frozen=True)
class Run:
    """The records, what the tracer said, what the machine cannot do (traffic -> why), and what the scene told."""

    records: Sequence[dict[str, Any]]
    log: Sequence[str]
    missing: Mapping[str, str]
    told: Mapping[str, Any]

    @property
    def attached(self) -> set[str]:
        """Return the points that were looked at."""
        return set(self.log[0].removeprefix("tracing ").partition(" on ")[0].split(", "))

    @property
    def skipped(self) -> dict[str, str]:
        """Return why other points were not."""
        found = [match for match in map(_SKIPPED.fullmatch, self.log) if match]
        return {name: match.group(2) for match in found for name in match.group(1).split(", ")}

    @property
    def not_read(self) -> set[str]:
        """Return the kinds of queues that cannot be read on this kernel, as it said with its reasons."""
        found = [match for match in map(_NOT_READ.fullmatch, self.log) if match]
        return {kind for match in found for kind in match.group(1).split(", ")}

    def check(self, point: str) -> None:
        """Fail if the point has not recorded what passed it; skip, with the reason, if it cannot be had here."""
        row = table.BY_POINT[point].without_queues(self.not_read)
        if point in self.skipped:
            pytest.skip(f"{point}: {self.skipped[point]}")
        assert point in self.attached, "neither attached, nor skipped with a reason"
        if row.needs in self.missing:
            pytest.skip(f"{point}: nothing passes it: {self.missing[row.needs]}")
        wrong = row.wrong(self.records, self.told)
        others = [one for one in self.records if one["point"] == point]
        assert not wrong, "\n".join([*wrong[:6], f"{len(others)} records there, such as", *map(str, others[:2])])
