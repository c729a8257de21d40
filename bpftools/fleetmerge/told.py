# SPDX-License-Identifier: Apache-2.0
"""What all tasks have to know, written down once. Large arrays become files of their own, which readers map: what is
known of a million flows is in memory once for all workers of a machine, and only what is looked at."""
import os
import pickle
import uuid
from functools import lru_cache
from typing import Any

import numpy as np

_LARGE = 1 << 16   # bytes


class _Writer(pickle.Pickler):
    """Keeps large arrays beside the file."""

    def __init__(self, path: str, handle: Any) -> None:
        super().__init__(handle, protocol=5)
        self._path, self._count = path, 0

    def persistent_id(self, thing: Any) -> str | None:
        """Return the name of the array's file; None for what is not kept apart."""
        if not isinstance(thing, np.ndarray) or thing.nbytes < _LARGE or thing.dtype.hasobject:
            return None
        name = keep("%s.%d.npy" % (self._path, self._count), thing)
        self._count += 1
        return os.path.basename(name)


class _Reader(pickle.Unpickler):
    def __init__(self, path: str, handle: Any) -> None:
        super().__init__(handle)
        self._directory = os.path.dirname(path)

    def persistent_load(self, name: str) -> np.ndarray:
        """Return an array: a map of its file."""
        return mapped(os.path.join(self._directory, name))


def keep(path: str, array: np.ndarray) -> str:
    """Write an array to a file of its own, whose name ends in .npy; return the file."""
    np.save(path, array)
    return path


def mapped(path: str) -> np.ndarray:
    """Return what keep() wrote, as a map of the file: only what is looked at takes memory, and only as long as there is
    some."""
    return np.load(path, mmap_mode="r").view(np.ndarray)


def tell(path: str, content: Any) -> str:
    """Write down what all tasks have to know; return where."""
    with open(path, "wb") as handle:
        _Writer(path, handle).dump(content)
    return path


@lru_cache(1)
def known_to(path: str) -> Any:
    """Return what was told; it is read once, and forgotten when something else is told."""
    with open(path, "rb") as handle:
        return _Reader(path, handle).load()


def fresh(path: str) -> str:
    """Return a name for what a task writes: a part that is done again, by whomever, never writes to the same file."""
    return "%s.%s" % (path, uuid.uuid4().hex[:8])
