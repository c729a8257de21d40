# SPDX-License-Identifier: Apache-2.0
"""evidence.json: this host's configuration before the window and after it, and who took packets from its queues
meanwhile, read by programs of their own.

    {"format", "before": reading, "during": looks, "after": reading,
     "switch-before": reading, "switch-after": reading}    {"why"}: there is none

host/reading.py has what a reading is, host/looks.py what looks are, host/openvswitch.py what is read of Open vSwitch.
What was not asked for has no entry.

They run beside the compiler and the capture, and end by themselves.
"""
import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional, Sequence

from ..host import netns, openvswitch, reading
from . import files
from .watch import Watch

FORMAT = "skbfleet-evidence/1"
PARTS = {"host": ["before", "during", "after"], "switch": ["switch-before", "switch-after"]}
NAME = "evidence.json"
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "host_evidence.py")
_GRACE_SECONDS = 4.0     # beyond the reading's own end
_HURRY_SECONDS = 2.0     # for a reading after a signal
_MOST_BYTES = 3 * reading.MOST_BYTES   # of a reading; JSON takes more than what was read


class Reader:
    """A program that reads once; its output becomes a file."""

    def __init__(self, command: List[str], path: str, seconds: float) -> None:
        """Start it; seconds: after which it has ended by itself."""
        self.why = ""     # there is no output
        self._seconds = seconds + _GRACE_SECONDS
        self._child: Optional[Any] = None
        try:
            with files.open_new(path) as output:
                self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, start_new_session=True)
        except OSError as error:  # no memory, no more processes, no disk
            self.why = str(error.strerror)

    def wait(self) -> None:
        """Return when it has ended; one that does not is ended."""
        if self._child is None:
            return
        try:
            self.why = "it ended with status %d" % self._child.wait(self._seconds)
        except subprocess.TimeoutExpired:
            self.why = "it did not end within %g s" % self._seconds
            self.cancel()
        self._child = None

    def cancel(self) -> None:
        """End it; nobody wants its output any more."""
        if self._child:
            self._child.kill()
            self._child.wait()
        self._child = None


class Evidence:
    """The readings of one capture and the looks between them, in the current directory."""

    def __init__(self, places: List[str], of: str = "host") -> None:
        """places: paths of the network namespaces to read; of: host, switch, or all."""
        self._places = places
        self._parts = [part for kind, parts in PARTS.items() if of in (kind, "all") for part in parts]
        self._readers: Dict[str, Reader] = {}
        self._whys: Dict[str, str] = {}  # part -> why it could not be kept
        self._watch: Optional[Watch] = None

    def begin(self, when: str, hurry: bool = False) -> None:
        """Begin to read the host; when: before or after."""
        seconds = _HURRY_SECONDS if hurry else reading.SECONDS
        self._begin(when, self._command("--seconds=%g" % seconds), seconds)

    def begin_switch(self, when: str, hurry: bool = False, flows: Sequence[Dict[str, str]] = ()) -> None:
        """Begin to read Open vSwitch, and what it would do with packets; flows: their `device` and `flow`."""
        part = "switch-" + when
        if part in self._parts and not openvswitch.is_loaded():  # which needs no program of its own
            self._whys[part] = _keep(part, openvswitch.read([]))
            return
        seconds = _HURRY_SECONDS if hurry else openvswitch.SECONDS
        words = ["--flow=%(device)s %(flow)s" % flow for flow in flows]
        self._begin(part, [sys.executable, _PROGRAM, "--switch", "--seconds=%g" % seconds] + words, seconds)

    def _begin(self, part: str, command: List[str], seconds: float) -> None:
        if part in self._parts:
            self._readers[part] = Reader(command, _file_of(part), seconds)

    def _command(self, word: str) -> List[str]:
        return [sys.executable, _PROGRAM, word] + ["--netns=" + path for path in self._places]

    def prepare(self) -> None:
        """Begin with what is read before the window, and find out whom to look at while it is open."""
        self.begin("before")
        self.begin_switch("before")
        if "during" in self._parts:
            self._watch = Watch(self._command("--watch"), _file_of("during"))

    def opened(self) -> None:
        """Look, from now on."""
        if self._watch:
            self._watch.begin()

    def closed(self) -> None:
        """Look for the last time."""
        if self._watch:
            self._watch.end()

    def wait(self) -> None:
        """Return when the readings have ended, and the looks can begin; a reading that does not end is ended."""
        if self._watch:
            self._watch.ready()
        for reader in self._readers.values():
            reader.wait()

    def give_up(self) -> None:
        """End everything: there is no capture."""
        for reader in self._readers.values():
            reader.cancel()
        if self._watch:
            self._watch.cancel()

    def write(self) -> None:
        """Make one file of all of it; raises OSError."""
        whys = dict(self._whys, **{part: reader.why for part, reader in self._readers.items()})
        if self._watch:
            self._watch.wait()
            whys["during"] = self._watch.why
        with files.open_new(NAME) as output:
            output.write(b'{"format": "%s"' % FORMAT.encode())
            for part in self._parts:
                content = _read_part(part) or json.dumps({"why": whys.get(part, "it was not begun")}).encode()
                output.write(b', "%s": ' % part.encode() + content)
            output.write(b"}\n")


def _file_of(part: str) -> str:
    return "evidence-%s.json" % part


def _keep(part: str, content: Dict[str, Any]) -> str:
    """Write a reading as its program would; return why it cannot be kept, "" if it can."""
    try:
        with files.open_new(_file_of(part)) as output:
            output.write(json.dumps(content).encode())
        return ""
    except OSError as error:
        return str(error.strerror)


def _read_part(part: str) -> bytes:
    """Return a reading as it was written, and remove it; empty if it was not written whole."""
    try:
        data = files.read_foreign(_file_of(part), _MOST_BYTES)
        os.unlink(_file_of(part))
    except OSError:
        return b""
    return data if data.endswith(b"}") else b""


def places_of(paths: Dict[int, str], confined: bool) -> List[str]:
    """Return the namespaces to read: those that the filter names, or the tracer's own."""
    return list(paths.values()) if confined else [netns.OWN]
