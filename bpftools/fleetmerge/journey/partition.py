# SPDX-License-Identifier: Apache-2.0
"""Partitions: all records of what may be one packet, in one part that fits into memory.

Packets of one pair of addresses, of the opposite direction, and of the names that address translation gives them belong
together. A group that is too large for one part is cut by what its packets carry, the same way at every place.
"""
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import picked
from ..packet.identity import IS_FRAGMENT, IS_TCP, ROW, Columns, Renaming, among, mix
from .chains import Chained, read_chained

BLOCK = 20   # bits of a TCP sequence number that neighbours share
_IDS = 8     # bits of an IP id that neighbours share, which is more than are ever joined in one packet
PART = np.dtype([("group", "<u8"), ("first", "<u4"), ("parts", "<u4")])


@dataclass
class Names(Renaming):
    """Flows and their names before address translation, of one run."""

    shared: np.ndarray   # u8, sorted: names that several flows share; their packets are told apart one by one


def names_of(edges: np.ndarray, flows: np.ndarray) -> tuple[Names, np.ndarray]:
    """Return (the names, the edges that count). edges: flow before, flow after; flows: identity.FLOW."""
    edges = np.unique(edges)
    before, after = (flows[np.searchsorted(flows["flow"], edges[name]).clip(max=max(len(flows) - 1, 0))]
                     for name in ("before", "after"))
    edges = edges[before["back"] != after["group"]]   # an answer that was made in the skb of the question
    after, first, counts = np.unique(edges["after"], return_index=True, return_counts=True)
    shared = after[counts > 1]
    after, root = after[counts == 1], edges["before"][first][counts == 1]
    for _ in range(8):   # names of names; what turns in a circle has no first name
        root = Names(after, root, shared).rename(root)
    sound = ~among(root, after)
    return Names(after[sound], root[sound], shared), edges


@dataclass
class Partition:
    """How groups are dealt out to parts."""

    table: np.ndarray    # PART, sorted by group
    parts: int
    unhashed: np.ndarray    # u8, sorted: flows, by their first names, whose payload hashes cannot be compared

    def of(self, rows: np.ndarray, names: Names) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's part, and the part of its last byte (the same but for rows of cut groups)."""
        entry = self.table[np.searchsorted(self.table["group"], rows["group"]).clip(max=len(self.table) - 1)]
        first, last = entry["first"].astype("i8"), entry["first"].astype("i8")
        cut = np.flatnonzero(entry["parts"] > 1)
        if len(cut):
            some = picked(rows, cut)
            flow = names.rename(np.ascontiguousarray(some["flow"]))
            tcp = some["kind"] == IS_TCP
            ident = some["ident"]
            joined = (some["unit"] > 0) & (some["fixed"] & 1 == 0) & (ident > 0)   # their ids count up
            more = np.where(joined, -(-some["size"].astype("i8") // np.maximum(some["unit"], 1)) - 1, 0)
            begin = np.where(tcp, some["seq"] >> BLOCK, self.numbers(some, flow, ident))
            end = np.where(tcp, (some["seq"] + some["size"]) >> BLOCK,
                           self.numbers(some, flow, np.where(joined, (ident + more) & 0xFFFF, ident)))
            first[cut] += turn(flow, begin, entry["parts"][cut])
            last[cut] += turn(flow, end, entry["parts"][cut])
        return first, last

    def numbers(self, rows: np.ndarray | Columns, flow: np.ndarray, ident: np.ndarray) -> np.ndarray:
        """Return by what packets of cut groups that have no sequence number are dealt out: what all places agree on.
        flow: by their first names; ident: IP ids."""
        hashes = np.where((rows["kind"] == IS_FRAGMENT) | among(flow, self.unhashed), 0, rows["hash"] & 0xFFFF)
        return np.where(ident > 0, ident >> _IDS, hashes)

    def shared_groups(self) -> np.ndarray:
        """Return the groups that several parts have packets of, sorted."""
        return self.table["group"][self.table["parts"] > 1]

    def cut(self, groups: np.ndarray) -> np.ndarray:
        """Return (first part, parts) of each group."""
        return self.table[np.searchsorted(self.table["group"], groups).clip(max=len(self.table) - 1)]


def turn(flow: np.ndarray, block: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return which of a cut group's parts a block of a flow's packets goes to."""
    return (mix(flow, block.astype("u8")) % np.maximum(parts, 1).astype("u8")).astype("i8")


def partition_of(flows: np.ndarray, edges: np.ndarray, chained: Sequence[Chained], names: Names,
                 most: int) -> Partition:
    """Deal all groups out to parts of about `most` packets at places."""
    groups, first = np.unique(flows["group"], return_index=True)
    size = np.zeros(len(groups), "i8")
    for machine in chained:
        np.add.at(size, np.searchsorted(groups, machine.groups["group"]), machine.groups["count"])
    total = int(size.sum())
    unhashed = np.unique(names.rename(np.concatenate([np.zeros(0, "u8"), *(one.unhashed for one in chained)])))
    table = np.zeros(len(groups), PART)
    table["group"], table["parts"] = groups, 1
    if total <= most:
        return Partition(table, 1, unhashed)
    back = np.searchsorted(groups, flows["back"][first])
    known = (back < len(groups)) & (groups[np.minimum(back, len(groups) - 1)] == flows["back"][first])
    of_flow = np.searchsorted(groups, flows["group"])
    ends = [of_flow[np.searchsorted(flows["flow"], edges[name]).clip(max=len(flows) - 1)]
            for name in ("before", "after")]
    label = components(len(groups), np.concatenate([np.flatnonzero(known), ends[0]]),
                       np.concatenate([back[known], ends[1]]))
    _, of = np.unique(label, return_inverse=True)
    together = np.bincount(of, size)
    table["first"], table["parts"], parts = _deal(of, together, most)
    return Partition(table, parts, unhashed)


def _deal(of: np.ndarray, size: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (first part, parts) of each group, and how many parts there are. of: a group's set; size: a set's."""
    large = np.flatnonzero(size > most // 2)     # has parts of its own
    parts = np.ones(len(size), "i8")
    parts[large] = -(-size[large] // most).astype("i8")
    small = size.copy()
    small[large] = 0
    # a set that begins in a part is all there: what is beyond its end is left free
    first = (np.cumsum(small) - small).astype("i8") // (most - int(small.max()))
    count = int(first.max()) + 1
    first[large] = count + np.cumsum(parts[large]) - parts[large]
    return first[of], parts[of], count + int(parts[large].sum())


def components(count: int, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return a label for each of `count` nodes: the smallest node that it is joined to by edges one - two."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[one], label[two])
        after = label.copy()
        np.minimum.at(after, label[one], low)
        np.minimum.at(after, label[two], low)
        after = after[after]
        if (after == label).all():
            return label
        label = after


def split(path: str, partition: Partition, names: Names, prefix: str) -> list[str]:
    """Write a machine's rows to a file for each part; return the files ("" for none)."""
    paths = [""] * partition.parts
    for rows in read_chained(path):
        first, last = partition.of(rows, names)
        for part, chosen in _by_part(first):
            _append(paths, part, prefix, picked(rows, chosen))
        both = np.flatnonzero(first != last)
        for part, chosen in _by_part(last[both]):
            _append(paths, part, prefix, picked(rows, both[chosen]))
    return paths


def _by_part(part: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    order = np.argsort(part, kind="stable")
    parts, starts = np.unique(part[order], return_index=True)
    for number, (low, high) in zip(parts.tolist(), zip(starts, np.append(starts[1:], len(order)), strict=False),
                                   strict=True):
        yield number, np.sort(order[low:high])


def _append(paths: list[str], part: int, prefix: str, rows: np.ndarray) -> None:
    paths[part] = "%s-%d" % (prefix, part)
    handle = os.open(paths[part], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        view = np.ascontiguousarray(rows).view("u1").data
        while len(view):
            view = view[os.write(handle, view):]
    finally:
        os.close(handle)


def read_part(path: str) -> np.ndarray:
    """Return the rows of one machine in one part."""
    return np.fromfile(path, ROW) if path else np.zeros(0, ROW)
