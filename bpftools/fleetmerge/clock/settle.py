# SPDX-License-Identifier: Apache-2.0
"""Machines whose clocks can be compared: what bounds each against each, and where in between each clock is set.

All on one axis, roughly the own time of one of them (f8 ns); a machine's `place` is what must be subtracted from its
time on that axis, so that all agree.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .closure import Promises, closed, judge, with_promises
from .crossings import Machine
from .fit import STEEPEST, Points, limit, pace_of
from .host import DISCIPLINED
from .rough import Edge, Track, tracks_of

_ROOM = 2_000_000    # limits that are kept: pairs of machines times times of the grid
_FINEST, _COARSEST = 513, 33
_READING = 1e3       # ns: no two clocks are compared better than this


@dataclass
class Group:
    """Machines that packets or promises join; rows and columns are in the order of `machines`."""

    machines: list[Machine]
    tracks: list[Track]
    grid: np.ndarray
    direct: np.ndarray                   # (machine, machine, grid): limits of each pair by itself
    by_packets: np.ndarray               # … that follow from all packets
    ahead: np.ndarray                    # … and from the promises that are believed
    believed: np.ndarray                 # bool by machine: its promise is
    broken: np.ndarray                   # bool by machine: its promise is broken for sure
    against: dict[int, tuple[float, int]]   # machine -> by how much its promise contradicts which other one (ns)
    wrong: list[tuple[int, int]] = field(default_factory=list)   # pairs whose packets contradict those of others

    @property
    def width(self) -> np.ndarray:
        """(machine, machine): how much room the limits of two clocks leave, in all of the window."""
        return np.asarray((self.ahead + np.swapaxes(self.ahead, 0, 1)).max(axis=2))


def group_of(machines: Sequence[Machine], edges: Sequence[Edge]) -> Group:
    """Return the group of machines that edges and promises join. Each part that edges join has an axis of its own;
    axes of several parts are laid upon each other by the wall clocks."""
    tracks: dict[int, Track] = {}
    first = machines[0]
    for machine in machines:
        if machine.number not in tracks:
            later = machine.origin - first.origin
            tracks.update({number: Track(track.level + later, track.rate)
                           for number, track in tracks_of(edges, machine.number).items()})
    grid = _grid(machines, tracks)
    index = {machine.number: row for row, machine in enumerate(machines)}
    kept = {machine.number for machine in machines if machine.clock.kept}
    direct, evidence = _limits(edges, index, tracks, grid, kept)
    by_packets, wrong = closed(direct, evidence)
    for one, two in wrong:
        direct[one, two], direct[two, one] = np.inf, np.inf
    mine = [tracks[machine.number] for machine in machines]
    promises = _promises(machines, mine, grid)
    believed, broken, against = judge(by_packets, promises)
    ahead = with_promises(by_packets, promises, believed)
    return Group(list(machines), mine, grid, direct, by_packets, ahead, believed, broken, against, wrong)


def _grid(machines: Sequence[Machine], tracks: dict[int, Track]) -> np.ndarray:
    """Return the times at which limits are known: from the first machine's beginning to the last one's end."""
    ends = np.array([tracks[machine.number].common(np.array([0.0, float(machine.end - machine.start)]))
                     for machine in machines])
    times = int(np.clip(_ROOM // len(machines) ** 2, _COARSEST, _FINEST))
    return np.linspace(ends.min(), max(ends.max(), ends.min() + 1.0), times)


def _limits(edges: Sequence[Edge], index: dict[int, int], tracks: dict[int, Track],
            grid: np.ndarray, kept: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return (limits of each pair by itself, how many packets they rest on). kept: machines whose clocks a daemon may
    slew."""
    count = len(index)
    out, evidence = np.full((count, count, len(grid)), np.inf), np.zeros((count, count))
    out[np.arange(count), np.arange(count)] = 0.0
    for edge in edges:
        if edge.one not in index:
            continue
        one, two = index[edge.one], index[edge.two]
        mine, other = tracks[edge.one], tracks[edge.two]
        there, back = _common(edge.there, mine, other), _common(edge.back, other, mine)
        steepest = STEEPEST + abs(other.rate / mine.rate - 1)
        pace = pace_of(there, back, bool(kept & {edge.one, edge.two}), steepest)
        out[one, two] = limit(there, grid, pace)
        out[two, one] = limit(back, grid, pace.turned())
        evidence[one, two] = evidence[two, one] = edge.packets
    return out, evidence


def _common(points: Points, sender: Track, receiver: Track) -> Points:
    """Bring limits onto the common axis."""
    sent = sender.common(points[0])
    return sent, receiver.common(points[0] + points[1]) - sent


def _promises(machines: Sequence[Machine], tracks: Sequence[Track], grid: np.ndarray) -> Promises:
    """Return what clock daemons promise of each machine's wall clock. A promise speaks at the moment when it was read,
    at the end of the capture; before and after, the clock may have left it as fast as a kept clock does."""
    ahead, bound = (np.full((len(machines), len(grid)), value) for value in (0.0, np.inf))
    first = machines[0].origin
    for row, (machine, track) in enumerate(zip(machines, tracks, strict=True)):
        clock = machine.clock
        if clock.bound_us is None or clock.stepped_us:
            continue
        monotonic = np.rint(track.own(grid)).astype("i8") + machine.start
        wall = (clock.to_wall(monotonic) - first).astype("f8")
        ahead[row] = wall - grid
        since = np.abs(monotonic - clock.monotonic[-1]).astype("f8")
        bound[row] = clock.bound_us * 1e3 * (1 + STEEPEST) + DISCIPLINED * since
    # on this axis true time is where a right wall clock shows it
    return Promises(-ahead, bound)


def settled(group: Group, reference: int) -> np.ndarray:
    """Return the place of each machine (machine, grid), so that all agree with the reference."""
    early, late = group.ahead[reference], group.ahead[:, reference]
    known = np.isfinite(early[:, 0]) & np.isfinite(late[:, 0])
    out = np.zeros(early.shape)
    rows = np.flatnonzero(known)
    out[rows] = _straightened(group, rows, (early[rows] - late[rows]) / 2, (early[rows] + late[rows]) / 2)
    wanted = _by_wall(group, reference)
    finer = STEEPEST * float(group.grid[1] - group.grid[0])
    for row in np.flatnonzero(~known):
        # between the limits against those that are placed, as near as may be to where its own wall clock is
        low = (out[rows] - group.ahead[row, rows]).max(axis=0)
        high = (out[rows] + group.ahead[rows, row]).min(axis=0)
        # between two times of the grid a packet may bind closer than at either of them
        closer = np.where(high - low > 2 * finer, finer, 0.0)
        low, high = low + closer, high - closer
        level = np.clip(wanted[row], low.max(), high.min()) if low.max() <= high.min() else wanted[row]
        out[row] = np.clip(level, low, high)
        rows = np.append(rows, row)
    return out


def _straightened(group: Group, rows: np.ndarray, middle: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Lead each clock along a straight line instead of the middle, as far as the limits between all pairs allow: where
    the middle bends, it is the packets' luck that bends it, not the clock."""
    time = group.grid - group.grid.mean()
    weight = 1 / np.maximum(room, _READING) ** 2
    total = weight.sum(axis=1, keepdims=True)
    mean = (weight * time).sum(axis=1, keepdims=True) / total
    level = (weight * middle).sum(axis=1, keepdims=True) / total
    slope = (weight * (time - mean) * middle).sum(axis=1, keepdims=True) / (
        weight * (time - mean) ** 2).sum(axis=1, keepdims=True)
    moves = level + slope * (time - mean) - middle
    part = 1.0
    for one in range(len(rows)):
        left = group.ahead[rows[one], rows] - (middle - middle[one])
        used = moves - moves[one]
        over = used > left
        if over.any():
            part = min(part, float((np.maximum(left[over], 0.0) / used[over]).min()))
    return middle + part * moves


def _by_wall(group: Group, reference: int) -> np.ndarray:
    """Return where each machine's own wall clock would place it."""
    ahead = []
    for machine, track in zip(group.machines, group.tracks, strict=True):
        own = track.own(group.grid)
        ahead.append(group.grid - own - (machine.origin - group.machines[0].origin))
    return np.array(ahead) - ahead[reference]


def parted(group: Group, places: np.ndarray) -> np.ndarray:
    """Return (machine, machine, grid): how far the difference of two clocks, so placed, may be wrong (ns)."""
    apart = places[None] - places[:, None]
    out = np.maximum(group.ahead - apart, np.swapaxes(group.ahead, 0, 1) + apart)
    out = np.maximum(out, _READING)
    np.einsum("iig->ig", out)[:] = 0.0
    return out
