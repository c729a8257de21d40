# SPDX-License-Identifier: Apache-2.0
"""The window: the interval in which records count. The kernel enforces it; this sets its bounds."""
import ctypes
import json
import os
from typing import Any, Dict, Optional

from ..host import clock
from . import files

NEVER = (1 << 64) - 1
_MOST_BYTES = 4096  # of window.json


class Window:
    """Bounds in CLOCK_MONOTONIC ns. Closed until opened: a start that never comes, so no half-written pair is open."""

    def __init__(self, bpf: Any) -> None:
        self._map = bpf["window"]
        self.start_ns, self.end_ns = NEVER, 0
        self.late_by_ns = 0
        self.endless = False    # it ends when the tracer is stopped
        self.given: Dict[str, Any] = {}  # what was asked for, in wall-clock time
        self._write()

    def _write(self) -> None:
        bounds = self._map.Leaf()
        bounds.start_ns, bounds.end_ns = self.start_ns, self.end_ns
        self._map[ctypes.c_int(0)] = bounds

    def open_now(self, seconds: Optional[float]) -> None:
        """Open at once, for so long, or until it is closed."""
        self.start_ns = clock.monotonic_ns()
        self.endless = seconds is None
        self.end_ns = NEVER if seconds is None else self.start_ns + int(seconds * 1e9)
        self._write()

    def open_at(self, given: Dict[str, Any]) -> None:
        """Open for the wall-clock interval in `given`: start_realtime_ns, end_realtime_ns, of this host's own clock."""
        now = clock.pair("window")
        offset = now["realtime_ns"] - now["monotonic_ns"]
        self.given = given
        self.start_ns = given["start_realtime_ns"] - offset
        self.end_ns = given["end_realtime_ns"] - offset
        self._write()
        self.late_by_ns = max(0, clock.monotonic_ns() - self.start_ns)

    def close(self) -> None:
        """End the window now, if it has not ended yet."""
        if self.is_set():
            self.end_ns = min(self.end_ns, clock.monotonic_ns())
            self._write()

    def is_set(self) -> bool:
        """Whether the window has bounds."""
        return self.start_ns != NEVER

    def opens_in(self) -> float:
        """Return the seconds until it opens; below 0 when it has."""
        return (self.start_ns - clock.monotonic_ns()) / 1e9

    def is_over(self) -> bool:
        """Whether its end has passed."""
        return self.is_set() and clock.monotonic_ns() >= self.end_ns


class WindowFile:
    """DIR/window.json, by which whoever runs the tracer sets and ends its window."""

    def __init__(self, run_dir: str) -> None:
        self._path = os.path.join(run_dir, "window.json")
        self._seen: Optional[tuple] = None

    def changed(self) -> Optional[Dict[str, Any]]:
        """Return the file's content if it is new; None if there is nothing new."""
        try:
            status = os.lstat(self._path)
            identity = (status.st_ino, status.st_mtime_ns)
            if identity == self._seen:
                return None
            content = json.loads(files.read_foreign(self._path, _MOST_BYTES).decode())
        except (OSError, ValueError):
            return None
        self._seen = identity
        return content if isinstance(content, dict) else None
