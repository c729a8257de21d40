# SPDX-License-Identifier: Apache-2.0
"""Which records fit, and which are shown: a byte for each record, in a file for each bundle."""
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skbtrace.programs.classic import Program

from ..bundle.manifest import Bundle
from ..bundle.records import canonical, chunks
from ..packet.survey import FREE_POINT
from .frames import lay_out
from .machine import MATCH, NO_MATCH, UNDECIDED, UNPARSED, judge

SHOWN = 1 << 7    # beside the verdict
_CHUNK = 1 << 14  # records


def mark(bundle: Bundle, program: Program | None, path: str) -> str:
    """Write a bundle's verdicts to `path`; return it. program: None if every record fits."""
    frees = [number for number, name in bundle.points().items() if name == FREE_POINT]
    with open(bundle.path, "rb") as handle, open(path, "wb", opener=_private) as out:
        for data in chunks(handle, bundle.dtype.itemsize, _CHUNK):
            raw = np.frombuffer(data, bundle.dtype, len(data) // bundle.dtype.itemsize)
            verdicts = judge(program, lay_out(canonical(raw))) if program else np.full(len(raw), MATCH, "u1")
            # a free is no place on a packet's way: nothing is missed where it cannot be judged
            verdicts[np.isin(raw["point"], frees) & (verdicts != MATCH)] = NO_MATCH
            out.write(verdicts.data)
    return path


@dataclass(frozen=True)
class Marks:
    """The files, by bundle, and the times that count: from the first to before the second, wall ns."""

    paths: Sequence[str]
    bounds: tuple[int, int]

    def fit(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows fit and lie between the times. rows: identity.ROW, with wall times."""
        verdict = np.zeros(len(rows), "u1")
        for number in np.unique(rows["bundle"]).tolist():
            here = np.flatnonzero(rows["bundle"] == number)
            verdict[here] = _read(self.paths[number])[rows["record"][here]]
        return (verdict == MATCH) & self._inside(rows["time"])

    def shown(self, bundle: int, number: np.ndarray, wall: np.ndarray) -> tuple[np.ndarray, int]:
        """Return (which records of a bundle are shown; how many others may belong to what was asked for, as they could
        not be judged). number, wall: of each record."""
        value = _read(self.paths[bundle])[number]
        inside = self._inside(wall)
        shown = (value & SHOWN > 0) | ((value == MATCH) & inside)
        return shown, int((((value == UNPARSED) | (value == UNDECIDED)) & inside & ~shown).sum())

    def show(self, keys: np.ndarray) -> None:
        """Mark records as shown. keys: bundle << 32 | number of the record, sorted."""
        ends = np.searchsorted(keys, np.arange(len(self.paths) + 1, dtype="u8") << np.uint64(32))
        for path, low, high in zip(self.paths, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            if low < high:
                _read(path, "r+")[keys[low:high] & np.uint64(0xFFFFFFFF)] |= SHOWN

    def _inside(self, wall: np.ndarray) -> np.ndarray:
        return (wall >= self.bounds[0]) & (wall < self.bounds[1])


def _read(path: str, mode: str = "r") -> np.ndarray:
    if not os.path.getsize(path):
        return np.zeros(0, "u1")
    return np.memmap(path, "u1", mode)    # type: ignore[call-overload]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
