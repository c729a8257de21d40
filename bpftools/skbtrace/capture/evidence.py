# SPDX-License-Identifier: Apache-2.0
"""evidence.json: this host's configuration before the window and after it, read by a program of its own.

    {"format", "before": reading, "after": reading}    host/reading.py has what a reading is; null: there is none

It runs beside the compiler, and ends by itself.
"""
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional

from ..host import netns, reading
from . import files

FORMAT = "skbfleet-evidence/1"
NAME = "evidence.json"
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "host_evidence.py")
_GRACE_SECONDS = 2.0     # beyond the reading's own end
_HURRY_SECONDS = 2.0     # for a reading after a signal
_MOST_BYTES = 3 * reading.MOST_BYTES   # of a reading; JSON takes more than what was read


class Evidence:
    """The two readings of one capture, in the current directory."""

    def __init__(self, places: List[str]) -> None:
        """places: paths of the network namespaces to read."""
        self._places = places
        self._child: Optional[Any] = None
        self._seconds = 0.0

    def begin(self, when: str, hurry: bool = False) -> None:
        """Begin to read; when: before or after."""
        seconds = _HURRY_SECONDS if hurry else reading.SECONDS
        command = [sys.executable, _PROGRAM, "--seconds=%g" % seconds] + ["--netns=" + path for path in self._places]
        self._seconds = seconds + _GRACE_SECONDS
        try:
            with files.open_new(_part(when)) as output:
                self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                               stderr=subprocess.DEVNULL, start_new_session=True)
        except OSError:  # no memory, no more processes, no disk: there is no such reading then, and the file says so
            self._child = None

    def wait(self) -> None:
        """Return when the reading has ended; one that does not is ended."""
        if self._child is None:
            return
        try:
            self._child.wait(self._seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def cancel(self) -> None:
        """End a reading that nobody wants any more."""
        if self._child:
            self._child.kill()
            self._child.wait()
        self._child = None

    def write(self) -> None:
        """Make one file of both readings; raises OSError."""
        with files.open_new(NAME) as output:
            output.write(b'{"format": "%s"' % FORMAT.encode())
            for when in ("before", "after"):
                output.write(b', "%s": ' % when.encode() + _read_part(when))
            output.write(b"}\n")


def _part(when: str) -> str:
    return "evidence-%s.json" % when


def _read_part(when: str) -> bytes:
    """Return a reading as it was written, and remove it; null if it was not written whole."""
    try:
        data = files.read_foreign(_part(when), _MOST_BYTES)
        os.unlink(_part(when))
    except OSError:
        return b"null"
    return data if data.endswith(b"}") else b"null"


def places_of(paths: Dict[int, str], confined: bool) -> List[str]:
    """Return the namespaces to read: those that the filter names, or the tracer's own."""
    return list(paths.values()) if confined else [netns.OWN]
