# SPDX-License-Identifier: Apache-2.0
"""A program that looks at something while the window is open: ready before, told to begin and to end by its input."""
import os
import subprocess
import time
from typing import Any, List, Optional

from . import files

_GRACE_SECONDS = 4.0
_READY_SECONDS = 3.0
_PAUSE_SECONDS = 0.01


class Watch:
    """One such program, whose output becomes a file. It ends by itself when this process does."""

    def __init__(self, command: List[str], path: str) -> None:
        """Start it; its output goes to the file `path`."""
        self.why = "it was not begun"     # there is no output
        self._path = path
        self._child: Optional[Any] = None
        try:
            with files.open_new(path) as output:
                self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, start_new_session=True)
        except OSError as error:  # no memory, no more processes, no disk
            self.why = str(error.strerror)

    def ready(self) -> None:
        """Return when it is ready, which it says by its first byte, or never will be."""
        end = time.monotonic() + _READY_SECONDS
        while self._child and self._child.poll() is None and time.monotonic() < end and not self._has_spoken():
            time.sleep(_PAUSE_SECONDS)

    def _has_spoken(self) -> bool:
        try:
            return os.path.getsize(self._path) > 0
        except OSError:  # the directory was removed: nobody wants to hear it
            return True

    def begin(self) -> None:
        """Let it look from now on."""
        try:
            if self._child:
                self._child.stdin.write(b"\n")
                self._child.stdin.flush()
        except OSError:  # it has ended
            pass

    def end(self) -> None:
        """Let it look for the last time."""
        try:
            if self._child:
                self._child.stdin.close()
        except OSError:
            pass

    def wait(self) -> None:
        """Return when it has ended; a program that does not is ended."""
        if self._child is None:
            return
        self.end()
        try:
            self.why = "it ended with status %d" % self._child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.why = "it did not end within %g s" % _GRACE_SECONDS
            self.cancel()
        self._child = None

    def cancel(self) -> None:
        """End it; nobody wants its output any more."""
        if self._child:
            self._child.kill()
            self.end()
            self._child.wait()
        self._child = None
