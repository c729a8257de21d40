# SPDX-License-Identifier: Apache-2.0
"""What other packets show: where an address lives at a moment, and where a flow's packets went on from a place before
and after."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import by_time
from ..clock.host import HostClock
from ..packet.identity import among, mix
from .chains import HOME, Chained, read_chained

NOWHERE = -1
_SENT = np.dtype([("address", "<u8"), ("time", "<i8"), ("device", "<i4")])


@dataclass
class Homes:
    """When an address was seen to send from which device, sorted by address and time."""

    address: np.ndarray   # u8
    time: np.ndarray      # i8: wall ns
    device: np.ndarray    # i4

    def at(self, address: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (device where the address was last seen to send before each time, and next after it)."""
        return around(self.address, self.time, self.device, address, time)


def homes_of(chained: Sequence[Chained], clocks: Sequence[HostClock], flows: np.ndarray) -> Homes:
    """Return all hosts' homes; flows: identity.FLOW.

    A VM is remembered every few milliseconds, in files; of an address that one device alone sent from, the first and
    the last time say as much.
    """
    ends = _ends(np.concatenate([_ends(some) for some in _sent(chained, clocks, flows)] or [np.zeros(0, _SENT)]))
    _, first = np.unique(mix(ends["address"], ends["device"].astype("u8")), return_index=True)
    address, devices = np.unique(ends["address"][first], return_counts=True)
    several = address[devices > 1]
    parts = [ends[~among(ends["address"], several)]]
    if len(several):
        parts += [some[among(some["address"], several)] for some in _sent(chained, clocks, flows)]
    seen = np.concatenate(parts)
    seen = seen[np.lexsort((seen["time"], seen["address"]))]
    return Homes(*(np.ascontiguousarray(seen[name]) for name in ("address", "time", "device")))


def _sent(chained: Sequence[Chained], clocks: Sequence[HostClock], flows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what VMs sent (_SENT), in pieces."""
    for machine, clock in zip(chained, clocks, strict=True):
        for seen in read_chained(machine.homes, dtype=HOME):
            out = np.zeros(len(seen), _SENT)
            out["address"] = flows["from"][np.searchsorted(flows["flow"], seen["flow"]).clip(max=len(flows) - 1)]
            out["time"], out["device"] = clock.to_wall(seen["time"]), seen["device"]
            yield out


def _ends(sent: np.ndarray) -> np.ndarray:
    """Return the first and the last that each address sent from each device."""
    key = mix(sent["address"], sent["device"].astype("u8"))
    order = by_time(key, sent["time"])
    differs = np.ones(len(order) + 1, bool)
    differs[1:-1] = key[order][1:] != key[order][:-1]
    return sent[order[differs[1:] | differs[:-1]]]


def around(keys: np.ndarray, times: np.ndarray, values: np.ndarray, key: np.ndarray,
           time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the value with the same key that is next before each time, the one next after it); NOWHERE for none.

    keys, times, values: sorted by key and time. Only those of the keys that are asked for are looked at: of a long
    capture there are many.
    """
    asked = _with(keys, np.unique(key))
    keys, times, values, count = keys[asked], times[asked], values[asked], len(asked)
    if not count or not len(key):
        nothing = np.full(len(key), NOWHERE, "i4")
        return nothing, nothing.copy()
    different, codes = np.unique(keys, return_inverse=True)
    code = np.searchsorted(different, key)
    known = (code < len(different)) & (different[np.minimum(code, len(different) - 1)] == key)
    base = min(int(times.min()), int(time.min()))
    order = np.lexsort((np.append(np.zeros(count), np.ones(len(key))), np.append(times, time) - base,
                        np.append(codes, code)))
    place = np.where(order < count, order, -1)     # of the entries, in the joint order
    latest = np.maximum.accumulate(place)
    at = np.empty(len(order), "i8")
    at[order] = latest
    before = at[count:]
    after = before + 1
    good = known & (before >= 0) & (codes[np.maximum(before, 0)] == code)
    left = np.where(good, values[np.maximum(before, 0)], NOWHERE)
    good = known & (after < count) & (codes[np.minimum(after, count - 1)] == code)
    right = np.where(good, values[np.minimum(after, count - 1)], NOWHERE)
    return left.astype("i4"), right.astype("i4")


def _with(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where the wanted keys are. keys, wanted: sorted."""
    first = np.searchsorted(keys, wanted)
    count = np.searchsorted(keys, wanted, "right") - first
    return np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))


@dataclass
class Onward:
    """Where packets of a stream went on from a place, and when they were there; sorted by stream, place and time."""

    key: np.ndarray      # u8: of stream and place
    time: np.ndarray     # i8: when they were at the place (wall ns)
    after: np.ndarray    # i4: the next place

    def at(self, stream: np.ndarray, place: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (where the packet of the same stream next before each time went on to, and the next after it)."""
        return around(self.key, self.time, self.after, mix(stream, place.astype("u8")), time)


def onward_of(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Onward:
    """Return the table of all (key, time, after)."""
    if not parts:
        return Onward(np.zeros(0, "u8"), np.zeros(0, "i8"), np.zeros(0, "i4"))
    key, time, after = (np.concatenate([part[number] for part in parts]) for number in range(3))
    order = np.lexsort((time, key))
    return Onward(key[order], time[order], after[order].astype("i4"))
