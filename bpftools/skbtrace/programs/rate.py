# SPDX-License-Identifier: Apache-2.0
"""The rate limit of a tracer, as the constants of bpf/rate.h."""
from typing import Dict

DEFAULT = 100000  # records/s: 29 MB/s of spool, and a tenth of one CPU's time for making and draining them
MOST = 10 ** 7    # records/s: more than any host makes
_BURST_NS = 10 ** 9  # of tokens that a full bucket holds: a burst of a second passes whole


def defines(records_per_s: int) -> Dict[str, str]:
    """Return the constants for a limit of so many records a second, on all CPUs together."""
    return {"RATE_TOKEN_NS": "%dull" % (_BURST_NS // records_per_s), "RATE_BURST_NS": "%dull" % _BURST_NS}
