# SPDX-License-Identifier: Apache-2.0
"""Who takes packets out of queues: the processes that hold taps and UDP sockets, with their threads and vhost's.

All of it is read in /proc. Which network namespace a tap is in, that does not say: it is that of its process, unless
another process holds a tap of that name, or may do so unseen, or the process lives in a namespace that nobody asked
for. Then the kernel is asked (TUNGETDEVNETNS), through a copy of the descriptor that lives no longer than the question.
"""
import ctypes
import fcntl
import os
import re
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .. import foreign
from . import netns

MOST_HOLDERS = 256
MOST_TASKS = 2000          # of all holders together
MOST_SOCKETS = 20000
_TUNGETDEVNETNS = 0x54E3
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_WORKER = 0x00200000 | 0x00004000   # PF_KTHREAD; PF_USER_WORKER, which vhost's threads are since Linux 6.4
_INITIAL_PIDS = 0xEFFFFFFC          # inode of the PID namespace in which all processes are seen
_IFF = re.compile(rb"^iff:\t([^\n]+)$", re.MULTILINE)
_libc = ctypes.CDLL(None, use_errno=True)


class Task(NamedTuple):
    """A thread."""

    path: str           # its directory in /proc
    tid: int
    comm: str
    vhost: bool
    began: str          # start time, which tells it from a later one of the same number


class Stat(NamedTuple):
    """What /proc/PID/stat says that is of use here."""

    comm: str
    state: str          # R, S, D, T, ...
    flags: int
    began: str


def stat_of(path: str) -> Optional[Stat]:
    """Return what the stat file of a directory in /proc says; None if the thread is gone."""
    try:
        with open(path + "/stat", "rb") as handle:
            head, _, tail = handle.read(4096).rpartition(b") ")
    except OSError:
        return None
    words = tail.split()
    if len(words) < 20:
        return None
    return Stat(foreign.shown(head.partition(b" (")[2]), words[0].decode("latin-1"), int(words[6]), words[19].decode())


class Found:
    """The holders on this host, and what could not be looked at."""

    def __init__(self) -> None:
        self.holders: List[Dict[str, Any]] = []    # pid, comm, netns, taps, sockets, tasks
        self.left_out = 0                          # holders and threads that were too many
        self.unread = 0                            # processes that could not be looked into
        self.whole = True                          # whether there was time for all processes and sockets
        self.everybody = _inode("/proc/self/ns/pid") == _INITIAL_PIDS   # whether all processes of the host are seen


def find(places: List[str], seconds: float) -> Found:
    """Return who holds taps, and the UDP sockets of the network namespaces at these paths; seconds: of CPU, for
    all of it."""
    end = time.process_time() + seconds
    found = Found()
    workers: Dict[int, List[Task]] = {}    # vhost's, by the process that they work for
    sockets, wanted = _sockets(places), {_inode(place) for place in places}
    if len(sockets) > MOST_SOCKETS:
        found.whole, sockets = False, set()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if time.process_time() > end:
            found.whole = False
            break
        path = "/proc/%d" % pid
        stat = stat_of(path)
        if stat is None or pid == os.getpid():
            continue
        if stat.flags & _WORKER:
            if _is_vhost(stat):
                workers.setdefault(int(stat.comm[6:]), []).append(Task(path, pid, stat.comm, True, stat.began))
            continue
        taps, held = _held(path, sockets, found, end)
        if taps or held:
            found.holders.append({"pid": pid, "comm": stat.comm, "netns": _inode(path + "/ns/net"), "taps": taps,
                                  "sockets": held})
    _tell_namespaces(found.holders, wanted if found.everybody and found.whole else set())
    _add_tasks(found, workers)
    return found


def _is_vhost(stat: Stat) -> bool:
    return stat.comm.startswith("vhost-") and foreign.is_number(stat.comm[6:]) and bool(stat.flags & _WORKER)


def _inode(path: str) -> int:
    try:
        return netns.inode_of(path)
    except OSError:
        return 0


def _sockets(places: List[str]) -> Set[str]:
    """Return the inodes of UDP sockets in these namespaces."""
    out: Set[str] = set()
    for place in places:
        try:
            with netns.inside(place):
                for name in ("udp", "udp6"):
                    with open("/proc/net/" + name) as handle:
                        out.update(words[9] for words in map(str.split, handle) if len(words) > 9)
        except OSError:  # the namespace is gone, or there is no IPv6
            continue
    out.discard("0")     # nobody has these open any more
    return out


def _held(path: str, sockets: Set[str], found: Found, end: float) -> Tuple[List[Dict[str, Any]], List[int]]:
    """Return (taps, inodes of sockets) that a process has open, as far as is found within `end` s of this one's CPU."""
    taps: Dict[str, Dict[str, Any]] = {}
    held = []
    try:
        names = os.listdir(path + "/fd")
    except OSError:
        found.unread += 1
        return [], []
    for name in names:
        if time.process_time() > end:
            break
        try:
            target = os.readlink("%s/fd/%s" % (path, name))
            if target.startswith("socket:["):
                if target[8:-1] in sockets:
                    held.append(int(target[8:-1]))
            elif target.endswith("/net/tun"):
                device = _device(path, name)
                if device:
                    taps[device] = {"name": device, "netns": 0, "fd": int(name)}
        except OSError:  # it was closed
            continue
    return list(taps.values()), held


def _device(path: str, descriptor: str) -> str:
    with open("%s/fdinfo/%s" % (path, descriptor), "rb") as handle:
        match = _IFF.search(handle.read(4096))
    return foreign.shown(match.group(1)) if match else ""


def _tell_namespaces(holders: List[Dict[str, Any]], wanted: Set[int]) -> None:
    """Give each tap the inode of its network namespace; 0: it is not known."""
    often: Dict[str, int] = {}
    for holder in holders:
        for tap in holder["taps"]:
            often[tap["name"]] = often.get(tap["name"], 0) + 1
    for holder in holders:
        for tap in holder["taps"]:
            descriptor = tap.pop("fd")
            plain = often[tap["name"]] == 1 and holder["netns"] in wanted
            tap["netns"] = holder["netns"] if plain else _ask_namespace(holder["pid"], descriptor)


def _ask_namespace(pid: int, descriptor: int) -> int:
    """Return the inode of the network namespace of a process's tap; 0: the kernel does not tell (before Linux 5.6)."""
    copies = []
    try:
        copies.append(_call(_PIDFD_OPEN, pid, 0))
        copies.append(_call(_PIDFD_GETFD, copies[0], descriptor, 0))
        copies.append(fcntl.ioctl(copies[1], _TUNGETDEVNETNS))
        return os.fstat(copies[2]).st_ino
    except OSError:
        return 0
    finally:
        for copy in copies:
            os.close(copy)


def _call(*words: int) -> int:
    result = _libc.syscall(*words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def _add_tasks(found: Found, workers: Dict[int, List[Task]]) -> None:
    """Give the holders their threads, those of taps first; what is too many is counted."""
    room = MOST_TASKS
    kept: List[Dict[str, Any]] = []
    for holder in sorted(found.holders, key=lambda one: not one["taps"]):
        tasks = workers.get(holder["pid"], []) + list(_threads("/proc/%d" % holder["pid"]))
        if len(kept) == MOST_HOLDERS or len(tasks) > room:
            found.left_out += 1
            continue
        room -= len(tasks)
        kept.append(dict(holder, tasks=tasks))
    found.holders = kept


def _threads(path: str) -> Iterator[Task]:
    try:
        names = sorted(os.listdir(path + "/task"), key=int)
    except OSError:  # it is gone
        return
    for name in names:
        own = "%s/task/%s" % (path, name)
        stat = stat_of(own)
        if stat:
            yield Task(own, int(name), stat.comm, _is_vhost(stat), stat.began)
