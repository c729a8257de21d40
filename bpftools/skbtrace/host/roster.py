# SPDX-License-Identifier: Apache-2.0
"""Which captures are at work on this host at the same time: each tracer keeps a locked file, and sees those of others.

The kernel lets go of the lock when the tracer is gone, however it went: a file that can be locked is nobody's, and is
removed by whoever finds it. The directory is root's alone.
"""
import fcntl
import os
import stat
from typing import List, Optional

from .. import foreign
from . import clock

DIRECTORY = "/run/skbfleet"
_MOST_NAMES = 64
_ATTEMPTS = 10  # to make the file, while others remove the directory that they leave empty


class Roster:
    """The captures of this host; a capture has as many files as it has tracers."""

    def __init__(self, capture: str, directory: str = DIRECTORY) -> None:
        """capture: its name, which its other tracer has, too."""
        self._capture, self._directory = capture, directory
        # the process id is its own only where others see the same processes
        self._path = os.path.join(directory, "%s@%d-%d" % (capture, os.getpid(), clock.monotonic_ns()))
        self._descriptor: Optional[int] = None

    def join(self) -> None:
        """Let others see this tracer; raises OSError."""
        for _ in range(_ATTEMPTS):
            try:
                os.mkdir(self._directory, 0o700)
            except FileExistsError:
                pass
            status = os.lstat(self._directory)
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise PermissionError("%s does not belong to this user alone" % self._directory)
            try:
                self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # whoever left last has removed the directory
                continue
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if self._is_mine():
                return
            self.leave()
        raise OSError("%s is made and removed without end" % self._directory)

    def _is_mine(self) -> bool:
        """Whether the file that was locked is still the one of that name: another one may have removed it before."""
        try:
            return os.stat(self._path).st_ino == os.fstat(self._descriptor or 0).st_ino
        except FileNotFoundError:
            return False

    def others(self) -> List[str]:
        """Return the other captures that are at work, each once, in order."""
        found = set()
        for name in _list(self._directory):
            capture = name.rpartition("@")[0]
            path = os.path.join(self._directory, name)
            if capture != self._capture and _is_held(path):
                found.add(foreign.from_system(capture))
        return sorted(found)[:_MOST_NAMES]

    def leave(self) -> None:
        """Remove what others see of this tracer."""
        if self._descriptor is None:
            return
        for remove, path in ((os.unlink, self._path), (os.rmdir, self._directory)):
            try:
                remove(path)
            except OSError:  # somebody has done it, or others are still there
                pass
        os.close(self._descriptor)
        self._descriptor = None


def _list(directory: str) -> List[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _is_held(path: str) -> bool:
    """Whether the process whose file this is lives; the file of a dead one is removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.unlink(path)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
