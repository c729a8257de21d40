# SPDX-License-Identifier: Apache-2.0
"""A reading: all collectors, one after the other, each within its time and its bytes.

    {"began_ns", "ended_ns",    of CLOCK_MONOTONIC
     "host": {collector: entry}, "namespaces": {inode: {collector: entry}}}

An entry has `value`, or `why` there is none, and the `seconds` that it took.
"""
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from typing import Any, Dict, List, Optional, Tuple

from .. import foreign
from . import children, clock, collectors, netns
from .collectors import Collector, Unread

SECONDS = 6.0              # for all together
MOST_BYTES = 12 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SAID_BYTES = 4096         # of what a command complains about


class Budget:
    """What is left of time and bytes for all collectors."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.bytes = MOST_BYTES

    def seconds(self, most: float) -> float:
        """Return the seconds that a collector may take."""
        return min(most, self.end - time.monotonic())


def read_all(places: List[str], seconds: float) -> Dict[str, Any]:
    """Return a reading of the network namespaces at these paths, and of the host."""
    began, budget = clock.monotonic_ns(), Budget(seconds)
    found: Dict[str, Any] = {"began_ns": began, "namespaces": {}}
    for path in places:
        try:
            with netns.inside(path):
                inode = str(netns.inode_of(netns.OWN))
                found["namespaces"][inode] = collect([row for row in collectors.TABLE if not row.everywhere], budget)
        except OSError:  # the namespace is gone
            continue
    found["host"] = collect([row for row in collectors.TABLE if row.everywhere], budget)
    found["ended_ns"] = clock.monotonic_ns()
    return found


def collect(rows: List[Collector], budget: Budget) -> Dict[str, Any]:
    """Return the entries of these collectors."""
    values: Dict[str, Any] = {}
    entries: Dict[str, Any] = {}
    for row in rows:
        began = time.monotonic()
        entry: Dict[str, Any] = {}
        try:
            entry["value"] = values[row.name] = _collect(row, budget, values)
        except Unread as why:
            entry["why"] = str(why)
        entries[row.name] = dict(entry, seconds=round(time.monotonic() - began, 3))
    return entries


def _collect(row: Collector, budget: Budget, read: Dict[str, Any]) -> Any:
    if budget.seconds(row.seconds) <= 0:
        raise Unread("there was no time left")
    if row.command and not _program(row.command[0]):
        raise Unread("%s is not installed" % row.command[0])
    missing = row.needs()
    if missing:
        raise Unread(missing)
    if row.files:
        return {path: _lines(_read_file(path, row, budget)) for path in collectors.paths(row.files)}
    if "{device}" in row.command:
        return {device: run([word.replace("{device}", device) for word in row.command], row, budget)
                for device in row.devices(read)}
    return run(row.command, row, budget)


def _read_file(path: str, row: Collector, budget: Budget) -> bytes:
    try:
        with open(path, "rb") as handle:
            data = handle.read(row.most + 1)
    except OSError as error:
        return ("cannot be read: %s" % error.strerror).encode()
    return _bounded(data, row, budget)


def _bounded(data: bytes, row: Collector, budget: Budget) -> bytes:
    if len(data) > row.most or len(data) > budget.bytes:
        raise Unread("it is longer than %d KiB" % (min(row.most, budget.bytes) >> 10))
    budget.bytes -= len(data)
    return data


def _lines(data: bytes) -> List[str]:
    return [foreign.shown(line.replace(b"\t", b" ")) for line in data.split(b"\n") if line.strip()]


def _program(name: str) -> Optional[str]:
    return shutil.which(name, path=_PATH)


def run(command: List[str], row: Collector, budget: Budget) -> Any:
    """Return what a command prints, as lines or as what its JSON says; raises Unread."""
    try:
        child = children.start([_program(command[0]) or command[0]] + command[1:], {"PATH": _PATH, "LC_ALL": "C"})
    except OSError as error:
        raise Unread("%s cannot be run: %s" % (command[0], error.strerror)) from None
    try:
        output, said = _listen(child, row, budget)
    finally:
        _end(child)
    if child.returncode:
        words = _lines(said) or ["status %s" % child.returncode]
        raise Unread("%s refused: %s" % (command[0], words[-1][:200]))
    output = _bounded(output, row, budget)
    if not row.json:
        return _lines(output)
    try:
        return json.loads(output.decode("utf-8", "backslashreplace") or "[]")
    except (ValueError, RecursionError):
        raise Unread("%s printed what is not JSON" % command[0]) from None


def _listen(child: Any, row: Collector, budget: Budget) -> Tuple[bytes, bytes]:
    """Return what a command prints and what it complains about; raises Unread if it takes too long or says too much."""
    end = time.monotonic() + budget.seconds(row.seconds)
    heard = {child.stdout: b"", child.stderr: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in heard:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise Unread("%s did not answer within %g s" % (child.args[0].rpartition("/")[2], row.seconds))
            for key, _events in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stdout or len(heard[child.stderr]) < _SAID_BYTES:
                    heard[key.fileobj] += data
            _check_length(len(heard[child.stdout]), row, budget)
    try:
        child.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Unread("%s did not end within %g s" % (child.args[0].rpartition("/")[2], row.seconds)) from None
    return heard[child.stdout], heard[child.stderr]


def _check_length(length: int, row: Collector, budget: Budget) -> None:
    if length > min(row.most, budget.bytes):
        raise Unread("it is longer than %d KiB" % (min(row.most, budget.bytes) >> 10))


def _end(child: Any) -> None:
    """End a command with all that it started. One that the kernel keeps from ending is left to the kernel."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            child.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
    child.stdout.close()
    child.stderr.close()
