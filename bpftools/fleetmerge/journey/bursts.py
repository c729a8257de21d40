# SPDX-License-Identifier: Apache-2.0
"""Bursts: stretches of time in which packets were lost shortly after each other."""
from collections.abc import Iterable

import numpy as np

_PAUSE = 100_000_000    # ns: so long nothing is lost between two bursts
_KEPT = 20              # of each loss that are kept, those with most packets
Burst = tuple[int, int, int]    # first and last (wall ns), packets


def bursts_of(kind: np.ndarray, time: np.ndarray, kinds: int) -> list[list[Burst]]:
    """Return the bursts of each kind (0 to kinds - 1); kind, time (wall ns): of each lost packet, in this order."""
    new = np.append(True, (kind[1:] != kind[:-1]) | (np.diff(time) > _PAUSE))
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(kind))
    count = ends - starts
    order = np.lexsort((starts, -count, kind[starts]))
    rank = np.arange(len(order)) - np.searchsorted(kind[starts][order], kind[starts][order])
    chosen = np.sort(order[rank < _KEPT])
    out: list[list[Burst]] = [[] for _ in range(kinds)]
    for number, first, last, packets in zip(kind[starts][chosen].tolist(), time[starts][chosen].tolist(),
                                            time[ends - 1][chosen].tolist(), count[chosen].tolist(), strict=True):
        out[number].append((first, last, packets))
    return out


def join_bursts(bursts: Iterable[Burst]) -> list[Burst]:
    """Return the bursts of several parts as one list, those that touch as one."""
    out: list[Burst] = []
    for first, last, packets in sorted(bursts):
        if out and first - out[-1][1] <= _PAUSE:
            out[-1] = (out[-1][0], max(out[-1][1], last), out[-1][2] + packets)
        else:
            out.append((first, last, packets))
    return sorted(sorted(out, key=lambda burst: -burst[2])[:_KEPT])


def worst_bursts(bursts: Iterable[Burst], most: int) -> list[Burst]:
    """Return the bursts in which most was lost, in the order of time; a single packet is none."""
    several = [burst for burst in bursts if burst[2] > 1]
    return sorted(sorted(several, key=lambda burst: -burst[2])[:most])
