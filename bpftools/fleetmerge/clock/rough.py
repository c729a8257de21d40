# SPDX-License-Identifier: Apache-2.0
"""Edges between machines, and a first idea of how their clocks run against each other: a straight line each.

Only with it can limits at different moments of different clocks be compared; what it is off by does no harm.
Times are f8 ns since the machine's own window began, by its own clock.
"""
import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .crossings import Crossings, Machine
from .fit import Line, Points, agreeing, fit_line

_LOOSE = 1e15   # ns: more than any limit from packets both ways


@dataclass
class Edge:
    """Packets between two machines, the first with the lower number."""

    one: int
    two: int
    there: Points        # sent by the first: when, by its clock; how far ahead the other clock was on arrival
    back: Points         # the same the other way round
    line: Line | None    # how far the second clock is ahead, over the first one's time; None: one way only

    @property
    def packets(self) -> int:
        """How many packets it rests on."""
        return len(self.there[0]) + len(self.back[0])

    @property
    def weight(self) -> float:
        """The smaller, the better the line is known."""
        return max(self.line.margin, 0.0) + 1e9 * (not self.line.fits) if self.line else _LOOSE


@dataclass
class Track:
    """A machine's time on the common axis: level + rate * its own time."""

    level: float
    rate: float

    def common(self, own: np.ndarray) -> np.ndarray:
        """Return times on the common axis."""
        return self.level + self.rate * own

    def own(self, common: np.ndarray) -> np.ndarray:
        """Return the machine's own times."""
        return (common - self.level) / self.rate


def edges_of(machines: Sequence[Machine], found: Crossings) -> tuple[list[Edge], list[tuple[int, int]]]:
    """Return (edges, pairs whose packets contradict each other so much that they say nothing)."""
    count = len(machines)
    origins = np.array([machine.origin for machine in machines], "i8")
    sent = (found.left - origins[found.one]).astype("f8")
    ahead = ((found.came - origins[found.two]) - (found.left - origins[found.one])).astype("f8")
    code = found.one.astype("i8") * count + found.two
    order = np.argsort(code, kind="stable")
    codes, starts = np.unique(code[order], return_index=True)
    ways: dict[tuple[int, int], Points] = {}
    for value, rows in zip(codes.tolist(), np.split(order, starts[1:]), strict=False):
        ways[divmod(value, count)] = sent[rows], ahead[rows]
    edges, wrong = [], []
    nothing = np.zeros(0), np.zeros(0)
    for one, two in sorted({(min(pair), max(pair)) for pair in ways}):
        there, back = ways.get((one, two), nothing), ways.get((two, one), nothing)
        edge = _edge(one, two, there, back)
        if edge:
            edges.append(edge)
        else:
            wrong.append((one, two))
    return edges, wrong


def _edge(one: int, two: int, there: Points, back: Points) -> Edge | None:
    """Return the edge; None if its packets contradict each other."""
    if not len(there[0]) or not len(back[0]):
        return Edge(one, two, there, back, None)
    agreed = agreeing(there, (back[0] + back[1], back[1]))   # all on the first one's clock
    if agreed is None:
        return None
    there, (arrived, behind) = agreed
    return Edge(one, two, there, (arrived - behind, behind), fit_line(there, (arrived, -behind)))


def tracks_of(edges: Sequence[Edge], start: int) -> dict[int, Track]:
    """Return the tracks of all machines that edges join with one, whose time is the common axis."""
    around: dict[int, list[Edge]] = {}
    for edge in edges:
        around.setdefault(edge.one, []).append(edge)
        around.setdefault(edge.two, []).append(edge)
    out: dict[int, Track] = {}
    turns = itertools.count()
    waiting = [(0.0, next(turns), start, Track(0.0, 1.0))]
    while waiting:
        sofar, _, number, track = heapq.heappop(waiting)
        if number in out:
            continue
        out[number] = track
        for edge in around.get(number, []):
            other = edge.two if edge.one == number else edge.one
            if other not in out:
                heapq.heappush(waiting, (sofar + edge.weight, next(turns), other,
                                         _onward(track, edge, other == edge.two)))
    return out


def _onward(track: Track, edge: Edge, forward: bool) -> Track:
    """Return the track of the machine at the other end of an edge."""
    if edge.line is None:
        # one way: as if the fastest packet had taken no time
        points = edge.there if len(edge.there[0]) else edge.back
        ahead = float(points[1].min()) * (1 if len(edge.there[0]) else -1)
        level, slope = ahead, 0.0
    else:
        level, slope = edge.line.level, edge.line.slope
    if forward:   # second = first * (1 + slope) + level
        rate = track.rate / (1 + slope)
        return Track(track.level - rate * level, rate)
    return Track(track.level + track.rate * level, track.rate * (1 + slope))
