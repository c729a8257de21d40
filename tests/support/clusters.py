# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster on this machine's loopback, for a test."""
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY = "1GiB"    # of a worker


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def cluster(certificates: Path, count: int, log: Path) -> Iterator[str]:
    """Yield the address of a scheduler with `count` workers, which can import the tests' support."""
    address = "tls://127.0.0.1:%d" % free_port()
    with open(log, "wb") as out:
        running = [_run(out, "scheduler", address, certificates)]
        try:
            _wait(log, running)
            running.append(_run(out, "worker", address, certificates, count, MEMORY))
            _wait(log, running)
            yield address
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def _run(out: object, *words: object) -> subprocess.Popen:
    paths = [str(ROOT / "bpftools"), str(ROOT / "tests")]
    return subprocess.Popen([sys.executable, "-m", "fleetmerge.cluster", *map(str, words)], stdout=out, stderr=out,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})


def _wait(log: Path, running: list[subprocess.Popen]) -> None:
    """Wait until all say that they are ready."""
    for _ in range(1200):
        if log.read_text().split("\n").count("ready") == len(running):
            return
        assert all(process.poll() is None for process in running), log.read_text()
        time.sleep(0.05)
    raise TimeoutError(log.read_text())
