# SPDX-License-Identifier: Apache-2.0
"""Cut time into ranges of about equal numbers of records, so that each range can be merged by itself."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import picked
from ..bundle.manifest import Bundle
from ..bundle.records import read
from ..clock.host import HostClock
from ..packet.survey import BLOCK, Index

RANGE_RECORDS = 1 << 16   # records that a range aims at


@dataclass
class Piece:
    """The blocks of one bundle that overlap a range."""

    bundle: int
    first: int   # record number
    count: int


@dataclass
class Range:
    """A stretch of wall time, from `start` to before `end` (ns), and where its records may be."""

    number: int
    start: int
    end: int
    pieces: list[Piece]


def plan(bundles: Sequence[Bundle], indexes: Sequence[Index], clocks: Sequence[HostClock],
         records: int = RANGE_RECORDS) -> list[Range]:
    """Cut the run into ranges of time of about `records` records each."""
    firsts, lasts, counts, owners, numbers = [], [], [], [], []
    for number, (bundle, index, clock) in enumerate(zip(bundles, indexes, clocks, strict=True)):
        blocks = len(index.first)
        firsts.append(clock.to_wall(index.first))
        lasts.append(clock.to_wall(index.last))
        count = np.full(blocks, BLOCK, "i8")
        if blocks:
            count[-1] = bundle.records - BLOCK * (blocks - 1)
        counts.append(count)
        owners.append(np.full(blocks, number))
        numbers.append(np.arange(blocks))
    first, last, count = np.concatenate(firsts), np.concatenate(lasts), np.concatenate(counts)
    owner, block = np.concatenate(owners), np.concatenate(numbers)
    if not len(first):
        return []
    cuts = _cuts(first, count, records)
    ends = [*cuts[1:], int(last.max()) + 1]
    by_first = np.argsort(first, kind="stable")
    first, last, count, owner, block = (array[by_first] for array in (first, last, count, owner, block))
    until = np.searchsorted(first, ends, "left")      # blocks that begin before the range ends
    latest = np.maximum.accumulate(last)
    since = np.searchsorted(latest, cuts, "left")     # blocks before this one all end before the range
    ranges = []
    for number, (start, end, low, high) in enumerate(zip(cuts, ends, since, until, strict=True)):
        inside = np.flatnonzero(last[low:high] >= start) + low
        ranges.append(Range(number, start, end, _pieces(owner[inside], block[inside], count[inside])))
    return ranges


def _cuts(first: np.ndarray, count: np.ndarray, records: int) -> list[int]:
    """Return where ranges start: at beginnings of blocks, every `records` records."""
    order = np.argsort(first, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    blocks = np.searchsorted(before, np.arange(0, int(count.sum()), records), "left").clip(max=len(first) - 1)
    return [int(cut) for cut in np.unique(np.append(first[order][blocks], first.min()))]


def _pieces(owner: np.ndarray, block: np.ndarray, count: np.ndarray) -> list[Piece]:
    """Join neighbouring blocks of one bundle, so that each is read at once."""
    order = np.lexsort((block, owner))
    pieces: list[Piece] = []
    for number, position, size in zip(owner[order].tolist(), block[order].tolist(), count[order].tolist(), strict=True):
        last = pieces[-1] if pieces else None
        if last and last.bundle == number and last.first + last.count == position * BLOCK:
            last.count += size
        else:
            pieces.append(Piece(number, position * BLOCK, size))
    return pieces


def read_range(bundles: Sequence[Bundle], clocks: Sequence[HostClock], stretch: Range,
               ) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Return (bundle number, records, wall times, numbers of the records) of each bundle's records in the range."""
    parts = []
    for piece in stretch.pieces:
        bundle = bundles[piece.bundle]
        with open(bundle.path, "rb") as handle:
            raw = read(handle, bundle.dtype, piece.first, piece.count)
        wall = clocks[piece.bundle].to_wall(raw["time_ns"])
        inside = (wall >= stretch.start) & (wall < stretch.end)
        number = np.arange(piece.first, piece.first + len(raw), dtype="u4")
        if not inside.all():
            raw, wall, number = picked(raw, inside), wall[inside], number[inside]
        parts.append((piece.bundle, raw, wall, number))
    return [part for part in parts if len(part[1])]
