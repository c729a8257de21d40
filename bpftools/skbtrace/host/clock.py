# SPDX-License-Identifier: Apache-2.0
"""The host's clocks, to the nanosecond: Python 3.6 has no clock_gettime_ns."""
import ctypes
import os
from typing import Any, Dict

from .. import foreign

_REALTIME, _MONOTONIC = 0, 1
_STA_UNSYNC = 0x40
_TIME_ERROR = 5
_DAEMONS = ("chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l", "phc2sys")
_SANDWICHES = 16
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, as far as it is read; the rest is room for the kernel to write to."""
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long),
                ("maxerror", ctypes.c_long), ("esterror", ctypes.c_long), ("status", ctypes.c_int),
                ("rest", ctypes.c_char * 256)]


def _read(clock: int) -> int:
    now = _Timespec()
    _libc.clock_gettime(clock, ctypes.byref(now))
    return int(now.tv_sec) * 1000000000 + int(now.tv_nsec)


def monotonic_ns() -> int:
    """Return CLOCK_MONOTONIC, the clock of the records."""
    return _read(_MONOTONIC)


def realtime_ns() -> int:
    """Return CLOCK_REALTIME: ns since 1970, UTC."""
    return _read(_REALTIME)


def pair(at: str) -> Dict[str, Any]:
    """Return both clocks at one moment; `error_ns` bounds how far apart the two readings can be.

    Wall time is read between two readings of the monotonic clock; the tightest of several such sandwiches is kept.
    """
    best: Dict[str, Any] = {}
    for _ in range(_SANDWICHES):
        before, wall, after = monotonic_ns(), realtime_ns(), monotonic_ns()
        error = (after - before + 1) // 2
        if not best or error < best["error_ns"]:
            best = {"at": at, "monotonic_ns": (before + after) // 2, "realtime_ns": wall, "error_ns": error}
    return best


def discipline() -> Dict[str, Any]:
    """Return what keeps the wall clock right: synchronised (None: the kernel does not say), max_error_us, daemon."""
    state = _Timex()
    result = _libc.adjtimex(ctypes.byref(state))
    known = result >= 0
    return {"synchronised": (result != _TIME_ERROR and not state.status & _STA_UNSYNC) if known else None,
            "max_error_us": int(state.maxerror) if known else None, "daemon": _daemon()}


def _daemon() -> str:
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open("/proc/%s/comm" % pid, "rb") as handle:
                    name = foreign.shown(handle.read().rstrip(b"\n"))
            except OSError:
                continue
            if name in _DAEMONS:
                return name
    return ""
