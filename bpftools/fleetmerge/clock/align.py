# SPDX-License-Identifier: Apache-2.0
"""Align the hosts' clocks to each other, by the packets that two of them saw.

Only packets whose direction is sure count: they left a host by a device that leads to other hosts, and entered another
by such a device; and they came from a VM of the one, or went to a VM of the other, or were seen at no other such device
of a host that lost no records. Between a host and a VM that was traced as a host of its own the VM's device counts.
"""
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle.manifest import Bundle
from ..packet.identity import NOT_FOLLOWED, packet_keys
from ..packet.places import FAR, NEAR, Places
from ..packet.survey import Survey, read_rows, window_of
from .fit import Offset, chain, fit
from .host import HostClock

_MOST_KEYS = 400_000   # packets of one host that are looked at; of more, the same part on every host
_SEEN = np.dtype([("key", "<u8"), ("time", "<i8"), ("place", "<u2")])
METHOD_PACKETS = "packets both ways"


@dataclass
class Crossing:
    """When packets left or entered a host: sorted keys, times on the host's plain clock (ns)."""

    key: np.ndarray
    time: np.ndarray
    sure: np.ndarray   # bool: the packet began here, or ended here


@dataclass
class Machine:
    """One host, in one boot: everything with the same monotonic clock."""

    name: str
    members: list[int]          # numbers of its bundles
    clock: HostClock
    left: dict[int, Crossing]      # NEAR, FAR
    entered: dict[int, Crossing]
    groups: np.ndarray          # the groups of flows that were seen here

    @property
    def plain(self) -> int:
        """What makes its monotonic time a wall time, at a rate of exactly 1."""
        return int(self.clock.wall[0] - self.clock.monotonic[0])


def align(bundles: Sequence[Bundle], clocks: Sequence[HostClock], surveys: Sequence[Survey],
          places: Sequence[Places], renamed: dict[int, int]) -> list[HostClock]:
    """Return each bundle's clock, aligned with the others where packets allow it.

    renamed: flow -> its name before address translation.
    """
    by_machine: dict[tuple[str, str], list[int]] = {}
    for number, bundle in enumerate(bundles):
        boot = str(bundle.manifest["kernel"].get("boot_id") or number)
        by_machine.setdefault((bundle.host, boot), []).append(number)
    if len(by_machine) < 2:
        return list(clocks)
    share = _share(surveys, places)
    machines = [_machine(members, bundles, clocks, surveys, places, renamed, share) for members in by_machine.values()]
    edges = {(one, two): edge for one in range(len(machines)) for two in range(one + 1, len(machines))
             for edge in [_edge(machines[one], machines[two], _span(machines[one], bundles))] if edge}
    out = list(clocks)
    for tree, (reference, reached) in enumerate(_trees(machines, edges)):
        for number, (offset, through) in reached.items():
            clock = _aligned(machines[number], machines[reference], offset, through, bundles)
            if tree:   # nothing joins these to the first tree, but what the wall clocks promise
                clock = replace(clock, reference=False, bound_us=machines[number].clock.bound_us)
                clock.method = "wall clock" if number == reference else clock.method
            for member in machines[number].members:
                out[member] = clock
    return out


def _share(surveys: Sequence[Survey], places: Sequence[Places]) -> np.uint64:
    """Return a mask: packets whose key has none of its bits are looked at."""
    most = max((survey.count for survey in surveys), default=0)
    return np.uint64((1 << max(0, (most // 2 // _MOST_KEYS).bit_length())) - 1)


def _machine(members: list[int], bundles: Sequence[Bundle], clocks: Sequence[HostClock], surveys: Sequence[Survey],
             places: Sequence[Places], renamed: dict[int, int], share: np.uint64) -> Machine:
    left: dict[int, list[np.ndarray]] = {NEAR: [], FAR: []}
    entered: dict[int, list[np.ndarray]] = {NEAR: [], FAR: []}
    groups = []
    clock = clocks[members[0]]
    plain = int(clock.wall[0] - clock.monotonic[0])
    for number in members:
        for part in read_rows(surveys[number]):
            part = part[part["kind"] != NOT_FOLLOWED]
            groups.append(np.unique(part["group"]))
            out, into = places[number].leaving[part["place"]], places[number].entering[part["place"]]
            sided = (out | into) > 0
            part, out, into = part[sided], out[sided], into[sided]
            keys = packet_keys(part, renamed)
            chosen = (keys & share) == 0
            for which, pieces in ((out, left), (into, entered)):
                for side in (NEAR, FAR):
                    rows = chosen & (which == side)
                    seen = np.zeros(int(rows.sum()), _SEEN)
                    seen["key"], seen["time"] = keys[rows], part["time"][rows] + plain
                    seen["place"] = part["place"][rows]
                    pieces[side].append(seen)
    gone = {side: _once(left[side], np.maximum) for side in (NEAR, FAR)}
    come = {side: _once(entered[side], np.minimum) for side in (NEAR, FAR)}
    whole = not any(bundles[number].lost() or bundles[number].truncated for number in members)
    far = any(place.uplink for number in members for place in places[number].entries)
    sure = [_among(gone[FAR][0], come[NEAR][0]) | (whole & ~_among(gone[FAR][0], come[FAR][0])),
            _among(come[FAR][0], gone[NEAR][0]) | (whole & ~_among(come[FAR][0], gone[FAR][0]))]
    return Machine(bundles[members[0]].host, members, clock,
                   # a machine without any way to other hosts is a VM: what leaves it begins there, …
                   {NEAR: _all(gone[NEAR], not far), FAR: Crossing(*gone[FAR], sure[0])},
                   {NEAR: _all(come[NEAR], not far), FAR: Crossing(*come[FAR], sure[1])},
                   np.unique(np.concatenate(groups)) if groups else np.zeros(0, "u8"))


def _all(seen: tuple[np.ndarray, np.ndarray], sure: bool) -> Crossing:
    return Crossing(*seen, np.full(len(seen[0]), sure))


def _once(pieces: list[np.ndarray], pick: np.ufunc) -> tuple[np.ndarray, np.ndarray]:
    """Return (sorted keys, times) of the packets that were seen no more than once at any place."""
    if not pieces:
        return np.zeros(0, "u8"), np.zeros(0, "i8")
    rows = np.concatenate(pieces)
    rows = rows[np.lexsort((rows["place"], rows["key"]))]
    if not len(rows):
        return np.zeros(0, "u8"), np.zeros(0, "i8")
    new = np.append(True, rows["key"][1:] != rows["key"][:-1])
    again = np.append(False, (~new[1:]) & (rows["place"][1:] == rows["place"][:-1]))
    starts = np.flatnonzero(new)
    single = ~np.logical_or.reduceat(again, starts)
    return rows["key"][starts][single], pick.reduceat(rows["time"], starts)[single]


def _among(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    if not len(others):
        return np.zeros(len(keys), bool)
    place = np.minimum(np.searchsorted(others, keys), len(others) - 1)
    return others[place] == keys


def _crossed(one: Crossing, two: Crossing) -> tuple[np.ndarray, np.ndarray]:
    """Return (time at one, time at two) of the packets that left one host and entered the other."""
    if not len(one.key) or not len(two.key):
        return np.zeros(0, "i8"), np.zeros(0, "i8")
    place = np.minimum(np.searchsorted(two.key, one.key), len(two.key) - 1)
    both = (two.key[place] == one.key) & (one.sure | two.sure[place])
    return one.time[both], two.time[place[both]]


def _crossings(one: Machine, two: Machine) -> tuple[np.ndarray, np.ndarray]:
    """Return (time at one, time at two) of all packets that went from one to the other."""
    near, far = (_crossed(one.left[side], two.entered[side]) for side in (NEAR, FAR))
    return np.concatenate([near[0], far[0]]), np.concatenate([near[1], far[1]])


def _edge(one: Machine, two: Machine, span: tuple[float, float]) -> Offset | None:
    """Return the second machine's clock minus the first's, if packets or wall clocks bound it."""
    wall = None
    if one.clock.bound_us is not None and two.clock.bound_us is not None:
        wall = Offset(np.array([span[0]]), np.zeros(1), (one.clock.bound_us + two.clock.bound_us) * 1e3)
    if not len(np.intersect1d(one.groups, two.groups, assume_unique=True)):
        return wall
    sent, arrived = _crossings(one, two)
    there = sent.astype("f8"), (arrived - sent).astype("f8")
    sent, arrived = _crossings(two, one)
    back = arrived.astype("f8"), (sent - arrived).astype("f8")
    packets = fit(there, back) if len(there[0]) and len(back[0]) else None
    if packets and (not wall or packets.bound <= wall.bound):
        return packets
    return _one_way(there, back, wall, span)


def _one_way(there: tuple[np.ndarray, np.ndarray], back: tuple[np.ndarray, np.ndarray], wall: Offset | None,
             span: tuple[float, float]) -> Offset | None:
    """Traffic in one direction says on one side how far the clocks can be apart: nothing arrives before it was sent."""
    if len(there[0]) and len(back[0]):
        return wall
    bound = wall.bound if wall else np.inf
    low, high = -bound, bound
    if len(there[0]):
        high = min(high, float(there[1].min()))
    if len(back[0]):
        low = max(low, float(back[1].max()))
    if low > high:   # the daemon's promise does not hold
        low = high = high if len(there[0]) else low
    if not np.isfinite(low + high):
        near = min(max(0.0, low), high)   # the least change that makes the order causal; how far off nobody knows
        return Offset(np.array([span[0]]), np.array([near]), np.inf) if near else wall
    return Offset(np.array([span[0]]), np.array([(low + high) / 2]), (high - low) / 2)


def _span(machine: Machine, bundles: Sequence[Bundle]) -> tuple[float, float]:
    """Return when the machine's window begins and ends, on its plain clock."""
    bounds = [_reach(bundles[number], machine.clock) for number in machine.members]
    return float(min(low for low, _ in bounds) + machine.plain), float(max(high for _, high in bounds) + machine.plain)


def _reach(bundle: Bundle, clock: HostClock) -> tuple[int, int]:
    """Return from when to when there are records, monotonic; a window without bounds ends when the tracer ended."""
    low, high = window_of(bundle)
    ended = int(bundle.manifest["window"].get("ended_ns") or 0)
    last = int(clock.monotonic[-1])
    return (low or int(clock.monotonic[0])), (high if high < 1 << 62 else max(ended, last, low + 1))


def _trees(machines: Sequence[Machine], edges: dict[tuple[int, int], Offset],
           ) -> list[tuple[int, dict[int, tuple[Offset, list[str]]]]]:
    """Return (reference, machine -> (offset to it, the way there)) for each set of machines that edges join."""
    around: dict[int, list[tuple[int, Offset]]] = {number: [] for number in range(len(machines))}
    for (one, two), edge in edges.items():
        around[one].append((two, edge))
        around[two].append((one, edge.turned()))
    done: set[int] = set()
    out = []
    # the best kept wall clock is the reference; of clocks that nobody keeps, the one with the nearest neighbours
    order = sorted(range(len(machines)), key=lambda number: (
        machines[number].clock.bound_us if machines[number].clock.bound_us is not None else np.inf,
        -len(around[number]), sum(min(edge.bound, 1e15) for _, edge in around[number]), machines[number].name))
    for reference in order:
        if reference not in done:
            reached = _shortest(reference, around, machines)
            done |= set(reached)
            out.append((reference, reached))
    return out


def _shortest(start: int, around: dict[int, list[tuple[int, Offset]]], machines: Sequence[Machine],
              ) -> dict[int, tuple[Offset, list[str]]]:
    """Follow the ways with the smallest sums of bounds."""
    here = Offset(np.array([float(machines[start].clock.wall[0])]), np.zeros(1), 0.0)
    waiting: list[tuple[float, int, int, Offset, list[str]]] = [(0.0, 0, start, here, [])]
    reached: dict[int, tuple[Offset, list[str]]] = {}
    count = 0
    while waiting:
        _, _, number, offset, through = heapq.heappop(waiting)
        if number in reached:
            continue
        reached[number] = (offset, through)
        for other, edge in around[number]:
            if other not in reached:
                count += 1
                heapq.heappush(waiting, (offset.bound + edge.bound, count, other, chain(offset, edge),
                                         through + ([machines[number].name] if number != start else [])))
    return reached


def _aligned(machine: Machine, reference: Machine, offset: Offset, through: list[str],
             bundles: Sequence[Bundle]) -> HostClock:
    """Return the machine's clock, leading to the reference's wall time."""
    if machine is reference:
        return replace(machine.clock, method="reference, its wall clock", reference=True)
    span = offset.first_time(np.array(_span(machine, bundles)))
    own = reference.clock.monotonic.astype("f8") + reference.plain
    times = np.unique(np.concatenate([span, offset.time, own[(own > span[0]) & (own < span[1])]]))  # of the reference
    wall = reference.clock.to_wall(np.rint(times).astype("i8") - reference.plain)
    monotonic = np.rint(times + offset.at(times)).astype("i8") - machine.plain
    keep = np.append(True, np.diff(monotonic) > 1000)
    ahead = offset.at(span)
    rate = (ahead[1] - ahead[0]) / max(span[1] - span[0], 1.0)
    known = np.isfinite(offset.bound)
    method = "packets one way: order only" if not known else METHOD_PACKETS if len(offset.time) > 1 else "wall clocks"
    return replace(machine.clock, monotonic=monotonic[keep], wall=wall[keep],
                   bound_us=offset.bound / 1e3 if known else None, method=method + (
                       ", through %s" % ", ".join(through) if through else ""),
                   offset_us=float(-ahead[0] / 1e3), drift_ppm=float(-rate * 1e6))

