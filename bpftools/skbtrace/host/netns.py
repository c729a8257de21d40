# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: naming them, finding them, entering one for a moment."""
import contextlib
import ctypes
import os
from typing import Dict, Iterator

from .. import foreign
from ..errors import InputError, option

OWN = "/proc/self/ns/net"
_NAMED = "/run/netns"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def path_of(value: str) -> str:
    """Return the file of the namespace that the user calls `value`: a name, a path, a pid or "self".

    Raises InputError if there is no such namespace.
    """
    if value == "self":
        path = OWN
    elif foreign.is_number(value):
        path = "/proc/%s/ns/net" % value
    elif "/" in value:
        path = value
    else:
        path = os.path.join(_NAMED, value)
    try:
        with inside(path):
            return path
    except OSError:
        raise InputError("%s is %r: there is no such network namespace; it must be a name from `ip netns`, a path, "
                         "the pid of a process, or self" % (option("netns"), value)) from None


def inode_of(path: str) -> int:
    """Return the namespace's inode number, by which the kernel names it; raises OSError."""
    return os.stat(path).st_ino


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """Be in the network namespace at `path`; raises OSError if it is none."""
    own = os.open(OWN, os.O_RDONLY)
    try:
        other = os.open(path, os.O_RDONLY)
        try:
            _enter(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def list_all() -> Dict[int, str]:
    """Return inode -> path of every namespace that has a name or a process."""
    found: Dict[int, str] = {}
    paths = [OWN]
    with contextlib.suppress(OSError):
        paths += [os.path.join(_NAMED, name) for name in sorted(os.listdir(_NAMED))]
    paths += ["/proc/%s/ns/net" % pid for pid in os.listdir("/proc") if pid.isdigit()]
    for path in paths:
        with contextlib.suppress(OSError):  # the process is gone, or the name is a stale mount point
            found.setdefault(inode_of(path), path)
    return found


def names() -> Dict[int, str]:
    """Return inode -> name of the namespaces that `ip netns` knows."""
    found: Dict[int, str] = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(_NAMED)):
            with contextlib.suppress(OSError):
                found[inode_of(os.path.join(_NAMED, name))] = foreign.from_system(name)
    return found
