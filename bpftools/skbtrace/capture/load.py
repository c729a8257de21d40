# SPDX-License-Identifier: Apache-2.0
"""How much a capture would record, told before its window opens: what matches while it is closed is only counted."""
import time
from typing import Any, Dict, Optional


class Load:
    """Counts for a while what each point lets through the filter."""

    def __init__(self, tracer: Any, seconds: float) -> None:
        """tracer: attached, its window closed."""
        self._tracer, self._seconds = tracer, seconds
        self._before = self._counts()
        self._begun = time.monotonic()

    def _counts(self) -> Dict[str, int]:
        return {name: row["outside_window"] for name, row in self._tracer.counters().items()}

    def measured(self) -> Optional[Dict[str, Any]]:
        """Return what was counted, None as long as the time is not over.

        records_per_s: what would be recorded, without a rate limit; packets_per_s: what matches at the busiest `point`.
        """
        seconds = time.monotonic() - self._begun
        if seconds < self._seconds:
            return None
        per_s = {name: (count - self._before[name]) / seconds for name, count in self._counts().items()}
        busiest = max(sorted(per_s), key=lambda name: per_s[name])
        return {"seconds": round(seconds, 3), "point": busiest, "packets_per_s": round(per_s[busiest]),
                "records_per_s": round(sum(rate / self._one_in(name) for name, rate in per_s.items()))}

    def _one_in(self, name: str) -> int:
        """Return of how many packets one is taken at a point: drops are all taken, unless asked otherwise."""
        options = self._tracer.options
        whole = any(point.stack for point in self._tracer.wanted if point.name == name) and not options.sample_drops
        return 1 if whole else int(options.sample)
