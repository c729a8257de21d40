# SPDX-License-Identifier: Apache-2.0
"""Linux namespaces: make, enter, look into, remove. Needs root and a process with one thread."""
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from typing import Iterator, List

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000
NETNS_DIR = "/run/netns"

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something that the user must know; its text is one sentence."""


def check(result: int, what: str) -> None:
    """Raise OSError for a failed C call."""
    if result:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (what, os.strerror(code)))


def unshare(flags: int) -> None:
    """Leave the parent's namespaces of the kinds in `flags`."""
    check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()), "mount " + target)


def enter_netns(path: str) -> None:
    """Move this process into the network namespace at `path`."""
    with open(path) as handle:
        check(_libc.setns(handle.fileno(), NEWNET), "setns " + path)


def enter_pids(pid: int) -> None:
    """Have the children of this process, not itself, in the PID namespace of process `pid`."""
    with open("/proc/%d/ns/pid" % pid) as handle:
        check(_libc.setns(handle.fileno(), NEWPID), "setns " + handle.name)


def path_of(netns: str) -> str:
    """Where a named network namespace is to be found."""
    return os.path.join(NETNS_DIR, netns)


def exists(netns: str) -> bool:
    """Whether the name stands for a namespace; that of a half-made one is a plain file."""
    try:
        return os.stat(path_of(netns)).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def inside(netns: str) -> Iterator[None]:
    """Run the block in the named network namespace."""
    with open("/proc/self/ns/net") as home:
        enter_netns(path_of(netns))
        try:
            yield
        finally:
            check(_libc.setns(home.fileno(), NEWNET), "setns back")


def run(argv: List[str], text: str = "") -> str:
    """Run a command, give it `text` on stdin, return its stdout; LabError with its stderr if it fails."""
    try:
        done = subprocess.run(argv, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
    except FileNotFoundError:
        raise LabError("%s is not installed; the prereqs role installs what the lab needs" % argv[0]) from None
    if done.returncode:
        raise LabError("%s failed: %s" % (" ".join(argv), done.stderr.decode().strip().replace("\n", "; ")))
    return done.stdout.decode()


def processes(netns: str) -> List[int]:
    """Pids of the processes in a network namespace; empty if there is no such namespace."""
    try:
        wanted = os.stat(path_of(netns)).st_ino
    except FileNotFoundError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.stat("/proc/%s/ns/net" % entry).st_ino == wanted:
                found.append(int(entry))
        except OSError:
            continue  # it ended while we looked
    return found


def end_processes(netns: str, deadline_s: float = 5.0) -> None:
    """End every process in a network namespace and wait until they are gone; LabError if one remains."""
    end = time.monotonic() + deadline_s
    while True:
        pids = processes(netns)
        if not pids:
            return
        if time.monotonic() > end:
            raise LabError("processes %s in namespace %s do not end" % (pids, netns))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def remove(netns: str) -> None:
    """Remove a network namespace and everything that runs in it."""
    end_processes(netns)
    if exists(netns):
        run(["ip", "netns", "del", netns])
    elif os.path.lexists(path_of(netns)):
        os.unlink(path_of(netns))
