# SPDX-License-Identifier: Apache-2.0
"""The ceiling of records a second, which captures that are at work on a host at the same time share."""
import os
from typing import Any, Dict, List

from ..host import clock, roster
from ..programs.rate import Limit

_AHEAD_NS = 10 ** 9  # before the window opens, others hear of it


class Sharing:
    """The part of its rate limit that this tracer may use: all, half while there is another capture, a third …"""

    def __init__(self, run_id: str, limit: Limit, directory: str = roster.DIRECTORY) -> None:
        """run_id: of the capture, to which both tracers of a run belong; empty: a capture of one tracer."""
        self._limit = limit
        self._roster = roster.Roster(run_id or "by-hand-%d" % os.getpid(), directory)
        self._is_seen = False
        self._others: List[str] = []
        self.met: List[str] = []  # other captures, in order of appearance
        self.least_rate = limit.records_per_s
        self.most_captures = 1    # at once
        self.problem = ""         # why others cannot be seen

    def look(self, window: Any) -> None:
        """See who else is at work, from shortly before the window opens; called now and then."""
        if self.problem or not window.is_set() or clock.monotonic_ns() < window.start_ns - _AHEAD_NS:
            return
        if not self._is_seen:
            try:
                self._roster.join()
            except OSError as error:
                self.problem = str(error)
                return
            self._is_seen = True
        others = self._roster.others()
        if others != self._others:
            self._others = others
            self._share()

    def _share(self) -> None:
        captures = 1 + len(self._others)
        self._limit.divide(captures)
        self.met += [name for name in self._others if name not in self.met]
        self.most_captures = max(self.most_captures, captures)
        self.least_rate = min(self.least_rate, self._limit.now)

    def end(self) -> None:
        """Leave the ceiling to the others."""
        if self._is_seen:
            self._roster.leave()
            self._is_seen = False

    def guards(self) -> Dict[str, int]:
        """Return what the manifest says in numbers: captures at once and the least rate, if there were others."""
        return {"captures": self.most_captures, "least_rate": self.least_rate} if self.met else {}
