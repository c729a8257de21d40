# SPDX-License-Identifier: Apache-2.0
"""evidence.json: this host's configuration before the window and after it, and who took packets from its queues
meanwhile, read by programs of their own.

    {"format", "before": reading, "during": looks, "after": reading}    {"why"}: there is none

host/reading.py has what a reading is, host/looks.py what looks are.

They run beside the compiler and the capture, and end by themselves.
"""
import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional

from ..host import netns, reading
from . import files
from .watch import Watch

FORMAT = "skbfleet-evidence/1"
NAME = "evidence.json"
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "host_evidence.py")
_GRACE_SECONDS = 4.0     # beyond the reading's own end
_HURRY_SECONDS = 2.0     # for a reading after a signal
_MOST_BYTES = 3 * reading.MOST_BYTES   # of a reading; JSON takes more than what was read


class Evidence:
    """The two readings of one capture and the looks between them, in the current directory."""

    def __init__(self, places: List[str]) -> None:
        """places: paths of the network namespaces to read."""
        self._places = places
        self._child: Optional[Any] = None
        self._seconds = 0.0
        self._why = dict.fromkeys(("before", "during", "after"), "it was not begun")
        self._watch: Optional[Watch] = None

    def begin(self, when: str, hurry: bool = False) -> None:
        """Begin to read; when: before or after."""
        seconds = _HURRY_SECONDS if hurry else reading.SECONDS
        command = self._command("--seconds=%g" % seconds)
        self._when, self._seconds = when, seconds + _GRACE_SECONDS
        try:
            with files.open_new(_part(when)) as output:
                self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, start_new_session=True)
        except OSError as error:  # no memory, no more processes, no disk
            self._why[when] = str(error.strerror)

    def _command(self, word: str) -> List[str]:
        return [sys.executable, _PROGRAM, word] + ["--netns=" + path for path in self._places]

    def prepare(self) -> None:
        """Begin with what is read before the window, and find out whom to look at while it is open."""
        self.begin("before")
        self._watch = Watch(self._command("--watch"), _part("during"))

    def opened(self) -> None:
        """Look, from now on."""
        if self._watch:
            self._watch.begin()

    def closed(self) -> None:
        """Look for the last time."""
        if self._watch:
            self._watch.end()

    def wait(self) -> None:
        """Return when the reading has ended, and the looks can begin; a reading that does not end is ended."""
        if self._watch:
            self._watch.ready()
        if self._child is None:
            return
        try:
            self._why[self._when] = "it ended with status %d" % self._child.wait(self._seconds)
        except subprocess.TimeoutExpired:
            self._why[self._when] = "it did not end within %g s" % self._seconds
            self.cancel()
        self._child = None

    def cancel(self) -> None:
        """End a reading that nobody wants any more."""
        if self._child:
            self._child.kill()
            self._child.wait()
        self._child = None

    def give_up(self) -> None:
        """End everything: there is no capture."""
        self.cancel()
        if self._watch:
            self._watch.cancel()

    def write(self) -> None:
        """Make one file of all of it; raises OSError."""
        if self._watch:
            self._watch.wait()
            self._why["during"] = self._watch.why
        with files.open_new(NAME) as output:
            output.write(b'{"format": "%s"' % FORMAT.encode())
            for when, why in self._why.items():
                part = _read_part(when) or json.dumps({"why": why}).encode()
                output.write(b', "%s": ' % when.encode() + part)
            output.write(b"}\n")


def _part(when: str) -> str:
    return "evidence-%s.json" % when


def _read_part(when: str) -> bytes:
    """Return a reading as it was written, and remove it; empty if it was not written whole."""
    try:
        data = files.read_foreign(_part(when), _MOST_BYTES)
        os.unlink(_part(when))
    except OSError:
        return b""
    return data if data.endswith(b"}") else b""


def places_of(paths: Dict[int, str], confined: bool) -> List[str]:
    """Return the namespaces to read: those that the filter names, or the tracer's own."""
    return list(paths.values()) if confined else [netns.OWN]
