# SPDX-License-Identifier: Apache-2.0
"""Files of a run directory: for their owner alone, never seen half-written, never somebody else's by way of a link."""
import errno
import json
import os
import stat
from typing import Any

RECORDS, STATUS, DRAFT, MANIFEST = "records.bin", "status.json", "draft.json", "manifest.json"
ENDING = "ending.json"  # why the tracer was gone before its end, as whoever collects the run found out
MODE = 0o600
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def open_new(path: str) -> Any:
    """Create a file that only its owner can read, in place of any of that name; opened unbuffered for bytes."""
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, MODE)
    except FileExistsError:  # left from before, or a link that would lead elsewhere
        os.unlink(path)
        descriptor = os.open(path, flags, MODE)
    return os.fdopen(descriptor, "wb", 0)


def read_foreign(path: str, most: int) -> bytes:
    """Return the first `most` bytes of a file that somebody else wrote; raises OSError if it is not a plain file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def _encode(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _write_all(handle: Any, data: bytes) -> None:
    waiting = memoryview(data)
    while waiting:
        waiting = waiting[handle.write(waiting):]


def write_json(path: str, content: Any) -> None:
    """Write a file in one step: readers see the old one or the new one, never a part; raises OSError."""
    temporary = path + ".new"
    with open_new(temporary) as handle:
        _write_all(handle, _encode(content))
    os.rename(temporary, path)


class ReservedJson:
    """A file that is written at the end, whose room on the disk is taken at once: a full disk cannot prevent it."""

    def __init__(self, path: str, size: int) -> None:
        """size: bytes; raises OSError if there is no room for them."""
        self._path, self._temporary = path, path + ".new"
        self._handle = open_new(self._temporary)
        try:
            os.posix_fallocate(self._handle.fileno(), 0, size)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            # a file system that cannot promise room: it is written like any other file

    def write(self, content: Any) -> None:
        """Write the file in one step; raises OSError, when it is larger than its room and the disk is full."""
        data = _encode(content)
        _write_all(self._handle, data)
        self._handle.truncate(len(data))
        self._handle.close()
        os.rename(self._temporary, self._path)

    def give_up(self) -> None:
        """Return the room."""
        self._handle.close()
        try:
            os.unlink(self._temporary)
        except FileNotFoundError:  # somebody removed the directory: that returned it
            pass
