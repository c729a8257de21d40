# SPDX-License-Identifier: Apache-2.0
"""The memory of a worker between two parts."""
import ctypes


def give_back() -> None:
    """Return to the kernel what the C library keeps for later: behind a large part the next one may be far off, or
    another worker's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)    # glibc's
    if trim:
        trim(0)
