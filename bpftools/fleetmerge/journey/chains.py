# SPDX-License-Identifier: Apache-2.0
"""Chains: the records of one skb on one machine, from its first sight to its free, or to its reuse where that was not
seen. They survive whatever changes on the way: addresses, tags, tunnels, sequence numbers.

An skb's address comes back as soon as it was freed, so what ends a chain is decided from each record and the one
before it: a free, a packet that comes in anew, the same device a second time, a long pause. Not every free can be seen,
so where the content is another one, the data must be at the same address, and it must be soon.
"""
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import joined, picked
from ..packet.identity import IS_FRAGMENT, IS_OTHER, IS_TCP, NOT_FOLLOWED, ROW, UNREADABLE, Columns, mix
from .atlas import ANSWERING, Atlas, Layout
from .upcalls import ANSWER, asked_about, renamings

PIECE = 1 << 18          # rows that are looked at at once
_PAUSE = 1_000_000_000   # ns: an skb that was not seen for so long is taken for a new one
_SOON = 50_000_000       # ns: so soon an skb with the same data is still the same packet, whatever was changed on it
FREED = 1 << 7           # in ROW.fixed: the skb was freed behind this record, and not as a drop
_EDGE = np.dtype([("before", "<u8"), ("after", "<u8")])
_TIMES = 10_000_000      # ns: a VM's sending is remembered so finely
_COUNT = np.dtype([("group", "<u8"), ("count", "<i8")])
_PLAIN = (IS_TCP, IS_OTHER, IS_FRAGMENT)
_COMPARED = ("time", "skb", "head", "group", "flow", "hash", "seq", "ident", "size", "bytes", "place", "drop", "kind")
HOME = np.dtype([("flow", "<u8"), ("device", "<i4"), ("time", "<i8")])
INITIAL_HOPS = (64, 128, 255, 32)   # what systems send with: a router's packets have one less


@dataclass
class Chained:
    """One machine's rows, in the order of time, each with its chain."""

    path: str
    count: int
    chains: int
    renamed: np.ndarray    # _EDGE: flow, what the same skb was seen as next; each once
    homes: str             # file of HOME: where a VM sent a flow from (monotonic ns)
    groups: np.ndarray     # _COUNT: packets at places of each group
    at_place: np.ndarray   # i8: packets on the wire at each place
    unhashed: np.ndarray   # u8: flows whose payload hashes cannot be compared, as recorded; each once


@dataclass
class Machine:
    """What the rows of one machine are made of."""

    bundles: Sequence[int]       # numbers of its bundles
    rows: Sequence[str]          # their files of rows
    frees: bool                  # it recorded every free


@dataclass
class _State:
    """What is carried from piece to piece."""

    layout: Layout
    frees: bool
    answers: np.ndarray = field(default_factory=lambda: np.zeros(0, ANSWERING))
    open: np.ndarray = field(default_factory=lambda: np.zeros(0, ROW))   # the last row of each skb that may go on
    chains: int = 1              # 0 is none
    asked: np.ndarray = field(default_factory=lambda: np.zeros(0, ROW))  # rows of packets that a daemon may send on


def chain(atlas: Atlas, machine: Machine, path: str) -> Chained:
    """Write the machine's rows that count, with their chains, to `path`."""
    state = _State(atlas.layout, machine.frees, atlas.answers)
    edges, groups, unhashed, count, homes = [], [], [], 0, path + "-homes"
    at_place = np.zeros(len(atlas.places) + 1, "i8")
    with open(path, "wb", opener=_private) as handle, open(homes, "wb", opener=_private) as beside:
        for rows in _in_time(atlas, machine):
            kept, renamed = _link(state, rows)
            edges.append(renamed)
            beside.write(_homes(atlas.layout, kept).view("u1").data)
            pieces = _pieces(kept)
            groups.append(_counts(kept, pieces))
            unhashed.append(unhashed_flows(kept))
            at_place += np.bincount(kept["place"], pieces, len(at_place)).astype("i8")
            handle.write(kept.view("u1").data)
            count += len(kept)
    return Chained(path, count, state.chains, np.unique(np.concatenate(edges)) if edges else np.zeros(0, _EDGE),
                   homes, _summed(groups), at_place,
                   np.unique(np.concatenate(unhashed)) if unhashed else np.zeros(0, "u8"))


def unhashed_flows(rows: np.ndarray | Columns) -> np.ndarray:
    """Return the flows whose payload hashes cannot be compared: some packets have none, or were joined."""
    odd = (rows["kind"] != IS_TCP) & (rows["size"] > 0) & ((rows["hash"] == 0) | (rows["unit"] > 0))
    return np.unique(rows["flow"][odd])


def _counts(rows: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """Count each group's packets at places. pieces: of each row."""
    out = np.zeros(len(rows), _COUNT)
    out["group"], out["count"] = rows["group"], pieces
    return _summed([out])


def _pieces(rows: np.ndarray) -> np.ndarray:
    """Return of how many packets each row is: joined ones count as what they are joined from."""
    return np.where(rows["unit"] > 0, -(-rows["size"].astype("i8") // np.maximum(rows["unit"], 1)), 1)


def _summed(parts: list[np.ndarray]) -> np.ndarray:
    together = np.concatenate(parts) if parts else np.zeros(0, _COUNT)
    groups, of = np.unique(together["group"], return_inverse=True)
    out = np.zeros(len(groups), _COUNT)
    out["group"], out["count"] = groups, np.bincount(of, together["count"], len(groups))
    return out


def read_chained(path: str, piece: int = PIECE, dtype: np.dtype = ROW) -> Iterator[np.ndarray]:
    """Yield a machine's rows, or what else is in such a file, in pieces."""
    with open(path, "rb") as handle:
        while len(rows := np.fromfile(handle, dtype, piece)):
            yield rows


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _in_time(atlas: Atlas, machine: Machine) -> Iterator[np.ndarray]:
    """Yield the rows that count of all the machine's bundles, in the order of time, numbered as the atlas does."""
    sources = [_counted(atlas, bundle, path) for bundle, path in zip(machine.bundles, machine.rows, strict=True)]
    waiting: list[np.ndarray | None] = [next(source, None) for source in sources]
    while any(rows is not None for rows in waiting):
        until = min(int(rows["time"].max()) for rows in waiting if rows is not None and len(rows))
        parts = []
        for number, rows in enumerate(waiting):
            if rows is None:
                continue
            now = rows["time"] <= until
            parts.append(rows if now.all() else picked(rows, now))
            rest = rows[:0] if now.all() else picked(rows, ~now)
            waiting[number] = rest if len(rest) else next(sources[number], None)
        together = joined(parts) if len(parts) > 1 else parts[0]
        ordered = (np.diff(together["time"]) >= 0).all()    # as one tracer mostly writes them
        yield together if ordered else picked(together, np.argsort(together["time"], kind="stable"))


def _counted(atlas: Atlas, bundle: int, path: str) -> Iterator[np.ndarray]:
    with open(path, "rb") as handle:
        while len(rows := np.fromfile(handle, ROW, PIECE)):
            wanted = (rows["kind"] != NOT_FOLLOWED) & atlas.counts[bundle][rows["place"]]
            if not wanted.any():
                continue
            rows = rows if wanted.all() else picked(rows, wanted)
            rows["place"] = atlas.of_bundle[bundle][rows["place"]]
            rows["drop"] = atlas.drop_of_bundle[bundle][rows["drop"]]
            rows["bundle"] = bundle
            yield rows


def _link(state: _State, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the rows with their chains, without frees that are no drops; the renamings among them)."""
    layout = state.layout
    carried = len(state.open)
    both = joined([state.open, rows]) if carried else rows
    order = np.argsort(both["skb"], kind="stable")
    one = picked(both, order)
    new = np.ones(len(one), bool)
    if len(one) > 1:
        new[1:] = _begins(layout, state.frees, state.answers, one)
    starts = np.maximum.accumulate(np.where(new, np.arange(len(one)), 0))
    fresh = new & (order >= carried)
    numbers = np.where(fresh, state.chains - 1 + np.cumsum(fresh), one["chain"])
    one["chain"] = numbers[starts]
    state.chains += int(fresh.sum())
    both["chain"][order] = one["chain"]
    free = layout.free[one["place"]]
    before = np.flatnonzero(free & ~new) - 1
    one["fixed"][before] |= FREED
    both["fixed"][order[before]] |= FREED
    last = np.append(new[1:], True) & (one["drop"] == 0)
    newest = int(one["time"].max())
    state.open = picked(one, last & (one["time"] > newest - _PAUSE))
    moved = np.flatnonzero(~new & (one["flow"] != _before(one["flow"])))
    edges = np.concatenate([_edges(one, moved), _sent_on(state, one, order >= carried, new)])
    here = both[carried:]
    return picked(here, ~layout.free[here["place"]]) if free.any() else here, edges


def _before(column: np.ndarray) -> np.ndarray:
    return np.concatenate([column[:1], column[:-1]])


def _begins(layout: Layout, frees: bool, answers: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Return whether each record but the first begins another chain than the one before it, at the same address, is
    of. one: in the order of addresses and time."""
    columns = {name: np.ascontiguousarray(one[name]) for name in _COMPARED}
    columns["device"] = layout.device[columns["place"]]
    before, after = _pairs(columns, slice(None, -1)), _pairs(columns, slice(1, None))
    came, goes = before["place"], after["place"]
    new = (before["skb"] != after["skb"]) | (before["drop"] > 0)
    new |= (came == goes) & (layout.receives | layout.taken)[goes]
    pause = after["time"] - before["time"]
    new |= pause > _PAUSE
    at_once = pause < _SOON
    same_head = before["head"] == after["head"]
    elsewhere = before["device"] != after["device"]
    received, sent = layout.receives[came], layout.sends[goes]
    # a device hands it on from point to point, and to the tunnel, bond or VLAN above it
    goes_on = received & (~elsewhere | (layout.stacked[goes] & at_once))
    new |= (layout.arrives > 0)[goes] & ~goes_on
    # what a device has taken comes to no other device in the same skb, but to the other end of a veth
    across = layout.peer[came] == after["device"]
    gone = layout.final[came] & layout.step[goes] & elsewhere & ~across
    # nor does what came into one namespace leave by another
    gone |= received & sent & (layout.netns[came] != layout.netns[goes])
    new |= gone | (~same_head & ~at_once & layout.step[goes])
    # where frees are not seen, what leaves by the device by which the other came may be an answer to it
    entered = (layout.arrives > 0)[came] & elsewhere
    # a tunnel hands it down to the device below at once
    down = (layout.stacked & layout.taken)[came] & sent & elsewhere
    new |= ~(_alike(before, after) | (same_head & at_once & (entered | down | frees)))
    # what a socket took is freed unseen, and what the host sends next may be in the same memory
    there = np.flatnonzero(~new & received & sent & (
        (before["flow"] != after["flow"]) | (before["ident"] != after["ident"])))
    new[there] |= _other(answers, _pairs(before, there), _pairs(after, there))
    return new


def _pairs(columns: Columns, which: slice | np.ndarray) -> Columns:
    return {name: column[which] for name, column in columns.items()}


def _other(answers: np.ndarray, before: Columns, after: Columns) -> np.ndarray:
    """Return whether two records of one address show two packets: the answer, or another IP id or payload.

    On its way through a host a packet may be given other addresses, ports and sequence numbers; a tunnel that is not
    known makes another kind of it."""
    plain = np.isin(before["kind"], _PLAIN) & ((before["kind"] == after["kind"]) | (
        (before["kind"] != IS_TCP) & np.isin(after["kind"], (IS_OTHER, IS_FRAGMENT))))
    known = (before["ident"] > 0) & (after["ident"] > 0)
    another = np.where(known, before["ident"] != after["ident"],
                       (before["hash"] > 0) & (after["hash"] > 0) & (before["hash"] != after["hash"]))
    same = known & (before["ident"] == after["ident"])
    return plain & (another | (~same & _answers(answers, before["group"], after["group"])))


def _answers(answers: np.ndarray, group: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return whether the addresses of `other` are those of `group`, exchanged."""
    if not len(answers):
        return np.zeros(len(group), bool)
    at = np.minimum(np.searchsorted(answers["group"], group), len(answers) - 1)
    return (answers["group"][at] == group) & (answers["back"][at] == other)


def _alike(before: Columns, after: Columns) -> np.ndarray:
    """Return whether two records may show one packet, by their content: addresses may have been changed."""
    same = before["kind"] == after["kind"]
    number = (before["seq"] == after["seq"]) & (before["size"] == after["size"])
    # where a payload begins, and so how long it is, is not known of what is not read whole
    number &= (before["kind"] != UNREADABLE) | (before["bytes"] == after["bytes"])
    hashes = (before["hash"] == after["hash"]) | (before["hash"] == 0) | (after["hash"] == 0)
    same_flow = before["flow"] == after["flow"]
    told = (before["ident"] > 0) | (((before["seq"] > 0) | (before["hash"] > 0)) & (before["head"] == after["head"]))
    return same & (before["ident"] == after["ident"]) & ((number & hashes & (same_flow | told)) | (
        same_flow & (before["kind"] == IS_FRAGMENT)))


def _edges(one: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return flow -> its next name, for packets whose addresses were changed."""
    moved = moved[np.isin(one["kind"][moved], (IS_TCP, IS_OTHER)) & np.isin(one["kind"][moved - 1], (IS_TCP, IS_OTHER))]
    out = np.zeros(len(moved), _EDGE)
    out["before"], out["after"] = one["flow"][moved - 1], one["flow"][moved]
    return np.unique(out)


def _sent_on(state: _State, one: np.ndarray, here: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return flow -> its next name, for packets that a daemon was asked about. here: rows of this piece; new: rows with
    which chains begin."""
    layout = state.layout
    begins = new & (layout.arrives[one["place"]] == 0)
    asked = here & ~begins & asked_about(one, layout.asks)
    if not len(state.asked) and not asked.any():
        return np.zeros(0, _EDGE)
    state.asked = joined([state.asked, picked(one, asked)])
    before, after = renamings(state.asked, picked(one, here & begins & layout.step[one["place"]]))
    state.asked = picked(state.asked, state.asked["time"] > int(one["time"].max()) - ANSWER)
    out = np.zeros(len(before), _EDGE)
    out["before"], out["after"] = before, after
    return np.unique(out)


def _homes(layout: Layout, rows: np.ndarray) -> np.ndarray:
    """Return when a VM sent something of a flow: a packet's first sight, with as many hops left as systems give."""
    near = layout.arrives[rows["place"]] == 1
    rows = picked(rows, near & ((rows["ttl"] == 0) | np.isin(rows["ttl"], INITIAL_HOPS)))
    bucket = rows["time"] // _TIMES
    key = mix(mix(rows["flow"], layout.device[rows["place"]].astype("u8")), bucket.astype("u8"))
    _, first = np.unique(key, return_index=True)
    _, last = np.unique(key[::-1], return_index=True)
    chosen = np.unique(np.concatenate([first, len(rows) - 1 - last]))
    out = np.zeros(len(chosen), HOME)
    out["flow"], out["time"] = rows["flow"][chosen], rows["time"][chosen]
    out["device"] = layout.device[rows["place"][chosen]]
    return out
