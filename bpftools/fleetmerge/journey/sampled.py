# SPDX-License-Identifier: Apache-2.0
"""What sampling makes of units: those that not every place took are left aside, and drops that were taken all the same
are told from them. And how many were taken, from which all are estimated."""
from dataclasses import dataclass

import numpy as np

from ..packet.identity import IS_TCP, mix
from ..packet.sample import Sample, draws
from .units import Units

_BESIDE = 0xBE51DE    # so that keys of different kinds differ


@dataclass
class Drawn:
    """Packets that were taken, in clusters of those that are taken together or not at all."""

    packets: int = 0
    squares: int = 0    # of the clusters' sizes, summed
    largest: int = 0    # cluster
    hidden: int = 0     # packets of joined ones, of which it is not known whether they were taken

    def add(self, other: "Drawn") -> None:
        """Add another part's."""
        self.packets += other.packets
        self.squares += other.squares
        self.largest = max(self.largest, other.largest)
        self.hidden += other.hidden


def sift(units: Units, begin: np.ndarray, sample: Sample, drops: np.ndarray) -> np.ndarray:
    """Return which units to keep: those that every place took, and all drops if these were all taken. Fills in what the
    sample says of each unit.

    begin: position in its flow; drops: bool by place.
    """
    rows = units.rows
    units.draw, known = draws(rows, units.row, begin, units.size, units.ident)
    taken = sample.takes(units.draw)
    drop = drops[rows["place"][units.row]] & (not sample.drops)
    if not sample.agreed:
        units.beside = drop
        return np.ones(len(units), bool)
    units.beside = drop & ~(known & taken)
    # of a drop nobody took the rest: another drop that looks the same is another packet
    strange = drop & known & ~taken
    chain = mix(rows["chain"][units.row[strange]], units.host[units.row[strange]].astype("u8"))
    units.key[strange] = mix(mix(units.key[strange], chain), _BESIDE)
    joined = (rows["kind"][units.row] != IS_TCP) & (rows["unit"][units.row] > 0)
    units.hidden = int((joined & ~known & ~drop).sum())
    return drop | np.where(known, taken, ~joined)


def alone(units: Units, starts: np.ndarray) -> np.ndarray:
    """Return the packets of which nothing was taken but drops. starts: the first unit of each."""
    if units.beside is None or not len(starts):
        return np.zeros(len(starts), bool)
    return np.logical_and.reduceat(units.beside, starts)


def clusters(units: Units, at: np.ndarray, of: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (the sum of the squares of the sizes of clusters, the size of the largest) of packets in `number` groups.
    at: the first unit of each packet; of: its group. Zeros if every packet was taken."""
    squares, largest = np.zeros(number, "i8"), np.zeros(number, "i8")
    if units.draw is None or not len(at):
        return squares, largest
    order = np.lexsort((units.draw[at], of))
    group, draw = of[order], units.draw[at][order]
    runs = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (draw[1:] != draw[:-1])))
    size = np.diff(np.append(runs, len(order)))
    np.add.at(squares, group[runs], size * size)
    np.maximum.at(largest, group[runs], size)
    return squares, largest


def drawn(units: Units, at: np.ndarray) -> Drawn:
    """Return what was taken. at: the first unit of each packet."""
    squares, largest = clusters(units, at, np.zeros(len(at), "i8"), 1)
    return Drawn(len(at), int(squares[0]), int(largest[0]), units.hidden)
