# SPDX-License-Identifier: Apache-2.0
"""Align the hosts' clocks to each other, by the packets that several of them saw and by what clock daemons promise.

Each pair of machines between which packets went has limits: how far the one clock can be ahead of the other, over time.
Limits add up over third machines, which tightens them, or shows that some cannot be. Each clock is set into the middle
of what is left; what is left around it is its bound. Packets decide about promises, not the other way round.
"""
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..bundle.manifest import Bundle
from ..packet.identity import Renaming
from ..packet.places import Places
from ..packet.survey import Survey
from .crossings import Machine, crossings, machines_of
from .host import Apart, HostClock
from .rough import Edge, edges_of
from .settle import Group, group_of, parted, settled

METHOD_PACKETS, METHOD_ORDER, METHOD_WALL = "packets both ways", "packets one way: order only", "wall clocks"
METHOD_REFERENCE = "reference, its wall clock"


def align(bundles: Sequence[Bundle], clocks: Sequence[HostClock], surveys: Sequence[Survey],
          places: Sequence[Places], renamed: Renaming | None) -> list[HostClock]:
    """Return each bundle's clock, aligned with the others where packets or promises allow it.

    renamed: flows and their names before address translation.
    """
    machines = machines_of(bundles, clocks, surveys, places, renamed)
    if len(machines) < 2:
        return list(clocks)
    edges, wrong = edges_of(machines, crossings(machines))
    parts = [group_of(part, edges) for part in _parts(machines, edges)]
    for group in parts:
        wrong += [(group.machines[one].number, group.machines[two].number) for one, two in group.wrong]
    out = list(clocks)
    for turn, group in enumerate(parts):
        for machine, clock in zip(group.machines, _clocks(group, len(machines), edges), strict=True):
            if turn:   # nothing tells how far its clocks are from those of the first group
                clock = replace(clock, reference=False, bound_us=None,
                                method="wall clock" if clock.reference else clock.method)
            clock.doubt = " ".join(text for text in (clock.doubt, _mistrust(machine, machines, wrong)) if text)
            for member in machine.members:
                out[member] = clock
    return out


def _parts(machines: Sequence[Machine], edges: Sequence[Edge]) -> list[list[Machine]]:
    """Return the machines that edges or promises join, the largest part first."""
    part = list(range(len(machines)))
    promising = [machine.number for machine in machines if machine.clock.bound_us is not None]
    for one, two in [*((edge.one, edge.two) for edge in edges), *zip(promising[:-1], promising[1:], strict=True)]:
        old, new = part[two], part[one]
        part = [new if number == old else number for number in part]
    members = {number: [machine for machine in machines if part[machine.number] == number] for number in set(part)}
    return sorted(members.values(), key=lambda some: (
        -len(some), min(_promise(machine) for machine in some), some[0].name))


def _promise(machine: Machine) -> float:
    return np.inf if machine.clock.bound_us is None else machine.clock.bound_us


def _clocks(group: Group, count: int, edges: Sequence[Edge]) -> list[HostClock]:
    """Return the clocks of a group's machines. count: how many machines there are in all."""
    reference = _reference(group)
    places = settled(group, reference)
    bounds = parted(group, places)
    chosen = group.machines[reference]
    times = np.rint(group.tracks[reference].own(group.grid)).astype("i8") + chosen.start   # of the reference
    wall = chosen.clock.to_wall(times)
    out = []
    for row, machine in enumerate(group.machines):
        us = np.full((count, len(wall)), np.inf)
        us[[other.number for other in group.machines]] = bounds[row] / 1e3
        clock = _clock(group, row, places[row] - places[reference], times, reference)
        # a window that was closed before it opened ends before it begins
        ends = np.sort(np.searchsorted(wall, clock.to_wall(np.array([machine.start, machine.end]))))
        own = slice(max(0, int(ends[0]) - 1), int(ends[1]) + 1)
        worst = float(us[chosen.number][own].max())
        bound = clock.bound_us if row == reference else worst if np.isfinite(worst) else None
        if row == reference and not group.believed[row]:
            bound = None
        out.append(replace(clock, number=machine.number, apart=Apart(wall, us, own), bound_us=bound,
                           doubt=_broken(group, row), method=clock.method or _method(group, row, reference, edges)))
    return out


def _reference(group: Group) -> int:
    """Return the machine whose wall clock counts: the best kept one; of clocks that nobody keeps, the one to which the
    others are nearest."""
    width = np.minimum(group.width, 1e15).sum(axis=1)
    return min(range(len(group.machines)), key=lambda row: (
        _promise(group.machines[row]) if group.believed[row] else np.inf, width[row], group.machines[row].name))


def _clock(group: Group, row: int, place: np.ndarray, times: np.ndarray, reference: int) -> HostClock:
    """Return a machine's clock, leading to the reference's wall time; place: on the group's axis, against it.
    times: of the grid, monotonic ns of the reference."""
    machine, chosen = group.machines[row], group.machines[reference]
    if row == reference:
        return replace(machine.clock, method=METHOD_REFERENCE, reference=True)
    # when the reference's time on the axis is the grid's, that of this machine is this much later
    knots, given = _few(group.grid, place)
    own = np.rint(group.tracks[row].own(knots + given)).astype("i8") + machine.start
    theirs = np.rint(group.tracks[reference].own(knots)).astype("i8") + chosen.start
    knees = chosen.clock.monotonic[(chosen.clock.monotonic > theirs[0]) & (chosen.clock.monotonic < theirs[-1])]
    if len(knees):   # where the reference's own line bends
        own = np.append(own, np.rint(np.interp(knees.astype("f8"), theirs.astype("f8"), (own - own[0]).astype("f8"))
                                     ).astype("i8") + own[0])
        theirs = np.append(theirs, knees)
    order = np.argsort(own, kind="stable")
    own, wall = own[order], chosen.clock.to_wall(theirs[order])
    keep = np.append(True, np.diff(own) > 1000)
    clock = replace(machine.clock, monotonic=own[keep], wall=wall[keep], method="")
    ends = np.array([machine.start, machine.end])
    moved = (clock.to_wall(ends) - machine.clock.to_wall(ends)).astype("f8")
    clock.offset_us = float(moved[0] / 1e3)
    clock.drift_ppm = float((moved[1] - moved[0]) / max(machine.end - machine.start, 1) * 1e6)
    return clock


def _few(grid: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the times between which a line is straight anyway."""
    straight = place[0] + (place[-1] - place[0]) * (grid - grid[0]) / (grid[-1] - grid[0])
    if np.abs(place - straight).max() < 1.0:
        return grid[[0, -1]], place[[0, -1]]
    return grid, place


def _method(group: Group, row: int, reference: int, edges: Sequence[Edge]) -> str:
    """Return in words what a machine's clock rests on."""
    there, back = group.by_packets[reference, row], group.by_packets[row, reference]
    width = float((there + back).min())
    final = float((group.ahead[reference, row] + group.ahead[row, reference]).min())
    if not np.isfinite(final):
        one_way = np.isfinite(there[0]) or np.isfinite(back[0])
        return METHOD_ORDER + _through(group, row, reference) if one_way else "wall clock"
    promised = not np.isfinite(width) or final < 0.99 * width
    if np.isfinite(width):
        return METHOD_PACKETS + " and wall clocks" * promised + _through(group, row, reference)
    return ("packets one way and " if np.isfinite(there[0]) or np.isfinite(back[0]) else "") + METHOD_WALL


def _through(group: Group, row: int, reference: int) -> str:
    """Return through which other machines the limits lead."""
    middle = len(group.grid) // 2
    packets, direct = group.by_packets[:, :, middle], group.direct[:, :, middle]
    names = []
    for one, two in ((reference, row), (row, reference)):
        if not np.isfinite(packets[one, two]) or direct[one, two] <= packets[one, two] + 1.0:
            continue
        names += [group.machines[via].name for via in range(len(group.machines)) if via not in (one, two)
                  and packets[one, via] + packets[via, two] <= packets[one, two] + 1.0]
    return ", through %s" % ", ".join(dict.fromkeys(names)) if names else ""


def _broken(group: Group, row: int) -> str:
    """Return a sentence about a promise that packets contradict; empty if they do not."""
    if row not in group.against:
        return ""
    gap, other = group.against[row]
    machine, against = group.machines[row], group.machines[other]
    if group.believed[row]:
        return ""
    if group.broken[row]:
        return ("The clock of %s is further off than its daemon promises (%s): by packets, %s more than this and the "
                "promise of %s allow, and other hosts agree with %s; its promise is not used." % (
                    machine.name, _ms(_promise(machine)), _ms(gap / 1e3), against.name, against.name))
    return ("Packets show that the clocks of %s and %s are further apart than their daemons promise (%s and %s), by %s "
            "at least; which of them is wrong cannot be told, and the promise of %s is not used." % (
                machine.name, against.name, _ms(_promise(machine)), _ms(_promise(against)), _ms(gap / 1e3),
                machine.name))


def _ms(us: float) -> str:
    return "%.3g ms" % (us / 1e3)


def _mistrust(machine: Machine, machines: Sequence[Machine], wrong: Sequence[tuple[int, int]]) -> str:
    """Return a sentence about pairs of machines whose packets say what cannot be."""
    others = sorted({machines[two if one == machine.number else one].name for one, two in wrong
                     if machine.number in (one, two)})
    return ("The packets between %s and %s contradict others, or each other, on how far the clocks are apart; they "
            "were not used for that." % (machine.name, ", ".join(others)) if others else "")
