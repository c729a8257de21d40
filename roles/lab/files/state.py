# SPDX-License-Identifier: Apache-2.0
"""What the lab remembers between calls: keys and processes, in a directory that only root can read."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from typing import Iterator, Optional

from namespaces import LabError

DIRECTORY = "/run/skbfleet-lab"
LOCK = "/run/skbfleet-lab.lock"
CONTROL_DIR = "/run/skbfleet-lab/control"  # sockets of ssh connections that outlive a playbook


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One change of the lab at a time."""
    with open(LOCK, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def prepare() -> None:
    """Make the directory."""
    for directory in (DIRECTORY, CONTROL_DIR):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.chmod(directory, 0o700)


def forget() -> None:
    """Remove the directory."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def path(name: str) -> str:
    """A file of the lab's state."""
    return os.path.join(DIRECTORY, name)


def write(name: str, content: str) -> None:
    """Write a file whole or not at all, readable by root only."""
    temporary = path(name + ".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(content)
    os.rename(temporary, path(name))


def read(name: str) -> Optional[str]:
    """Content of a file, None if there is none."""
    try:
        with open(path(name)) as handle:
            return handle.read()
    except FileNotFoundError:
        return None


def _stat(pid: int) -> Optional[list]:
    """Fields of /proc/PID/stat from the process state on: [0] is the state, [19] the start time."""
    try:
        with open("/proc/%d/stat" % pid) as handle:
            return handle.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def remember_process(name: str, pid: int) -> None:
    """Record a process, with its start time: a pid alone may be somebody else's tomorrow."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        raise LabError("%s ended as soon as it had started; see %s" % (name, path(name + ".log")))
    write(name + ".pid", json.dumps({"pid": pid, "start": fields[19]}))


def process(name: str) -> Optional[int]:
    """Pid of a recorded process that is alive, else None."""
    content = read(name + ".pid")
    if not content:
        return None
    record = json.loads(content)
    fields = _stat(record["pid"])
    if fields is None or fields[0] in "ZX" or fields[19] != record["start"]:
        return None
    return record["pid"]


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    fields = _stat(pid)
    return fields is not None and fields[0] == "T"


def set_stopped(name: str, stopped: bool, deadline_s: float = 2.0) -> None:
    """Stop or continue a recorded process; returns when it really has stopped or goes on."""
    pid = process(name)
    if pid is None:
        raise LabError("%s does not run; start the lab first" % name)
    os.kill(pid, signal.SIGSTOP if stopped else signal.SIGCONT)
    end = time.monotonic() + deadline_s
    while is_stopped(pid) != stopped:
        if time.monotonic() > end:
            raise LabError("%s (pid %d) does not %s" % (name, pid, "stop" if stopped else "continue"))
        time.sleep(0.001)
