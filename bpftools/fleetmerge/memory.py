# SPDX-License-Identifier: Apache-2.0
"""The memory of a worker."""
import ctypes

# Workers make and drop the same large arrays over and over: keep their memory instead of returning it to the kernel
# and faulting it in again, which costs a quarter of the time. Environment of a process, read when it starts.
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
        "MALLOC_TOP_PAD_": str(64 << 20), "ARROW_DEFAULT_MEMORY_POOL": "system"}


def give_back() -> None:
    """Return to the kernel what the C library keeps for later: behind a large part the next one may be far off, or
    another worker's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)    # glibc's
    if trim:
        trim(0)
