# SPDX-License-Identifier: Apache-2.0
"""Captures at once on a host share the ceiling of records a second, and leave it to the others when they are gone."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

from support.known import PORT, SENT, send
from support.lab import PYTHON, Lab, wait_until
from support.tracers import COMMANDS

from skbtrace.capture import record

RATE = 100
OPTIONS = ["--netns", "hv-a", "--interface", "vnet0", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.rx",
           "--max-rate", RATE]
ROSTER = pathlib.Path("/run/skbfleet")


@contextlib.contextmanager
def captures(lab: Lab, runs: list[pathlib.Path]) -> Iterator[list[subprocess.Popen]]:
    """Captures at once on one host while the block runs; they end when it does."""
    command = [PYTHON, COMMANDS["datapath_tracing"], *OPTIONS]
    started = [lab.here().popen([*command, "--run-dir", run, "--run-id", run.name]) for run in runs]
    try:
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)


def wait_for_rate(run: pathlib.Path, rate: int) -> None:
    """Wait until a tracer says that it keeps to this rate."""
    status = run / "status.json"
    wait_until(lambda: status.exists() and json.loads(status.read_text()).get("max_rate") == rate,
               f"{run.name} keeps to {rate} records a second", 60)


def test_two_captures_on_a_host_share_the_ceiling(lab: Lab, tmp_path: pathlib.Path) -> None:
    """1,000 datagrams in 50 ms: half a full bucket for each, and what comes meanwhile."""
    runs = [tmp_path / "one", tmp_path / "two"]
    with captures(lab, runs):
        for run in runs:
            wait_for_rate(run, RATE // 2)
        assert len(list(ROSTER.iterdir())) == 2
        send(lab)
    assert not ROSTER.exists()
    for run, other in zip(runs, reversed(runs), strict=True):
        manifest = json.loads((run / "manifest.json").read_text())
        spool = (run / "records.bin").read_bytes()
        times = [record.unpack(spool, at).time_ns for at in range(record.RING_HEADER, len(spool), record.STRIDE)]
        assert manifest["counters"]["matched"] == SENT == len(times) + manifest["counters"]["shed"]
        meanwhile = (max(times) - min(times)) * RATE / 2 / 1e9
        assert RATE // 2 <= len(times) <= RATE // 2 + meanwhile + os.cpu_count()
        assert manifest["guards"] == {"max_rate": RATE, "captures": 2, "least_rate": RATE // 2}
        assert manifest["sharing"] == {"with": [other.name], "problem": ""}


def test_a_capture_that_is_killed_leaves_the_ceiling_to_the_other(lab: Lab, tmp_path: pathlib.Path) -> None:
    runs = [tmp_path / "lives", tmp_path / "dies"]
    with captures(lab, runs) as (_, dying):
        wait_for_rate(runs[0], RATE // 2)
        dying.send_signal(signal.SIGKILL)
        wait_for_rate(runs[0], RATE)
        assert [path.name.partition("@")[0] for path in ROSTER.iterdir()] == ["lives"]
        send(lab)
    counters = json.loads((runs[0] / "manifest.json").read_text())["counters"]
    assert counters["written"] >= RATE
    assert not ROSTER.exists()
