# SPDX-License-Identifier: Apache-2.0
"""An excerpt: after all packets of a part were followed and judged side by side, some of them. What is said of these is
what is said of them among all: nothing is hidden from them, and nothing of them is left out."""
from dataclasses import replace

import numpy as np

from ..excerpt.marks import Marks
from ..packet.identity import IS_FRAGMENT, Columns, among, mix
from .choosing import Way
from .packets import Packets
from .shapes import Shape
from .tally import Extra, Judged, Results


def fitting_chains(marks: Marks, rows: np.ndarray, host: np.ndarray) -> np.ndarray:
    """Return the chains (u8, sorted) that have a record that fits. rows: all of a part, with wall times; host: theirs.
    """
    return np.unique(chains_of(rows, host)[marks.fit(rows)])


def chains_of(rows: np.ndarray | Columns, host: np.ndarray) -> np.ndarray:
    """Return a name for the chain of each row."""
    return mix(rows["chain"], host.astype("u8") + np.uint64(1))


def chosen_packets(judged: Judged, chains: np.ndarray) -> np.ndarray:
    """Return which packets (bool) have a record in one of these chains; of a packet that was cut on its way, all pieces
    go with it, whatever one of them is."""
    packets, origin = judged.packets, judged.origin
    units = packets.units
    if not len(units):
        return np.zeros(0, bool)
    here = among(chains_of(units.rows, units.host)[units.row], chains)
    out = np.logical_or.reduceat(here, packets.starts)
    whole = mix(units.row[origin].astype("u8"), units.number[origin])
    piece = ~units.lead[origin]
    if piece.any():
        out = _together(out, whole, among(whole, np.unique(whole[piece])))
    datagram = mix(units.rows["group"][units.row[origin]], units.ident[origin])
    cut = (units.rows["kind"][units.row[origin]] == IS_FRAGMENT) & (units.ident[origin] > 0)
    if cut.any():
        out = _together(out, datagram, among(datagram, np.unique(datagram[cut])))
    return out


def _together(chosen: np.ndarray, key: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return all packets that have the key of a chosen one. some: those to which that applies."""
    return chosen | (some & among(key, np.unique(key[chosen & some])))


def shown_records(judged: Judged, rows: np.ndarray, host: np.ndarray) -> np.ndarray:
    """Return the records of all chains of these packets: bundle << 32 | number, sorted. rows, host: as given to
    fitting_chains()."""
    units = judged.packets.units
    chains = np.unique(chains_of(units.rows, units.host)[units.row])
    own = rows[["bundle", "record"]][among(chains_of(rows, host), chains)]
    return np.unique((own["bundle"].astype("u8") << np.uint64(32)) | own["record"])


def narrow(judged: Judged, keep: np.ndarray) -> Judged:
    """Return what became of some packets. keep: bool by packet."""
    packets = judged.packets
    of = np.repeat(np.arange(len(keep)), np.diff(np.append(packets.starts, len(packets.units))))
    units = np.flatnonzero(keep[of])
    unit_at, packet_at = np.cumsum(keep[of]) - 1, np.cumsum(keep) - 1     # old position -> new one
    few = _packets(packets, units, unit_at)
    shapes, ways = _shapes(judged, keep, packet_at, few.starts)
    results = Results(**{name: column[keep] for name, column in vars(judged.results).items()})
    results.unit = unit_at[results.unit]
    return replace(judged, packets=few, origin=unit_at[judged.origin[keep]], results=results,
                   extras=[_extra(one, keep, packet_at, unit_at) for one in judged.extras], shapes=shapes, ways=ways,
                   counts=judged.counts[keep], asks=judged.asks[keep], before=judged.before[keep])


def _packets(packets: Packets, units: np.ndarray, at: np.ndarray) -> Packets:
    columns = {name: column[units] for name, column in vars(packets).items() if name != "units"}
    columns["chain"], columns["head"] = at[columns["chain"]], at[columns["head"]]
    return Packets(packets.units.taken(units), **columns)


def _extra(extra: Extra, keep: np.ndarray, packet_at: np.ndarray, unit_at: np.ndarray) -> Extra:
    own = keep[extra.packets]
    return replace(extra, packets=packet_at[extra.packets[own]], units=unit_at[extra.units[own]])


def _shapes(judged: Judged, keep: np.ndarray, packet_at: np.ndarray, starts: np.ndarray,
            ) -> tuple[list[Shape], list[Way]]:
    """Return the shapes and the ways of some packets. starts: the first unit of each of them."""
    known: dict[int, tuple[Shape, np.ndarray]] = {}
    shapes, ways = [], []
    for shape in judged.shapes:
        own = keep[shape.packets]
        members = packet_at[shape.packets[own]]
        few = replace(shape, packets=members, starts=starts[members])
        known[id(shape)] = few, np.cumsum(own) - 1
        if len(members):
            shapes.append(few)
    for way in judged.ways:
        few, at = known[id(way.shape)]
        which = way.which[keep[way.packets]]
        if len(which):
            ways.append(replace(way, shape=few, which=at[which]))
    return shapes, ways
