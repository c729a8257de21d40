# SPDX-License-Identifier: Apache-2.0
"""Run a tracer by hand in a place of the lab, and get back what it printed."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

from .lab import PYTHON, ROOT, Netns, wait_until

COMMANDS = {"drop_monitor": ROOT / "bpftools" / "multi_protocol_drop_monitor.py",
            "datapath_tracing": ROOT / "bpftools" / "packet_datapath_tracing.py"}


def state(run: pathlib.Path) -> str:
    """The state that a tracer tells in its run directory; empty before it tells one."""
    status = run / "status.json"
    return json.loads(status.read_text())["state"] if status.exists() else ""


def until(wanted: str, run: pathlib.Path) -> None:
    """Wait for a tracer that writes into a run directory: "armed", or "started" when its window is open."""
    wait_until(lambda: state(run) == wanted, f"the tracer is {wanted}", deadline_s=60)


def open_window(run: pathlib.Path) -> None:
    """Open the window of a tracer that is armed, without an end; it is open when this returns."""
    (run / "new").write_text(json.dumps({"start_realtime_ns": time.time_ns(), "end_realtime_ns": time.time_ns() * 2}))
    (run / "new").rename(run / "window.json")
    until("started", run)


def next_line(process: subprocess.Popen) -> str:
    """The next line that a process says on stderr; what comes behind it is left for communicate()."""
    line, descriptor = b"", process.stderr.fileno()
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line.decode()


class Running:
    """A tracer that is armed and tracing."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.log: list[str] = []      # what it said on stderr, summary last
        self.records: list[dict] = []
        self.status: int | None = None
        self.log.append(next_line(process).rstrip())
        assert self.log[0].startswith("tracing "), self.log[0] + process.stderr.read()

    def real_pid(self) -> int:
        """The tracer's own process: the last in the chain that entered the place."""
        pid = self.process.pid
        while children := pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def stop(self) -> list[dict]:
        """End it as Ctrl-C does, if it still runs; returns all records that it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=20)
        self.log += errors.splitlines()
        self.status = self.process.returncode
        self.records = [json.loads(line) for line in output.splitlines()]
        return self.records


@contextlib.contextmanager
def tracing(place: Netns, tracer: str, *options: object, python: str = PYTHON,
            before: Sequence[str] = ()) -> Iterator[Running]:
    """A tracer while the block runs, with JSON output; before: words of a command that runs it. It is armed when the
    block starts.
    """
    process = place.popen([*before, python, COMMANDS[tracer], "--format", "json", *options], stderr=subprocess.PIPE)
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
