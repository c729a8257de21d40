# SPDX-License-Identifier: Apache-2.0
"""Looks at those who take packets out of queues, while the window is open: what state they are in, how long they had a
CPU and how long they waited for one. However long that is, few looks are kept: then every second one goes.

    {"times": [ns of CLOCK_MONOTONIC], "holders": [{"pid", "comm", "netns", "taps": [{"name", "netns"}],
     "sockets": [inode], "tasks": [{"tid", "comm", "vhost", "states": "SSR-", "ran": [ns], "waited": [ns]}]}],
     "cpus": {number: [[total, steal, softirq]]}, "memory_us": [us that tasks waited for memory],
     "left_out", "unread", "whole", "everybody"}    of holders.Found

Lists have one entry for each look; where a thread was gone its state is `-`. A CPU's times are in ticks.
"""
import os
import select
import time
from typing import Any, Callable, Dict, List

from . import clock, holders

FEWEST, MOST_LOOKS = 20, 200   # that are kept, the fewer the more threads there are
_MOST_STATES = 40_000          # of all threads, at all looks
_FIRST_SECONDS = 0.1           # between looks
_SHARE = 50                    # one look takes no more than 1/50 of a CPU until the next
_FIND_SECONDS = 1.0
_MOST_CPUS = 256
_GONE = (0, 0)


class Looks:
    """What was seen at each look."""

    def __init__(self, found: holders.Found) -> None:
        self._found = found
        self.times: List[int] = []
        self._tasks = [task for holder in found.holders for task in holder["tasks"]]
        self.most = max(FEWEST, min(MOST_LOOKS, _MOST_STATES // max(1, len(self._tasks))))
        self._seen: List[List[Any]] = []       # for each look, of each task: (state, ran, waited)
        self._cpus: List[Dict[str, List[int]]] = []
        self._memory: List[int] = []

    def look(self) -> None:
        """Look once more."""
        if len(self.times) == self.most:
            for kept in (self.times, self._seen, self._cpus, self._memory):
                del kept[1::2]
        self.times.append(clock.monotonic_ns())
        self._seen.append([_of_task(task) for task in self._tasks])
        self._cpus.append(_cpus())
        self._memory.append(_memory())

    def content(self) -> Dict[str, Any]:
        """Return all looks, as JSON has them."""
        columns = iter(zip(*self._seen) if self._seen else [()] * len(self._tasks))
        found = self._found
        shown = [dict(holder, tasks=[_columns(task, next(columns)) for task in holder["tasks"]])
                 for holder in found.holders]
        names = sorted(set.intersection(*map(set, self._cpus))) if self._cpus else []
        return {"times": self.times, "holders": shown, "memory_us": self._memory,
                "cpus": {name: [cpus[name] for cpus in self._cpus] for name in names},
                "left_out": found.left_out, "unread": found.unread, "whole": found.whole, "everybody": found.everybody}


def _columns(task: holders.Task, seen: Any) -> Dict[str, Any]:
    return {"tid": task.tid, "comm": task.comm, "vhost": task.vhost, "states": "".join(one[0] for one in seen),
            "ran": [one[1] for one in seen], "waited": [one[2] for one in seen]}


def _of_task(task: holders.Task) -> Any:
    stat = holders.stat_of(task.path)
    ran, waited = times_of(_read(task.path + "/schedstat"))
    if stat is None or stat.began != task.began:
        return ("-",) + _GONE
    return stat.state[:1], ran, waited


def times_of(text: str) -> Any:
    """Return (ns on a CPU, ns waited for one) that a schedstat file says."""
    words = text.split()
    return (int(words[0]), int(words[1])) if len(words) == 3 else _GONE


def _cpus() -> Dict[str, List[int]]:
    return cpus_of(_read("/proc/stat"))


def cpus_of(text: str) -> Dict[str, List[int]]:
    """Return [total, steal, softirq] of each CPU in /proc/stat, in ticks."""
    out = {}
    for line in text.splitlines()[1:_MOST_CPUS + 1]:
        words = line.split()
        if not words or not words[0].startswith("cpu") or len(words) < 9:
            break
        numbers = list(map(int, words[1:9]))
        out[words[0][3:]] = [sum(numbers), numbers[7], numbers[6]]
    return out


def _memory() -> int:
    """Return for how many us some task has waited for memory; 0 where the kernel does not count it."""
    _, _, total = _read("/proc/pressure/memory").partition("\n")[0].partition("total=")
    return int(total) if total.isdigit() else 0


def _read(path: str) -> str:
    try:
        with open(path, "rb") as handle:
            return handle.read(1 << 20).decode("ascii", "replace")
    except OSError:  # it is gone, or this kernel does not have it
        return ""


def watch(places: List[str], told: int, ready: Callable[[], None]) -> Dict[str, Any]:
    """Find who takes packets out of the queues of these network namespaces, and look at them: once, to be ready, and
    from the first byte on that is read from the descriptor `told` until its end."""
    looks = Looks(holders.find(places, _FIND_SECONDS))
    looks.look()
    ready()
    if os.read(told, 1):
        pause = _FIRST_SECONDS
        while True:
            used = time.process_time()     # how long it waits for a CPU itself is nobody's burden
            looks.look()
            if len(looks.times) == looks.most:
                pause *= 2
            if _ended(told, max(pause, (time.process_time() - used) * _SHARE)):
                break
        looks.look()
    return looks.content()


def _ended(told: int, seconds: float) -> bool:
    return bool(select.select([told], [], [], seconds)[0]) and not os.read(told, 1)
