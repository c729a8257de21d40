# SPDX-License-Identifier: Apache-2.0
"""What is asked of a run that was captured: an expression, and from when to when."""
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from skbtrace.errors import InputError, option
from skbtrace.programs import expressions

from ..errors import MergeError
from ..words import iso

DIRECTORY = "excerpts"     # below the run's own products
ALWAYS = (-(1 << 63), (1 << 63) - 1)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_SINCE = re.compile(r"\+(\d{1,9})(?:\.(\d{1,9}))?\Z", re.ASCII)
_SLUG = 40    # characters


class Moment(NamedTuple):
    """A point in time, ns: of the wall clock, or since the window opened."""

    ns: int
    since_start: bool


@dataclass(frozen=True)
class Excerpt:
    """What is asked for: the packets of which a record fits and lies between the times."""

    expression: expressions.Expression | None
    after: Moment | None
    before: Moment | None
    said: tuple[str, str]    # the times as they were given; empty: not

    @property
    def name(self) -> str:
        """Return the name of its directory, the same for the same question."""
        text = self.expression.text if self.expression else ""
        words = [text, *(word + said for word, said in zip(("after ", "before "), self.said, strict=True) if said)]
        slug = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:_SLUG].strip("-")
        return "%s-%s" % (slug, hashlib.sha256("\0".join([text, *self.said]).encode()).hexdigest()[:8])

    def directory(self, output: str) -> str:
        """Return the directory of its products, below that of the run's own."""
        return os.path.join(output, DIRECTORY, self.name)

    def bounds(self, start: int | None) -> tuple[int, int]:
        """Return from when to before when, wall ns. start: of the window; raises MergeError."""
        ends = [always if moment is None else _absolute(moment, start, said)
                for always, moment, said in zip(ALWAYS, (self.after, self.before), self.said, strict=True)]
        if ends[0] >= ends[1]:
            raise MergeError("%s is %s, which is not later than %s, %s: nothing lies between them"
                             % (option("before"), self.said[1], option("after"), self.said[0]))
        return ends[0], ends[1]

    def entry(self, bounds: tuple[int, int]) -> dict[str, str | None]:
        """Return what stands in summary.json."""
        after, before = (None if end == always else iso(end) for end, always in zip(bounds, ALWAYS, strict=True))
        return {"filter": self.expression.text if self.expression else None, "after": after, "before": before}


def asked(expression: str | None, after: str | None, before: str | None) -> Excerpt | None:
    """Return what the options ask for, None if nothing; raises MergeError."""
    if expression is None and after is None and before is None:
        return None
    try:
        made = expressions.make("filter", expression, None)
    except InputError as error:
        raise MergeError(str(error)) from error
    out = Excerpt(made, _moment("after", after), _moment("before", before), (after or "", before or ""))
    if out.after is None or out.before is None or out.after.since_start == out.before.since_start:
        out.bounds(0)
    return out


def _moment(name: str, given: str | None) -> Moment | None:
    if given is None:
        return None
    try:
        since, wall = _SINCE.match(given), _TIME.match(given)
        if since:
            return Moment(int(since[1]) * 10**9 + _fraction(since[2]), True)
        if wall:
            when = datetime.fromisoformat("%sT%s%s" % (wall[1], wall[2], wall[4].replace("Z", "+00:00")))
            return Moment(int((when - datetime.fromtimestamp(0, UTC)).total_seconds()) * 10**9 + _fraction(wall[3]),
                          False)
    except ValueError:    # no such day
        pass
    raise MergeError("%s is %.60r: it must be a time as timeline.log has it, 2026-11-22T11:27:51.25Z, or seconds since "
                     "the window opened, +1.25" % (option(name), given))


def _fraction(digits: str | None) -> int:
    return int((digits or "0").ljust(9, "0"))


def _absolute(moment: Moment, start: int | None, said: str) -> int:
    if not moment.since_start:
        return moment.ns
    if start is None:
        raise MergeError("%s counts from the window's start, and no host says when that was" % said)
    return start + moment.ns
