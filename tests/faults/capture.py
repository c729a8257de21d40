# SPDX-License-Identifier: Apache-2.0
"""Capture in several places of the lab at once and merge: the tracers and the merger themselves, without Ansible.

    capture = Capture(directory, ["hv-a", "hv-b"], ["--protocol", "udp"])
    with capture.window():
        ...                      # traffic; at the end of the block nothing is on its way any more
    summary = capture.merge()
"""
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from support.lab import PYTHON, ROOT, Netns, wait_until
from support.tracers import COMMANDS

TRACER = "datapath_tracing"
ALONE = {TRACER: []}
BOTH = {TRACER: ["--exclude-point", "skb.drop"], "drop_monitor": []}  # so that each drop is recorded once
MERGER = ROOT / "bpftools" / "merge_captures.py"
OPENS_IN_NS = 250_000_000  # tracers look for their window ten times a second, and the machine may be busy
NEVER_NS = 600_000_000_000  # the window is closed long before


class NotRecorded(Exception):
    """The kernel did not run the tracer's programs for packets that its own counters have. Seen on one machine, for
    packets that are sent or freed by timers: the tracers can know nothing of it."""


def inside(name: str) -> Netns:
    """A place's network, with this machine's files: a capture is to be read from outside."""
    return Netns(name, ["ip", "netns", "exec", name])


class Capture:
    """One run over several places. A place is a hypervisor or a VM; each is a host of its own to the merger."""

    def __init__(self, directory: pathlib.Path, places: list[str], options: list, *,
                 own: dict[str, list] | None = None, tracers: dict[str, list] | None = None) -> None:
        """`own`: further options of single places; `tracers`: the tracers in each place, with further options."""
        self.run, self.places = directory, list(places)
        self.options, self.own, self.tracers = list(options), own or {}, tracers or ALONE
        self.processes: dict[pathlib.Path, subprocess.Popen] = {}   # by bundle

    def bundle(self, place: str, tracer: str = TRACER) -> pathlib.Path:
        """Where a place's bundle is."""
        return self.run / "hosts" / place / tracer

    def bundles(self, places: list[str] | None = None) -> list[pathlib.Path]:
        """Where the bundles of all places are, or of some."""
        return [self.bundle(place, tracer) for place in places or self.places for tracer in self.tracers]

    def manifest(self, place: str, tracer: str = TRACER) -> dict:
        """A bundle's manifest."""
        return json.loads((self.bundle(place, tracer) / "manifest.json").read_text())

    def start(self, place: str, tracer: str) -> None:
        """Start a tracer with a closed window."""
        directory = self.bundle(place, tracer)
        directory.mkdir(parents=True)
        argv = [PYTHON, COMMANDS[tracer], "--netns", "self", "--host", place, "--run-id", self.run.name, "--run-dir",
                directory, "--wait-window", "60", *self.options, *self.tracers[tracer], *self.own.get(place, [])]
        self.processes[directory] = inside(place).popen(argv, stderr=(directory / "tracer.log").open("w"),
                                                        stdout=subprocess.DEVNULL)

    def reached(self, bundle: pathlib.Path, state: str) -> bool:
        """Whether a tracer is in this state; AssertionError with its own words if it never will be."""
        status = bundle / "status.json"
        said = json.loads(status.read_text())["state"] if status.exists() else "nothing"
        if said != state and self.processes[bundle].poll() is not None:
            raise AssertionError(f"{bundle}: {(bundle / 'tracer.log').read_text()}")
        return said == state

    def _wait(self, bundles: list[pathlib.Path], state: str) -> None:
        for bundle in bundles:
            wait_until(lambda bundle=bundle: self.reached(bundle, state), f"the tracer of {bundle} {state}", 60)

    def _set(self, bundle: pathlib.Path, window: dict) -> None:
        fresh = bundle / "window.new"
        fresh.write_text(json.dumps(window))
        fresh.rename(bundle / "window.json")

    def arm(self) -> None:
        """Start all tracers; returns when all are armed. What is left of an earlier run goes."""
        shutil.rmtree(self.run, ignore_errors=True)
        for place in self.places:
            for tracer in self.tracers:
                self.start(place, tracer)
        self._wait(self.bundles(), "armed")

    def open(self, places: list[str] | None = None, start: int | None = None) -> int:
        """Open the window in all places, or in some; returns its start. `start`: a start that has passed: that of the
        places that were opened before, so that these here are late."""
        start = start or time.time_ns() + OPENS_IN_NS
        for bundle in self.bundles(places):
            self._set(bundle, {"start_realtime_ns": start, "end_realtime_ns": start + NEVER_NS})
        self._wait(self.bundles(places), "started")
        wait_until(lambda: time.time_ns() > start, "the window's start")
        return start

    def close(self) -> None:
        """Close the window everywhere and wait for the bundles."""
        for bundle in self.bundles():
            self._set(bundle, {"close": True})
        for bundle, process in self.processes.items():
            assert process.wait(timeout=60) == 0, (bundle / "tracer.log").read_text()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """No tracer outlives this block."""
        try:
            yield
        finally:
            for process in self.processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        """The open window."""
        with self.running():
            self.arm()
            self.open()
            yield
            self.close()

    def require(self, place: str, point: str, count: int) -> None:
        """Raise NotRecorded unless a place's tracer was run for so many matching packets at a point."""
        matched = self.manifest(place)["per_point"][point]["matched"]
        if matched != count:
            raise NotRecorded(f"{place}: {count} packets passed {point}, the tracer was run for {matched}")

    def merge(self) -> dict:
        """Merge what there is of the places; returns the summary."""
        words = [word for place in self.places for word in ("--expect-host", place)]
        done = subprocess.run([sys.executable, MERGER, "--quiet", *words, self.run], text=True, capture_output=True,
                              timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self.run / "summary.json").read_text())
