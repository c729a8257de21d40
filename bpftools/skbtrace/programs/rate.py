# SPDX-License-Identifier: Apache-2.0
"""The rate limit of a tracer, as bpf/rate.h keeps it."""
import ctypes
from typing import Any, Dict

DEFAULT = 100000  # records/s: 29 MB/s of spool, and a tenth of one CPU's time for making and draining them
MOST = 10 ** 7    # records/s: more than any host makes
_BURST_NS = 10 ** 9  # of tokens that a full bucket holds: a burst of a second passes whole


def defines() -> Dict[str, str]:
    """Return the constants of the bucket."""
    return {"RATE_BURST_NS": "%dull" % _BURST_NS}


class Limit:
    """So many records a second, on all CPUs together; it can be divided while the programs run."""

    def __init__(self, bpf: Any, records_per_s: int) -> None:
        self._map = bpf["token_ns"]
        self.records_per_s = records_per_s
        self.now = records_per_s
        self.divide(1)

    def divide(self, parts: int) -> None:
        """Let so many share it, of whom this is one."""
        self.now = max(1, self.records_per_s // parts)
        self._map[ctypes.c_int(0)] = self._map.Leaf(_BURST_NS // self.now)
