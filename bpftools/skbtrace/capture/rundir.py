# SPDX-License-Identifier: Apache-2.0
"""Spool mode: the run directory through which a caller arms a tracer, sets its window and learns how it fares.

window.json  the caller writes {"start_realtime_ns", "end_realtime_ns"} of this host's clock, or {"close": true}
status.json  the tracer writes its state: starting, armed (with the load, if it was to measure that), started,
             finished or failed, with counts
draft.json, stacks.txt  what the manifest will say as far as it is known when the window is set, and the call stacks
             so far; gone when that is written
records.bin, evidence.json, manifest.json  the bundle; the manifest comes last and makes it whole. Of a tracer that was
             killed, salvage.py makes one from the draft, the last status and the records
"""
import contextlib
import os
import time
from typing import Any, Dict, Optional

from ..errors import InputError, TracerError, option
from ..host import clock, limits
from ..kernel import symbols
from . import entered, evidence, files, manifest, nearest, stacks
from .load import Load
from .spool import Budget, Spool
from .window import WindowFile

_STATUS_SECONDS = 0.5
_MANIFEST_ROOM = 8 << 20  # bytes; symbols, stacks and devices seldom take one of them


def _enter(path: str) -> None:
    """Make the directory, for its owner alone, unless it is there, and go there: from here on it is the current one.

    What becomes of the name does not matter then. Raises OSError.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:  # its mode is its owner's business: the files in it are ours alone
        pass
    os.chdir(path)


class RunDir:
    """The run directory of one tracer."""

    def __init__(self, options: Any) -> None:
        """Make the directory if need be; raises InputError if it cannot be used, TracerError if its disk is full."""
        self.path = os.path.abspath(options.run_dir)
        try:
            _enter(self.path)
        except OSError as error:
            raise InputError("%s is %r: it must be a directory that can be written: %s"
                             % (option("run-dir"), options.run_dir, error.strerror)) from None
        if os.stat(".").st_mode & 0o002:
            raise InputError("%s is %r: it must be a directory into which not everybody may write"
                             % (option("run-dir"), options.run_dir))
        if os.path.lexists(files.MANIFEST):
            raise InputError("%s is %r: it holds a capture already" % (option("run-dir"), options.run_dir))
        if os.path.lexists(files.DRAFT):
            raise InputError("%s is %r: it holds a capture that was killed; --salvage makes a bundle of its records"
                             % (option("run-dir"), options.run_dir))
        limits.require_disk(self.path)
        self._manifest: Optional[files.ReservedJson] = None
        self._budget: Optional[Budget] = None
        self._evidence: Optional[evidence.Evidence] = None
        self._window_file = WindowFile(self.path)
        self._wait_until = time.monotonic() + options.wait_window if options.wait_window else None
        self._wait_seconds = options.wait_window
        self._measure_seconds = options.measure
        self._load: Optional[Load] = None  # while it is measured
        self._stacks = stacks.Stacks()
        self._next_status = 0.0
        self.write_status("starting")

    def write_status(self, state: str, why: str = "", **more: Any) -> None:
        """Tell the caller; a directory that is gone is noticed elsewhere."""
        status: Dict[str, Any] = {"state": state, "why": why, "pid": os.getpid(), "updated_ns": clock.realtime_ns(),
                                  "records": self._budget.kept if self._budget else 0}
        status["bytes"] = os.path.getsize(files.RECORDS) if self._budget else 0
        status.update(more)
        files.write_json(files.STATUS, status)

    def prepare(self, tracer: Any) -> None:
        """Begin, before the tracer is armed, what takes its time beside that."""
        if tracer.options.evidence:
            places = evidence.places_of(tracer.scope.paths, tracer.scope.netns is not None)
            self._evidence = evidence.Evidence(places, tracer.options.evidence)
            self._evidence.prepare()

    def give_up(self, why: str) -> None:
        """Tell the caller that there will be no capture."""
        if self._evidence:
            self._evidence.give_up()
        self.write_status("failed", why)

    def run(self, tracer: Any) -> None:
        """Capture into the directory; raises TracerError."""
        try:
            self._run(tracer)
        except OSError as error:
            raise TracerError("the run directory %s cannot be written: %s" % (self.path, error.strerror)) from None

    def _run(self, tracer: Any) -> None:
        options = tracer.options
        self._budget = Budget(options.max_records, options.max_bytes, tracer.layout.stride)
        self._manifest = files.ReservedJson(files.MANIFEST, _MANIFEST_ROOM)
        spool = Spool(self.path, self._budget, tracer.layout.stride)
        tracer.open_buffer(spool.take)
        if self._evidence:
            self._evidence.wait()
        if self._wait_until is None:
            self._tell_opened()
            tracer.window.open_now(options.duration)
            self._draft(tracer)
        elif self._measure_seconds:
            self._load = Load(tracer, self._measure_seconds)
        else:
            self._tell_armed(tracer)
        try:
            tracer.follow(spool, self)
            if self._evidence:
                self._evidence.closed()
            if self._evidence and tracer.window.is_set() and tracer.stopped_by != "closed":
                self._evidence.begin("after", tracer.stopped_by == "signal")
        finally:
            tracer.finish()
            spool.close()
        if not tracer.window.is_set():
            self._manifest.give_up()
            raise TracerError(self._why_no_window(tracer))
        self._read_switch(tracer)
        content = manifest.build(tracer, self._budget, nearest.take(tracer))
        content["files"].update(self._write_evidence())
        self._manifest.write(content)
        manifest.drop_draft()
        self._tell("finished", content["counters"], content["window"], content["why"])

    def _read_switch(self, tracer: Any) -> None:
        """Begin to ask Open vSwitch about packets that were recorded."""
        if self._evidence and tracer.stopped_by != "closed":
            self._evidence.begin_switch("after", tracer.stopped_by == "signal", entered.flows(tracer, files.RECORDS))

    def _tell_opened(self) -> None:
        if self._evidence:
            self._evidence.opened()

    def _tell_armed(self, tracer: Any) -> None:
        self.write_status("armed", attached=len(tracer.program.attached), skipped=tracer.program.skipped,
                          seconds=tracer.seconds, load=tracer.load)

    def _write_evidence(self) -> Dict[str, Any]:
        """Return the manifest's entry of evidence.json; empty if nobody asked for it, or the disk has no room."""
        if not self._evidence:
            return {}
        self._evidence.wait()
        try:
            self._evidence.write()
            return {evidence.NAME: manifest.file_entry(evidence.NAME)}
        except OSError:
            return {}

    def _why_no_window(self, tracer: Any) -> str:
        if tracer.stopped_by == "signal":
            return "stopped before a window was set"
        if tracer.stopped_by == "closed":
            return "the run directory was removed"
        return "no window was set within %g s" % self._wait_seconds

    def look(self, tracer: Any) -> None:
        """Obey the window file and tell how it goes; called by the tracer's loop."""
        if self._load:
            tracer.load = self._load.measured()
            if not tracer.load:
                return
            self._load = None
            self._tell_armed(tracer)
        given = self._window_file.changed()
        if given and given.get("close"):
            tracer.window.close()
            tracer.stopped_by = tracer.stopped_by or "window"
        elif given and not tracer.window.is_set():
            self._set_window(tracer, given)
        elif not tracer.window.is_set() and self._wait_until and time.monotonic() > self._wait_until:
            tracer.stopped_by = "wait_window"
        if time.monotonic() >= self._next_status and tracer.window.is_set():
            self._next_status = time.monotonic() + _STATUS_SECONDS
            self._tell_so_far(tracer)

    def _set_window(self, tracer: Any, given: Dict[str, Any]) -> None:
        self._tell_opened()
        try:
            tracer.window.open_at(given)
        except (KeyError, TypeError):
            raise TracerError("window.json lacks start_realtime_ns or end_realtime_ns in ns since 1970") from None
        tracer.pairs.append(clock.pair("start"))
        self._draft(tracer)

    def _draft(self, tracer: Any) -> None:
        with contextlib.suppress(OSError):  # what is wrong with directory or disk is noticed elsewhere
            files.write_json(files.DRAFT, dict(manifest.known(tracer), modules=symbols.modules()))

    def _tell(self, state: str, totals: Dict[str, int], window: Dict[str, Any], why: str = "", **more: Any) -> None:
        self.write_status(state, why, lost=totals["lost"], shed=totals["shed"], window=window, **more)

    def _tell_so_far(self, tracer: Any) -> None:
        if tracer.takes_stacks():
            self._stacks.look(tracer.symbols)
        window, now = tracer.window, clock.pair("last")
        rows = tracer.counters()
        try:
            self._tell("started", tracer.totals(rows), dict(
                window.given, start_ns=window.start_ns, end_ns=window.end_ns, late_by_ns=window.late_by_ns),
                max_rate=tracer.limit.now, per_point=rows, clock=now)
        except OSError:  # the directory is gone, or the disk is full: Spool sees it and ends the capture
            pass
