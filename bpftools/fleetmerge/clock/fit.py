# SPDX-License-Identifier: Apache-2.0
"""How far one clock can be ahead of another, from packets that crossed.

A packet from A to B says: B's clock is ahead by at most (time at B - time at A), because it took no negative time on
the way: an upper limit at the moment when it was sent. One from B to A says the same with the sign turned: a lower
limit. Between packets a limit loosens at the rate at which the clocks can part.

Times and values are f8 ns.
"""
from dataclasses import dataclass, replace

import numpy as np

STEEPEST = 1e-3   # rate between two clocks; crystals are within 100 ppm, daemons slew by 500 ppm
WANDER = 50e-6    # what the rate may change by unseen, between packets both ways before and after
Points = tuple[np.ndarray, np.ndarray]   # times, values
_BINS = 1024
_LONGER = 0.1     # of a stretch with packets both ways: so long after it, and before it, its rate is held to go on
_CONTRADICTION = 1e3    # ns: less than this is how well clocks can be read
_FEW_WRONG = 0.02       # part of the packets that may contradict the others, without all of them being in doubt
_ROUNDS = 64


@dataclass
class Line:
    """A line through the room that the limits leave."""

    level: float      # at time 0
    slope: float
    margin: float     # ns to the nearest limit; negative: no line fits
    least: float      # slopes of the lines that fit
    most: float

    @property
    def fits(self) -> bool:
        """Whether the line keeps all limits."""
        return self.margin >= -_CONTRADICTION / 2


def fit_line(upper: Points, lower: Points) -> Line:
    """Return the line below the points `upper` and above `lower` that stays farthest from all of them."""
    above, below = hull(upper), hull(lower, upper=False)
    middle = (min(above[0].min(), below[0].min()) + max(above[0].max(), below[0].max())) / 2
    slope, margin = _steepness(above, below, middle)
    level = ((above[1] - slope * (above[0] - middle)).min() + (below[1] - slope * (below[0] - middle)).max()) / 2
    least, most = _slopes(above, below, slope)
    return Line(float(level - slope * middle), slope, margin / 2, least, most)


def hull(points: Points, upper: bool = True) -> Points:
    """Return the points that bind: the lower hull of an upper limit, the upper hull of a lower one."""
    sign = 1.0 if upper else -1.0
    times, values = _tightest(points, sign)
    kept: list[int] = []
    for point in range(len(times)):
        while len(kept) > 1 and _turns_up(times, sign * values, kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return times[kept], values[kept]


def _tightest(points: Points, sign: float) -> Points:
    """Return the tightest limit of each of a number of stretches of time, in the order of time."""
    chosen = np.array(_tightest_rows(points, sign))
    return points[0][chosen], points[1][chosen]


def _tightest_rows(points: Points, sign: float) -> np.ndarray:
    times, values = points
    start, span = times.min(), max(times.max() - times.min(), 1.0)
    bins = np.minimum(((times - start) / span * _BINS).astype("i8"), _BINS - 1)
    order = np.lexsort((sign * values, bins))
    first = order[np.append(True, np.diff(bins[order]) > 0)]
    return first[np.argsort(times[first], kind="stable")]


def _turns_up(times: np.ndarray, values: np.ndarray, one: int, two: int, three: int) -> bool:
    """Whether the middle point lies on or above the line through the others."""
    return bool((values[two] - values[one]) * (times[three] - times[one])
                >= (values[three] - values[one]) * (times[two] - times[one]))


def _steepness(above: Points, below: Points, middle: float) -> tuple[float, float]:
    """Return (slope, room) of the line that stays farthest from all points; the room is concave in the slope."""
    def room(slope: float) -> float:
        return float((above[1] - slope * (above[0] - middle)).min() - (below[1] - slope * (below[0] - middle)).max())
    low, high = -STEEPEST, STEEPEST
    for _ in range(60):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        if room(one) < room(two):
            low = one
        else:
            high = two
    # where several slopes are as good, the flattest: a line with no slope at all is the likeliest
    best = room((low + high) / 2)
    return (0.0, room(0.0)) if room(0.0) >= best - 1e-6 else ((low + high) / 2, best)


def _slopes(above: Points, below: Points, slope: float) -> tuple[float, float]:
    """Return the least and the greatest slope of the lines that fit: that of an upper limit's point and a lower
    limit's between which no steeper line passes. The given one fits, or no line does."""
    apart = above[0][:, None] - below[0]
    rise = above[1][:, None] - below[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = np.where(apart == 0, 0, rise / apart)
    most = float(np.min(steep, where=apart > 0, initial=STEEPEST))
    least = float(np.max(steep, where=apart < 0, initial=-STEEPEST))
    return min(least, slope), max(most, slope)


def limit(points: Points, grid: np.ndarray, pace: "Pace") -> np.ndarray:
    """Return an upper limit at the times of a grid, from points and the pace at which it loosens beside them."""
    if not len(points[0]):
        return np.full(len(grid), np.inf)
    order = np.argsort(points[0], kind="stable")
    times, values = points[0][order], points[1][order] - pace.slope * points[0][order]
    run, here = pace.run(times), pace.run(grid)
    after = np.append(np.inf, np.minimum.accumulate(values - run))
    before = np.append(np.minimum.accumulate((values + run)[::-1])[::-1], np.inf)
    place = np.searchsorted(times, grid, "right")
    # between two times of the grid the limit may bulge by what the pace allows within one step of it
    bulge = pace.inside * (float(np.diff(grid).max()) if len(grid) > 1 else 0.0) / 2
    return np.minimum(after[place] + here, before[place] - here) + pace.slope * grid + bulge


@dataclass
class Pace:
    """How fast a limit loosens: slowly while packets went both ways, and a little longer; else as fast as the clocks
    may part."""

    slope: float         # of the line from which the clocks part
    inside: float        # rate
    outside: float       # rate
    start: float         # of the stretch with packets both ways
    end: float

    def turned(self) -> "Pace":
        """Return the pace of limits to the other side."""
        return replace(self, slope=-self.slope)

    def run(self, time: np.ndarray) -> np.ndarray:
        """Return the integral of the rate up to a time."""
        within = np.clip(time, self.start, self.end) - self.start
        return self.inside * within + self.outside * (time - self.start - within)


def pace_of(there: Points, back: Points, kept: bool = True, steepest: float = STEEPEST) -> Pace:
    """Return at which pace the limits from packets loosen. there: upper limits of how far the second clock is ahead,
    back: upper limits of how far it is behind; kept: a daemon may slew one of the clocks, so that a rate holds only as
    long as packets show it; steepest: the rate that the clocks can have against each other."""
    if not len(there[0]) or not len(back[0]):
        return Pace(0.0, steepest, steepest, 0.0, 0.0)
    start, end = max(there[0].min(), back[0].min()), min(there[0].max(), back[0].max())
    line = fit_line(there, (back[0], -back[1]))
    if start >= end or not line.fits:
        return Pace(0.0, steepest, steepest, 0.0, 0.0)
    slope = (line.least + line.most) / 2
    inside = min((line.most - line.least) / 2 + WANDER, steepest)
    longer = _LONGER * (end - start)
    return Pace(slope, inside, steepest + abs(slope) if kept else inside, float(start - longer), float(end + longer))


def agreeing(there: Points, back: Points, steepest: float = STEEPEST) -> tuple[Points, Points] | None:
    """Leave out the few packets that contradict most of the others: they were taken for others that look the same.

    Each packet one way contradicts each packet the other way with which no clocks could agree. None if so many are
    wrong that nobody can tell which.
    """
    most = _FEW_WRONG * (len(there[0]) + len(back[0])) + 1
    wrong = 0
    for _ in range(_ROUNDS):
        if not len(there[0]) or not len(back[0]):
            return None if wrong else (there, back)
        rows = _tightest_rows(there, 1.0), _tightest_rows(back, 1.0)
        one, two = [(side[0][chosen], side[1][chosen]) for side, chosen in zip((there, back), rows, strict=True)]
        clash = (one[1][:, None] + two[1] + steepest * np.abs(one[0][:, None] - two[0])) < -_CONTRADICTION
        if not clash.any():
            return there, back
        counts = clash.sum(axis=1), clash.sum(axis=0)
        worst = max(counts[0].max(), counts[1].max())
        out = [chosen[count == worst] for chosen, count in zip(rows, counts, strict=True)]
        wrong += len(out[0]) + len(out[1])
        if wrong > most:
            return None
        there, back = (tuple(np.delete(column, gone) for column in side)   # type: ignore[assignment]
                       for side, gone in zip((there, back), out, strict=True))
    return None
