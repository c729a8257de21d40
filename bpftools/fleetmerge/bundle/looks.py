# SPDX-License-Identifier: Apache-2.0
"""Who took packets out of a host's queues, as it looked at them while its window was open: skbtrace/host/looks.py."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..words import clean

_MOST_NS = 1 << 62


@dataclass(frozen=True)
class Task:
    """A thread; states, ran, waited: one for each look."""

    tid: int
    comm: str
    vhost: bool
    states: str            # R, S, D, T, ...; - where it was gone
    ran: Sequence[int]     # ns on a CPU, since it began
    waited: Sequence[int]  # ns ready to run, without a CPU


@dataclass(frozen=True)
class Holder:
    """A process that has a tap or a socket open."""

    pid: int
    comm: str
    taps: dict[str, set[int]]     # name -> inodes of the network namespaces in which it is; 0: not known
    sockets: frozenset[int]       # inodes
    tasks: Sequence[Task]         # its own threads and vhost's that work for it


@dataclass(frozen=True)
class Looks:
    """What was seen at each look."""

    times: Sequence[int] = ()     # CLOCK_MONOTONIC, ns, ascending
    holders: Sequence[Holder] = ()
    cpus: dict[int, Sequence[Sequence[int]]] = field(default_factory=dict)   # for each look: total, steal, softirq
    memory_us: Sequence[int] = ()
    complete: bool = True         # whether all processes of the host were looked into


def looks_of(content: Any) -> Looks:
    """Return what a host says that it saw; raises ValueError, TypeError or LookupError if that has no such shape."""
    times = _numbers(content["times"], len(content["times"]))
    if times != sorted(times):
        raise ValueError("times that do not ascend")
    count = len(times)
    cpus: dict[int, Sequence[Sequence[int]]] = {
        int(str(name)[:9]): [_numbers(row, 3) for row in rows] for name, rows in content["cpus"].items()}
    if any(len(rows) != count for rows in cpus.values()):
        raise ValueError("a CPU without all its looks")
    complete = content["whole"] is True and content["everybody"] is True and not (
        content["left_out"] or content["unread"])
    return Looks(times, [_holder(one, count) for one in content["holders"]], cpus,
                 _numbers(content["memory_us"], count), complete)


def _holder(content: Any, count: int) -> Holder:
    taps: dict[str, set[int]] = {}
    for tap in content["taps"]:
        taps.setdefault(clean(tap["name"]), set()).add(_number(tap["netns"]))
    return Holder(_number(content["pid"]), str(content["comm"])[:64], taps,
                  frozenset(map(_number, content["sockets"])), [_task(one, count) for one in content["tasks"]])


def _task(content: Any, count: int) -> Task:
    states = str(content["states"])
    if len(states) != count:
        raise ValueError("a thread without all its looks")
    return Task(_number(content["tid"]), str(content["comm"])[:64], content["vhost"] is True, states,
                _numbers(content["ran"], count), _numbers(content["waited"], count))


def _numbers(values: Any, count: int) -> list[int]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("not as many numbers as there are looks")
    return [_number(value) for value in values]


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST_NS:
        raise ValueError("not a number")
    return value
