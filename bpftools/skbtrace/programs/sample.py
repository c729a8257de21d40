# SPDX-License-Identifier: Apache-2.0
"""Sampling: one packet in N, as the constants of bpf/sample.h and as the manifest tells it."""
import hashlib
from typing import Any, Dict

# TCP is taken in blocks, of which a connection's numbers have 65536: of one in 1000, there are 65 in 4 GiB
MOST = 1000


def salt(run_id: str) -> int:
    """Return a 64-bit number: the same on all hosts of a run, another one in the next run."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "little") >> 2


def describe(options: Any) -> Dict[str, Any]:
    """Return what the manifest says: one_in, drops (0: they were all taken), salt; empty if every packet was taken."""
    if options.sample == 1:
        return {}
    return {"one_in": options.sample, "drops": int(options.sample_drops), "salt": salt(options.run_id)}


def defines(options: Any) -> Dict[str, Any]:
    """Return the constants for the sample that the options ask for; none if every packet is to be taken."""
    if options.sample == 1:
        return {}
    constants: Dict[str, Any] = {"SAMPLE_BELOW": "%uull" % ((1 << 32) // options.sample),
                                 "SAMPLE_SALT": "0x%xull" % salt(options.run_id)}
    if options.sample_drops:
        constants["SAMPLE_DROPS"] = 1
    return constants
