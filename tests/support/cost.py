# SPDX-License-Identifier: Apache-2.0
"""What a command costs, with all that it starts."""
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """What a command took."""

    status: int
    seconds: float
    cpu: float      # s
    peak: int       # bytes, over all processes

    def __str__(self) -> str:
        return "%.1f s, %.1f s of CPU, peak %.0f MiB over all processes" % (
            self.seconds, self.cpu, self.peak / 2**20) + (", exit status %d" % self.status if self.status else "")


def of(command: Sequence[str], **options: Any) -> Cost:
    """Run a command to its end; options: of subprocess.Popen."""
    begin, peak, before = time.monotonic(), 0, _used()
    child = subprocess.Popen(command, **options)
    while child.poll() is None:
        looked = time.process_time()
        peak = max(peak, _resident())
        # to look takes long where there are many processes, and what is measured needs the CPUs
        time.sleep(max(0.02, 50 * (time.process_time() - looked)))
    return Cost(child.returncode, time.monotonic() - begin, _used() - before, peak)


def _tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, thread)) as handle:
                for child in handle.read().split():
                    found += _tree(int(child))
    except OSError:
        pass
    return found


def _resident() -> int:
    """Return the resident bytes of all that this process started."""
    total = 0
    for member in _tree(os.getpid())[1:]:
        try:
            with open("/proc/%d/statm" % member) as handle:
                total += int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass
    return total


def _used() -> float:
    """Return the seconds of CPU of all that this process started, whether it has ended or not."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for member in _tree(os.getpid())[1:]:
        try:
            with open("/proc/%d/stat" % member) as handle:
                own_and_ended = handle.read().rpartition(")")[2].split()[11:15]
        except OSError:
            continue
        total += sum(map(int, own_and_ended)) / os.sysconf("SC_CLK_TCK")
    return total
