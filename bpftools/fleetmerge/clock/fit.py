# SPDX-License-Identifier: Apache-2.0
"""Fit the offset between two clocks from packets that crossed in both directions.

A packet from A to B says: B's clock is ahead by at most (time at B - time at A), because it took no negative time on
the way. One from B to A says: by at least that, with the sign turned. The offset is a line between these two sets of
points; how far lines that fit can be apart is its bound. Clocks that no line fits are cut into pieces.
"""
from dataclasses import dataclass

import numpy as np

STEEPEST = 1e-3   # rate between two clocks; crystals are within 100 ppm, daemons slew by 500 ppm
Points = tuple[np.ndarray, np.ndarray]   # times, values
_BINS = 1024
_DEEPEST = 4      # times that the window is cut in half
_FEWEST = 8       # points on each side that a piece needs


@dataclass
class Offset:
    """How far a second clock is ahead of a first one, over the first one's time: a broken line through knots."""

    time: np.ndarray     # f8 ns, of the first clock
    value: np.ndarray    # f8 ns
    bound: float         # ns; the true offset is within this of the line

    def at(self, time: np.ndarray) -> np.ndarray:
        """Return the offset at times; beyond the ends the last piece's slope goes on."""
        if len(self.time) == 1:
            return np.full(np.shape(time), self.value[0])
        piece = np.clip(np.searchsorted(self.time, time, "right") - 1, 0, len(self.time) - 2)
        slope = np.diff(self.value) / np.diff(self.time)
        return self.value[piece] + slope[piece] * (time - self.time[piece])

    def turned(self) -> "Offset":
        """Return how far the first clock is ahead of the second, over the second one's time."""
        return Offset(self.time + self.value, -self.value, self.bound)

    def first_time(self, second: np.ndarray) -> np.ndarray:
        """Return the first clock's time when the second one shows these times."""
        return second + self.turned().at(second)


def fit(upper: Points, lower: Points, depth: int = 0) -> Offset | None:
    """Fit a line below the points `upper` and above `lower` (times, values; f8 ns), over the time that they cover.

    None if the points contradict each other, so that there is no such line in any piece.
    """
    start, end = min(upper[0].min(), lower[0].min()), max(upper[0].max(), lower[0].max())
    end = max(end, start + 1.0)
    above, below = hull(*upper, start, end), hull(*lower, start, end, upper=False)
    middle = (start + end) / 2
    slope, margin = _steepness(above, below, middle)
    if margin >= 0:
        level = ((above[1] - slope * (above[0] - middle)).min() + (below[1] - slope * (below[0] - middle)).max()) / 2
        ends = np.array([start, end])
        values = level + slope * (ends - middle)
        return Offset(ends, values, _bound(above, below, middle, ends, values))
    if depth == _DEEPEST:
        return None
    pieces = []
    for low, high in ((start, middle), (middle, end)):
        half = [(times[inside], values[inside]) for times, values in (upper, lower)
                for inside in [(times >= low) & (times <= high)]]
        if min(len(half[0][0]), len(half[1][0])) < _FEWEST:
            return None
        piece = fit(half[0], half[1], depth + 1)
        if piece is None:
            return None
        pieces.append(piece)
    return _joined(pieces[0], pieces[1])


def hull(times: np.ndarray, values: np.ndarray, start: float, end: float, upper: bool = True) -> Points:
    """Return the points that bind: the lower hull of an upper limit, the upper hull of a lower one."""
    if not len(times):
        return times, values
    sign = 1.0 if upper else -1.0
    bins = np.clip(((times - start) / max(end - start, 1.0) * _BINS).astype("i8"), 0, _BINS - 1)
    order = np.lexsort((sign * values, bins))
    first = order[np.append(True, np.diff(bins[order]) > 0)]
    first = first[np.argsort(times[first], kind="stable")]
    kept: list[int] = []
    for point in first.tolist():
        while len(kept) > 1 and _turns_up(times, sign * values, kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return times[kept], values[kept]


def _turns_up(times: np.ndarray, values: np.ndarray, one: int, two: int, three: int) -> bool:
    """Whether the middle point lies on or above the line through the others."""
    return bool((values[two] - values[one]) * (times[three] - times[one])
                >= (values[three] - values[one]) * (times[two] - times[one]))


def _steepness(above: Points, below: Points, middle: float) -> tuple[float, float]:
    """Return (slope, margin) of the line that stays farthest from all points; the margin is concave in the slope."""
    def margin(slope: float) -> float:
        return float((above[1] - slope * (above[0] - middle)).min() - (below[1] - slope * (below[0] - middle)).max())
    low, high = -STEEPEST, STEEPEST
    for _ in range(80):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        if margin(one) < margin(two):
            low = one
        else:
            high = two
    # where several slopes are as good, the flattest: a line with no slope at all is the likeliest
    best = margin((low + high) / 2)
    return (0.0, margin(0.0)) if margin(0.0) >= best - 1e-6 else ((low + high) / 2, best)


def _bound(above: Points, below: Points, middle: float, ends: np.ndarray, chosen: np.ndarray) -> float:
    """Return how far any line that fits can be from the chosen one, at either end."""
    times = np.concatenate([above[0], below[0]]) - middle
    limits = np.concatenate([above[1], below[1]])
    signs = np.concatenate([np.ones(len(above[0])), -np.ones(len(below[0]))])   # sign * (level + slope t) <= sign * v
    corners = [np.zeros((0, 2))]
    for slope in (-STEEPEST, STEEPEST):
        levels = limits - slope * times
        corners.append(np.column_stack([levels, np.full(len(levels), slope)]))
    one, two = np.triu_indices(len(times), 1)
    apart = np.abs(times[one] - times[two]) > 1
    one, two = one[apart], two[apart]
    slopes = (limits[one] - limits[two]) / (times[one] - times[two])
    corners.append(np.column_stack([limits[one] - slopes * times[one], slopes]))
    lines = np.concatenate(corners)
    lines = lines[np.abs(lines[:, 1]) <= STEEPEST * (1 + 1e-9)]
    worst = 0.0
    for chunk in np.array_split(lines, max(1, len(lines) * len(times) // 4_000_000)):
        over = signs * (chunk[:, :1] + chunk[:, 1:] * times - limits)
        fitting = chunk[over.max(axis=1) <= 1.0]
        if len(fitting):
            values = fitting[:, :1] + fitting[:, 1:] * (ends - middle)
            worst = max(worst, float(np.abs(values - chosen).max()))
    return worst


def _joined(first: Offset, second: Offset) -> Offset:
    """Join two pieces; where they meet the line goes through the middle, and the bound grows by what that moves."""
    between = (first.time[-1] + second.time[0]) / 2
    ends = [float(piece.at(np.array([between]))[0]) for piece in (first, second)]
    meeting, moved = sum(ends) / 2, abs(ends[0] - ends[1]) / 2
    return Offset(np.concatenate([first.time[:-1], [between], second.time[1:]]),
                  np.concatenate([first.value[:-1], [meeting], second.value[1:]]),
                  max(first.bound, second.bound) + moved)


def chain(one: Offset, two: Offset) -> Offset:
    """Return the offset of a third clock to the first, from that of the second to the first (`one`) and of the third
    to the second (`two`); their bounds add up."""
    times = np.unique(np.concatenate([one.time, one.first_time(two.time)]))
    return Offset(times, one.at(times) + two.at(times + one.at(times)), one.bound + two.bound)
