# SPDX-License-Identifier: Apache-2.0
"""What this host has: asked before anything is loaded, so that what is missing is said in one sentence."""
import importlib.util
import os
import re
import resource
import sys
from typing import Union

from ..errors import TracerError

DISK_RESERVE = 64 << 20  # bytes that a capture leaves free on the host's disk


def require_root() -> None:
    """Raise TracerError if this user may not load BPF programs."""
    if os.geteuid() != 0:
        raise TracerError("this must run as root: loading BPF programs is not allowed to user %d" % os.geteuid())


def require_bcc() -> None:
    """Raise TracerError if this Python has no bcc, or one that does not fit."""
    if importlib.util.find_spec("bcc") is None:
        raise TracerError("%s has no module bcc: install python3-bpfcc (Debian, openEuler) or python3-bcc (RHEL family)"
                          % sys.executable)
    try:
        import bcc  # noqa: F401 - whether it can be
    except (ImportError, OSError, AttributeError) as error:  # the library is missing, or is another version's
        raise TracerError("the module bcc of %s cannot be used: %s" % (sys.executable, error)) from None


def raise_memlock() -> None:
    """Lift the limit of memory that this process may lock: kernels before 5.11 count BPF maps and programs as such."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):  # without CAP_SYS_RESOURCE it goes no higher than the hard limit
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))


def memlock_hint() -> str:
    """Return what to do if it was the limit of locked memory that stood in the way; empty if there is none."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    version = [int(part) for part in re.findall(r"\d+", os.uname().release)[:2]]
    if limit == resource.RLIM_INFINITY or version >= [5, 11]:
        return ""
    return (" (kernels before 5.11 count BPF maps as locked memory, of which this process may have %d KiB: "
            "raise that with ulimit -l, or LimitMEMLOCK= in its unit, or give it CAP_SYS_RESOURCE)" % (limit >> 10))


def existing_directory(path: str) -> str:
    """Return the directory itself, or the nearest one above it that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def require_disk(directory: str) -> None:
    """Raise TracerError if a spool in `directory` would leave the disk too full to begin with."""
    free = free_bytes(directory)
    if free < DISK_RESERVE:
        raise TracerError("the disk of %s has %d MiB free: a capture needs at least %d MiB"
                          % (directory, free >> 20, DISK_RESERVE >> 20))


def free_bytes(place: Union[str, int]) -> int:
    """Return the bytes that are free on the disk of a directory, or of an open file; raises OSError."""
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize
