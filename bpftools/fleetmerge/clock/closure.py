# SPDX-License-Identifier: Apache-2.0
"""What limits between pairs of clocks say together: how far each clock can be ahead of each other one.

ahead[i, j, g]: machine j's clock is ahead of machine i's by no more than this (ns) at the time g of a grid; inf where
nothing is known. Over a third clock limits add up; around a loop they must not be less than 0.
"""
from dataclasses import dataclass

import numpy as np

_CONTRADICTION = 1e3   # ns: less than this is how well clocks can be read
_ROUNDS = 32


def close(ahead: np.ndarray) -> np.ndarray:
    """Return the limits that follow, over all ways."""
    out = ahead.copy()
    for middle in range(len(out)):
        reach, onward = np.isfinite(out[:, middle, 0]), np.isfinite(out[middle, :, 0])
        if reach.sum() < 2 and onward.sum() < 2:
            continue
        rows = np.flatnonzero(reach)
        out[rows] = np.minimum(out[rows], out[rows, middle, None] + out[middle][None])
    return out


def closed(ahead: np.ndarray, evidence: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return (the limits that follow, the pairs that had to be left out, because around loops they contradict the
    others). evidence: how many packets a pair's limits rest on."""
    ahead, wrong = ahead.copy(), []
    for _ in range(_ROUNDS):
        out = close(ahead)
        if np.diagonal(out).min(initial=0.0) >= -_CONTRADICTION:
            break
        pair = _worst(ahead, out, evidence)
        if pair is None:
            break
        wrong.append(pair)
        ahead[pair], ahead[pair[::-1]] = np.inf, np.inf
    # what clocks that can be read no better than this contradict each other by is no contradiction
    np.einsum("iig->ig", out)[:] = 0.0
    return _loosened(out), wrong


def _loosened(ahead: np.ndarray) -> np.ndarray:
    """Let limits that cross by what clocks are misread by meet in the middle."""
    crossed = np.minimum(ahead + np.swapaxes(ahead, 0, 1), 0.0)
    return ahead - np.where(np.isfinite(crossed), crossed, 0.0) / 2


def _worst(ahead: np.ndarray, out: np.ndarray, evidence: np.ndarray) -> tuple[int, int] | None:
    """Return the pair that is in most loops of three that cannot be; of several, that with the fewest packets."""
    lowest = np.minimum(ahead.min(axis=2), 1e18)
    suspect = np.triu(np.isfinite(ahead).any(axis=2) | np.isfinite(ahead).any(axis=2).T, 1)
    best: tuple[float, float, tuple[int, int]] | None = None
    for one, two in zip(*np.nonzero(suspect), strict=True):
        loops = 0
        for first, second in ((one, two), (two, one)):
            around = ahead[first, second] + ahead[second] + ahead[:, first]
            loops += int((around.min(axis=1) < -_CONTRADICTION).sum())
            loops += bool((lowest[first, second] < 1e18) and (
                (ahead[first, second] + out[second, first]).min() < -_CONTRADICTION))
        if loops:
            rank = (-loops, float(evidence[one, two]), (int(one), int(two)))
            best = rank if best is None or rank < best else best
    return best[2] if best else None


@dataclass
class Promises:
    """What clock daemons promise: each machine's wall clock is so far ahead of the true time, give or take."""

    ahead: np.ndarray   # (machine, grid) ns: machine's clock, in the limits' terms, minus true time
    bound: np.ndarray   # (machine, grid) ns; inf: none


def judge(ahead: np.ndarray, promises: Promises) -> tuple[np.ndarray, np.ndarray, dict[int, tuple[float, int]]]:
    """Return (bool: which promises are believed, which are broken for sure, machine -> (by how much at least they
    contradict another one (ns), that one)).

    The packets decide between two promises that contradict each other where one of the machines agrees, by packets
    both ways, with more others than the other one does; else neither is believed.
    """
    has = np.isfinite(promises.bound[:, 0])
    # the true time is ahead of machine i by at most `late`, and behind machine j by at most `early`
    late, early = promises.bound - promises.ahead, promises.bound + promises.ahead
    count = len(has)
    slack = np.full((count, count), np.inf)
    for one in np.flatnonzero(has):
        # from true time to one, on to another, and back
        slack[one] = (early[one][None] + ahead[one] + late).min(axis=1)
    slack = np.minimum(slack, slack.T)
    clash = slack < -_CONTRADICTION
    width = (ahead + np.swapaxes(ahead, 0, 1)).min(axis=2)
    room = 2 * (promises.bound.min(axis=1)[:, None] + promises.bound.min(axis=1)[None])
    confirmed = has[:, None] & has[None] & ~clash & (width < room) & ~np.eye(count, dtype=bool)
    support = confirmed.sum(axis=1)
    broken, believed = np.zeros(count, bool), has.copy()
    against: dict[int, tuple[float, int]] = {}
    for one, two in zip(*np.nonzero(clash), strict=True):
        if support[one] <= support[two]:
            believed[one] = False
            broken[one] |= support[one] < support[two]
        if one not in against or -slack[one, two] > against[int(one)][0]:
            against[int(one)] = (float(-slack[one, two]), int(two))
    return believed, broken, against


def with_promises(ahead: np.ndarray, promises: Promises, believed: np.ndarray) -> np.ndarray:
    """Return the limits that follow from packets and from the promises that are believed."""
    kept = np.flatnonzero(believed)
    if not len(kept):
        return ahead
    late, early = promises.bound - promises.ahead, promises.bound + promises.ahead
    # one ahead of true time, by any promise; true time ahead of one
    over = np.min([early[one] + ahead[one] for one in kept], axis=0)
    under = np.min([late[one] + ahead[:, one] for one in kept], axis=0)
    out = np.minimum(ahead, under[:, None] + over[None])
    np.einsum("iig->ig", out)[:] = 0.0
    return _loosened(out)
