# SPDX-License-Identifier: Apache-2.0
"""Packets that went from one machine to another, as far as that is sure.

A packet is recognised by its key; it may be copied, flooded, mirrored, routed by a VM, sent twice. What holds of all
of these: nobody sees a packet before it began. So the machine where it began is looked for, and every sight of it
elsewhere counts. Where it began is sure if its first sight there was at a VM's device, or at no device by which it came
in, and its flow does not come to that machine from others. Keys that are seen twice at one place, and packets that
carry too little to tell them from others of their flow, are left out.

What comes back to where it began was elsewhere between, if others say that they routed it.

Of the machines on the way, one that only passes a packet on says something about where the packet ended, and a VM that
was traced as a machine of its own about the one machine that gave it the packet.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import joined, picked
from ..bundle.manifest import Bundle
from ..packet.identity import IS_ARP, IS_TCP, NOT_FOLLOWED, Renaming, packet_keys, rename
from ..packet.places import FAR, NEAR, Places
from ..packet.survey import Survey, read_rows, window_of
from .host import HostClock

NEVER = np.iinfo("i8").max
_MOST_KEYS = 2_000_000    # packets that are looked at, over all machines
_MOST_OF_ONE = 100_000    # … and of one machine; of more, the same part everywhere
_INSIDE = ("vnet", "loopback", "bridge", "internal", "tunnel", "bond", "vlan")   # or over a device that leads outside
_OPENING = 20_000_000     # ns after its window began in which a machine may see the second half of a packet's visit
_FLOW = 8                 # packets of a flow that show where it comes from, where records were lost
_TOLD_APART = 4           # packets without an IP id that a flow needs, to show that they differ
_WAYS = ("near_in", "near_out", "far_in", "far_out")   # times when a packet first came from a VM, went to one, …
_SIGHT = np.dtype([("key", "<u8"), ("flow", "<u8"), ("time", "<i8"), ("place", "<u4"), ("way", "u1"), ("ttl", "u1"),
                   ("weak", "u1")])
_STRONG, _HASHED, _BYTES = range(3)   # what tells a packet from others: its IP id; its payload; its sequence number
SIGHTS = np.dtype([("key", "<u8"), ("flow", "<u8"), ("machine", "<u2"), ("vm", "?"), ("leaf", "?"), ("born", "?"),
                   ("again", "?"),
                   *[(way, "<i8") for way in _WAYS], ("first", "<i8"), ("most", "u1"), ("least", "u1"),
                   ("in_ttl", "u1"), ("out_ttl", "u1")])


@dataclass
class Machine:
    """One host, in one boot: everything with the same monotonic clock."""

    name: str
    number: int
    members: list[int]           # numbers of its bundles
    clock: HostClock
    start: int                   # from when to when there are records, monotonic
    end: int
    sights: np.ndarray           # of SIGHTS, by key

    @property
    def origin(self) -> int:
        """When its window began, by its own wall clock (ns); its times are counted from there."""
        return self.start + int(self.clock.wall[0] - self.clock.monotonic[0])


def machines_of(bundles: Sequence[Bundle], clocks: Sequence[HostClock], surveys: Sequence[Survey],
                places: Sequence[Places], renamed: Renaming | None) -> list[Machine]:
    """Return all machines with the packets that they saw."""
    by_machine: dict[tuple[str, str], list[int]] = {}
    for number, bundle in enumerate(bundles):
        boot = str(bundle.manifest["kernel"].get("boot_id") or number)
        by_machine.setdefault((bundle.host, boot), []).append(number)
    share = _share(surveys, len(by_machine))
    out = []
    for number, members in enumerate(by_machine.values()):
        reach = [_reach(bundles[member], clocks[members[0]]) for member in members]
        machine = Machine(bundles[members[0]].host, number, members, clocks[members[0]],
                          min(low for low, _ in reach), max(high for _, high in reach), np.zeros(0, SIGHTS))
        if len(by_machine) > 1:
            _look(machine, bundles, surveys, places, renamed, share)
        out.append(machine)
    return out


def _share(surveys: Sequence[Survey], machines: int) -> np.uint64:
    """Return a mask: packets whose key has none of its bits are looked at."""
    most = max(max((survey.count for survey in surveys), default=0) / 2 / _MOST_OF_ONE,
               sum(survey.count for survey in surveys) / 2 / _MOST_KEYS)
    return np.uint64((1 << max(0, int(most).bit_length())) - 1)


def _reach(bundle: Bundle, clock: HostClock) -> tuple[int, int]:
    """Return from when to when there are records, monotonic; a window without bounds ends when the tracer ended."""
    low, high = window_of(bundle)
    ended = int(bundle.manifest["window"].get("ended_ns") or 0)
    low = low or int(clock.monotonic[0])
    return low, (high if high < 1 << 62 else max(ended, int(clock.monotonic[-1]), low + 1))


def _look(machine: Machine, bundles: Sequence[Bundle], surveys: Sequence[Survey], places: Sequence[Places],
          renamed: Renaming | None, share: np.uint64) -> None:
    """Fill in what a machine saw."""
    roles = {str(device.get("role") or "other") for number in machine.members
             for device in bundles[number].manifest["devices"]} - {"loopback"}
    vm = roles <= {"vnet"} and not any(place.uplink for number in machine.members for place in places[number].entries)
    parts = [_sights(surveys[number], places[number], turn << 17, renamed, share, vm)
             for turn, number in enumerate(machine.members)]
    seen = joined(parts) if parts else np.zeros(0, _SIGHT)
    seen["time"] += machine.origin - machine.start
    seen = picked(seen, np.lexsort((seen["place"], seen["key"])))
    mine = [bundles[number] for number in machine.members]
    whole = not any(bundle.missing() or bundle.truncated or bundle.problems for bundle in mine)
    out = _by_key(seen, machine.number)
    out["vm"], out["leaf"] = vm, vm or "vnet" not in roles
    if len(out):
        out["born"] = _born(out, _sees_arrivals(mine, vm), whole, machine)
        out = out[_told_apart(out, seen, whole)]
    machine.sights = out


def _sees_arrivals(bundles: Sequence[Bundle], vm: bool) -> bool:
    """Whether whatever comes to a machine is seen there: all devices that may lead to others were looked at when they
    receive."""
    return vm or any("dev.rx" in bundle.points().values() and _looks_outside(bundle) for bundle in bundles)


def _looks_outside(bundle: Bundle) -> bool:
    chosen = bundle.manifest["filter"].get("interfaces")
    return not chosen or {str(device.get("name")) for device in bundle.manifest["devices"]
                          if device.get("role") not in _INSIDE} <= set(chosen)


def _sights(survey: Survey, places: Places, offset: int, renamed: Renaming | None, share: np.uint64,
            vm: bool) -> np.ndarray:
    """Return what was seen at devices that lead to other machines or to VMs. To a VM all others are far."""
    out = []
    ways = np.zeros(len(places.entering), "u1")   # 1 + index of _WAYS
    for number, column in enumerate((places.entering, places.leaving)):
        ways[column == NEAR] = 1 + number + 2 * vm
        ways[column == FAR] = 3 + number
    for part in read_rows(survey):
        part = picked(part, (part["kind"] != NOT_FOLLOWED) & (part["kind"] != IS_ARP) & (ways[part["place"]] > 0))
        keys = packet_keys(part, renamed)
        tcp = part["kind"] == IS_TCP
        weak = np.where(part["ident"] > 0, _STRONG, np.where(tcp, _BYTES, _HASHED))
        # acknowledgements without an IP id are all alike
        chosen = ((keys & share) == 0) & ((weak != _BYTES) | (part["size"] > 0))
        part, seen = picked(part, chosen), np.zeros(int(chosen.sum()), _SIGHT)
        seen["key"], seen["weak"] = keys[chosen], weak[chosen]
        seen["flow"] = rename(np.ascontiguousarray(part["flow"]), renamed)
        seen["time"], seen["ttl"] = part["time"], part["ttl"]
        seen["way"], seen["place"] = ways[part["place"]] - 1, part["place"].astype("u4") + offset
        out.append(seen)
    return joined(out) if out else np.zeros(0, _SIGHT)


def _by_key(seen: np.ndarray, machine: int) -> np.ndarray:
    """Return one row for each packet. seen: sorted by key and place."""
    starts = np.flatnonzero(_changes(seen["key"]))
    out = np.zeros(len(starts), SIGHTS)
    if not len(starts):
        return out
    out["key"], out["flow"], out["machine"] = seen["key"][starts], seen["flow"][starts], machine
    twice = ~_changes(seen["key"]) & ~_changes(seen["place"])
    out["again"] = np.logical_or.reduceat(twice, starts)
    for number, way in enumerate(_WAYS):
        out[way] = np.minimum.reduceat(np.where(seen["way"] == number, seen["time"], NEVER), starts)
    out["first"] = np.minimum.reduceat(seen["time"], starts)
    out["most"] = np.maximum.reduceat(seen["ttl"], starts)
    for name, chosen in (("least", seen["time"] == np.repeat(out["first"], np.diff(np.append(starts, len(seen))))),
                         ("in_ttl", seen["way"] == 2), ("out_ttl", seen["way"] == 3)):
        out[name] = np.minimum.reduceat(np.where(chosen, seen["ttl"], 255), starts)
    return out


def _changes(column: np.ndarray) -> np.ndarray:
    return np.append(True, column[1:] != column[:-1])[:len(column)]


def _born(out: np.ndarray, sees_arrivals: bool, whole: bool, machine: Machine) -> np.ndarray:
    """Return which packets began here: they came from a VM, or from nowhere."""
    flows, of = np.unique(out["flow"], return_inverse=True)
    comes = out["far_in"] < NEVER
    foreign = np.bincount(of, comes, len(flows))[of] > 0
    from_vm = (out["near_in"] == out["first"]) & ~comes
    from_here = ~comes & (out["near_in"] == NEVER) & (out["near_out"] == NEVER) & (out["far_out"] < NEVER) & ~foreign
    if not sees_arrivals:
        # a VM may have routed it; where the way to the VM was seen, that came first
        return from_vm & ~foreign
    if not whole:
        many = np.bincount(of, from_vm | from_here, len(flows))[of] >= _FLOW
        return (from_vm | from_here) & ~foreign & many
    opened = out["first"] >= machine.origin + _OPENING
    return (from_vm | from_here) & (opened | ~foreign)


def _told_apart(out: np.ndarray, seen: np.ndarray, whole: bool) -> np.ndarray:
    """Return which packets cannot be mistaken for others of their flow. (An IP id is enough; without it, equal payloads
    or bytes sent again may be seen by one machine only.)"""
    weak = seen["weak"][np.flatnonzero(_changes(seen["key"]))]
    flows, of = np.unique(out["flow"], return_inverse=True)
    hashed = weak == _HASHED
    alike = np.bincount(of, hashed & out["again"], len(flows))[of] > 0
    several = np.bincount(of, hashed, len(flows))[of] >= _TOLD_APART
    return (weak == _STRONG) | (hashed & ~alike & several) | ((weak == _BYTES) & whole)


@dataclass
class Crossings:
    """Packets that went from machine `one` to `two`: when they left the one and came to the other, each on the
    machine's plain clock (ns)."""

    one: np.ndarray
    two: np.ndarray
    left: np.ndarray
    came: np.ndarray


def crossings(machines: Sequence[Machine]) -> Crossings:
    """Return all crossings of which the direction is sure."""
    rows = joined([machine.sights for machine in machines])
    rows = picked(rows, np.argsort(rows["key"], kind="stable"))
    if not len(rows):
        return Crossings(*(np.zeros(0, kind) for kind in ("u2", "u2", "i8", "i8")))
    starts = np.flatnonzero(_changes(rows["key"]))
    sizes = np.diff(np.append(starts, len(rows)))
    usable = (sizes > 1) & ~np.logical_or.reduceat(rows["again"], starts)
    rows, sizes = picked(rows, np.repeat(usable, sizes)), sizes[usable]
    starts = np.cumsum(sizes) - sizes
    found = [_from_birth(rows, starts, sizes, rows["born"] & ~rows["leaf"]),
             _from_birth(rows, starts, sizes, rows["born"] & rows["leaf"]),
             *_there_and_back(rows, starts, sizes), _passed_on(rows, starts, sizes),
             _into_vms(rows, starts, sizes)] if len(rows) else []
    pairs = [(rows[one], rows[two], left, came) for one, two, left, came in found]
    return Crossings(np.concatenate([pair[0]["machine"] for pair in pairs] or [np.zeros(0, "u2")]),
                     np.concatenate([pair[1]["machine"] for pair in pairs] or [np.zeros(0, "u2")]),
                     np.concatenate([pair[2] for pair in pairs] or [np.zeros(0, "i8")]),
                     np.concatenate([pair[3] for pair in pairs] or [np.zeros(0, "i8")]))


_Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]   # row, row, time, time


def _only(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return, for each row, the one row of its packet that is chosen; -1 if there is none, or several."""
    number = np.where(chosen, np.arange(len(rows)), 0)
    one = np.where(np.add.reduceat(chosen.astype("i8"), starts) == 1, np.add.reduceat(number, starts), -1)
    return np.repeat(one, sizes)


def _arrival(rows: np.ndarray) -> np.ndarray:
    """Return when a packet was first seen by a machine; by one without VMs, which may be a VM, when it came in."""
    return np.where(rows["leaf"], rows["far_in"], rows["first"])


def _from_birth(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray, born: np.ndarray) -> _Found:
    """A packet is seen by others after it left the machine where it began, or after it came from a VM there. (A packet
    begins twice, if its VM was traced, too.)"""
    source = _only(rows, starts, sizes, born)
    came = _arrival(rows)
    begun = rows[source]
    two = np.flatnonzero((source >= 0) & ~born & (came < NEVER) & ~(rows["born"] & rows["leaf"])
                         & (rows["least"] <= begun["most"]))
    one = source[two]
    # a VM of the same machine may have got a copy before others did
    left = np.where(rows["leaf"][two], np.minimum(rows["far_out"][one], rows["near_out"][one]), rows["far_out"][one])
    return one, two, np.where(left < NEVER, left, rows["first"][one]), came[two]


def _there_and_back(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> list[_Found]:
    """What came out of a VM, left the machine, and came back with fewer hops left, was routed between: by a machine, or
    a VM of it, that got it with as many hops as it had left with, and sent it on with as many as it came back with."""
    began = ((rows["near_in"] == rows["first"]) & (rows["far_out"] < rows["far_in"]) & (rows["far_in"] < NEVER)
             & (rows["in_ttl"] < rows["out_ttl"]) & ~rows["vm"])
    source = _only(rows, starts, sizes, began)
    by_vm = (rows["far_in"] <= rows["near_in"]) & (rows["near_in"] <= rows["far_out"])
    routed = ((rows["far_in"] <= rows["far_out"]) & (rows["far_out"] < NEVER) & ((rows["near_in"] == NEVER) | by_vm)
              & (rows["out_ttl"] < rows["in_ttl"]) & ~rows["vm"])
    two = np.flatnonzero(routed & (source >= 0) & (rows["in_ttl"] == rows["out_ttl"][source])
                         & (rows["out_ttl"] == rows["in_ttl"][source]))
    one = source[two]
    return [(one, two, rows["far_out"][one], rows["far_in"][two]),
            (two, one, rows["far_out"][two], rows["far_in"][one])]


def _passed_on(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> _Found:
    """A machine that gives a packet to none of its VMs, or takes a hop off it, passed it on to where it ended."""
    far = (rows["far_in"] < NEVER) & (rows["far_out"] < NEVER) & ~rows["vm"] & (rows["far_in"] <= rows["far_out"])
    routed = far & (rows["out_ttl"] < rows["in_ttl"])
    passed = routed | (far & (rows["near_in"] == NEVER) & (rows["near_out"] == NEVER))
    # what goes out after it went to a VM, and never came back from there, is a mirror's copy
    ends = ((rows["far_in"] < NEVER) & (rows["near_out"] < NEVER) & (rows["near_in"] == NEVER) & ~rows["vm"]
            & (rows["far_out"] >= rows["near_out"]))
    goal = _only(rows, starts, sizes, ends)
    one = np.flatnonzero(passed & (goal >= 0))
    two = goal[one]
    # what came with more hops left was flooded, before the other machine had it
    sure = (rows["least"][two] <= rows["out_ttl"][one]) & ~rows["born"][two]
    one, two = one[sure], two[sure]
    return one, two, rows["far_out"][one], rows["far_in"][two]


def _into_vms(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> _Found:
    """What a VM sees came through the one machine that gave it to a VM."""
    giver = _only(rows, starts, sizes, (rows["near_out"] < NEVER) & ~rows["vm"])
    two = np.flatnonzero(rows["vm"] & (giver >= 0) & (rows["far_in"] < NEVER) & ~rows["born"])
    one = giver[two]
    return one, two, rows["near_out"][one], rows["far_in"][two]
