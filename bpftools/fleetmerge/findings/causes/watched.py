# SPDX-License-Identifier: Apache-2.0
"""What the looks say of one thread, process or CPU while packets were dropped."""
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...bundle.looks import Holder, Looks, Task
from .drop import Drop

_VHOST = re.compile(r"vhost-[0-9]{1,10}")
STOPPED = ("T", "t")
_ENOUGH, _HARDLY = 5, 0.05    # looks that tell a share; share of the time for which a thread hardly runs
_STATES = {"R": "ready or running", "S": "asleep", "D": "blocked", "T": "stopped", "-": "gone"}


@dataclass(frozen=True)
class Stretch:
    """The looks around the drops at one place: from the last one before a drop to the first one after it."""

    looks: Looks
    pieces: Sequence[tuple[int, int]]   # first and last look of each, ascending, apart from each other
    whole: bool                         # whether there were looks before and after each drop
    drops_s: float                      # from the first drop to the last in each piece

    @property
    def seconds(self) -> float:
        """Return how long it was from look to look."""
        return self.gain(self.looks.times) / 1e9

    def gain(self, values: Sequence[int]) -> int:
        """Return by how much a counter rose that has a value for each look; one that is gone rises no more."""
        return sum(max(0, max(values[first:last + 1]) - values[first]) for first, last in self.pieces)

    def states(self, task: Task) -> Counter[str]:
        """Return at how many of these looks a thread was in each state."""
        return Counter("".join(task.states[first:last + 1] for first, last in self.pieces))


@dataclass(frozen=True)
class Seen:
    """What became of a thread in a stretch."""

    name: str
    holder: Holder
    task: Task
    looks: int
    states: dict[str, int]    # state -> looks
    ran_ms: float
    waited_ms: float
    seconds: float

    @property
    def stopped(self) -> int:
        """Return at how many looks it was stopped."""
        return sum(self.states.get(state, 0) for state in STOPPED)

    @property
    def ran(self) -> float:
        """Return the share of time for which it had a CPU."""
        return self.ran_ms / 1000 / self.seconds

    @property
    def waited(self) -> float:
        """Return the share of time for which it waited for a CPU: as the kernel counts it, which it does when a wait is
        over; or as was seen: a thread that is ready and never ran waits, and mostly so does one that hardly ran."""
        ready = self.states.get("R", 0) / self.looks
        is_sure = ready == 1 and self.ran_ms == 0
        is_seen = is_sure or (ready >= 0.5 and self.looks >= _ENOUGH and self.ran < _HARDLY)
        return max(self.waited_ms / 1000 / self.seconds, ready - self.ran if is_seen else 0.0)

    def words(self, waiting: bool = False) -> str:
        """Return it as it is said: "was asleep in 9 of 10 looks, ran 3 ms and waited 0 ms for a CPU in 1.20 s".
        waiting: that it waited is what counts, and comes first."""
        state, count = max(self.states.items(), key=lambda item: item[1])
        if self.stopped:
            state, count = "T", self.stopped
        looked = "%s in %d of %d looks" % (_STATES.get(state, "in state " + state), count, self.looks)
        ran, waited = _ms(self.ran_ms), _ms(self.waited_ms)
        if waiting:
            return "waited %s for a CPU and ran %s in %.2f s, and was %s" % (waited, ran, self.seconds, looked)
        return "was %s, ran %s and waited %s for a CPU in %.2f s" % (looked, ran, waited, self.seconds)

    def entry(self) -> dict[str, Any]:
        """Return it as summary.json has it."""
        return {"pid": self.holder.pid, "comm": self.holder.comm, "thread": self.task.tid, "vhost": self.task.vhost,
                "looks": self.looks, "states": self.states, "ran_ms": round(self.ran_ms, 3),
                "waited_ms": round(self.waited_ms, 3), "seconds": round(self.seconds, 3)}


def _ms(value: float) -> str:
    return "%.0f ms" % value if value >= 10 or value == 0 else "%.2g ms" % value


def stretch(drop: Drop) -> Stretch | None:
    """Return the looks around these drops; None if there are not two."""
    looks = drop.looks
    if looks is None or len(looks.times) < 2 or not drop.moments:
        return None
    times, most = looks.times, len(looks.times) - 1
    pieces: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []     # of the drops in each
    for first, last in drop.moments:
        start = min(max(0, bisect_right(times, first) - 1), most - 1)
        end = max(min(most, bisect_left(times, last)), start + 1)
        if pieces and start <= pieces[-1][1]:
            start, end = pieces[-1][0], max(end, pieces.pop()[1])
            first = spans.pop()[0]
        pieces.append((start, end))
        spans.append((first, last))
    whole = times[0] <= drop.moments[0][0] and drop.moments[-1][1] <= times[-1]
    found = Stretch(looks, pieces, whole, sum(last - first for first, last in spans) / 1e9)
    return found if found.seconds else None


def seen(holder: Holder, task: Task, of: Stretch) -> Seen:
    """Return what became of a thread."""
    states = of.states(task)
    ran = of.gain(task.ran) / 1e6
    # a wait is counted when it is over, and may have begun before
    waited = min(of.gain(task.waited) / 1e6, max(0.0, of.seconds * 1000 - ran))
    return Seen(name_of(holder, task), holder, task, states.total(), dict(states), ran, waited, of.seconds)


def name_of(holder: Holder, task: Task) -> str:
    """Return how a thread is called; what a process calls itself stands in quotes."""
    own = '"%s" (pid %d)' % (holder.comm, holder.pid)
    if task.vhost and _VHOST.fullmatch(task.comm):
        return "%s (thread %d) of %s" % (task.comm, task.tid, own)
    return own if task.tid == holder.pid else 'the thread "%s" (%d) of %s' % (task.comm, task.tid, own)


def owner(drop: Drop, socket: int) -> Seen | None:
    """Return the thread that ran most of the process that alone has a socket open; None if there is no such one."""
    around = stretch(drop)
    holders = [one for one in around.looks.holders if socket in one.sockets and one.tasks] if around else []
    if around is None or len(holders) != 1:
        return None
    threads = [seen(holders[0], task, around) for task in holders[0].tasks]
    return max(threads, key=lambda one: (one.stopped, one.ran_ms + one.waited_ms))


def softirqs(drop: Drop, cpus: list[int]) -> str:
    """Say which share of their time these CPUs spent on packets; empty if nobody looked."""
    around = stretch(drop)
    shares = {cpu: share(around, 2, cpu) for cpu in cpus if cpu in around.looks.cpus} if around else {}
    return "softirqs took %s" % ", ".join("%.0f %% of the time of CPU %d" % (100 * part, cpu)
                                          for cpu, part in shares.items()) if shares else ""


def share(around: Stretch, column: int, *cpus: int) -> float:
    """Return the share of the time of these CPUs, or of all, that went to: 1 steal, 2 softirq."""
    rows = [around.looks.cpus[cpu] for cpu in cpus or around.looks.cpus]
    total, part = (sum(around.gain([look[which] for look in row]) for row in rows) for which in (0, column))
    return part / total if total else 0.0
