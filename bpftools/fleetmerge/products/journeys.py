# SPDX-License-Identifier: Apache-2.0
"""journeys.parquet: one row for each journey, that is for each packet each time that it was sent.

Each part is written by itself: its journeys, whose certainty may still turn out to be less, and a file by which the
records of events.parquet find theirs. The parts are joined when all of them are there.
"""
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import dictionary, names, numbered, strings
from ..journey import grounds
from ..journey.atlas import Atlas
from ..journey.followed import Followed
from ..journey.found import NAMES, UNKNOWN, VANISHED
from ..journey.notes import NOTE
from ..packet.flowtext import flows_of
from ..packet.identity import network_text

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("ns", "UTC")
_PLACE = pa.struct([("host", _TEXT), ("device", _TEXT), ("point", _TEXT), ("time", _TIME), ("bound_us", pa.float64())])
SCHEMA = pa.schema([
    ("journey", pa.string()), ("carried_by", pa.string()), ("flow", _TEXT), ("network", _TEXT), ("first", _TIME),
    ("last", _TIME),
    ("outcome", _TEXT), ("certainty", _TEXT), ("alike", pa.bool_()), ("bytes", pa.int64()), ("sent_before", pa.int32()),
    ("branches", pa.int32()), ("copies", pa.int32()), ("places", pa.list_(_PLACE))])
_JUDGED = ("outcome", "certainty")   # are known when all parts are
_PIECE = pa.schema([field for field in SCHEMA if field.name not in _JUDGED]
                   + [("_outcome", pa.uint8()), ("_gaps", pa.uint32()), ("_seen", pa.int32()), ("_after", pa.int32())])
_ROWS = 1 << 17     # of a row group


def write_part(followed: Followed, atlas: Atlas, flows: np.ndarray, piece: str) -> None:
    """Write a part's journeys to `piece`, and which records show them to `piece`.records. flows: identity.FLOW, in the
    order of those in the atlas, which may tell less of them."""
    with pa.OSFile(piece, "wb") as out, pa.ipc.new_file(
            out, _PIECE, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(_table(followed, atlas, flows), max_chunksize=_ROWS)
    with open(notes_of(piece), "wb") as handle:
        handle.write(np.ascontiguousarray(followed.notes["record"]).data)
        handle.write(followed.notes.view("u1").data)
    with open(records_of(piece), "wb") as handle:
        handle.write(np.ascontiguousarray(followed.record).data)
        handle.write(np.ascontiguousarray(followed.shown).data)


def records_of(piece: str) -> str:
    """Return the file that says which records show a part's journeys."""
    return piece + ".records"


def notes_of(piece: str) -> str:
    """Return the file that has what there is to say of some records of a part (notes.NOTE)."""
    return piece + ".notes"


def _table(followed: Followed, atlas: Atlas, flows: np.ndarray) -> pa.Table:
    codes, first = numbered(followed.flow)
    at = np.searchsorted(atlas.flows["flow"], followed.flow[first]).clip(max=len(atlas.flows) - 1)
    networks, network = np.unique(followed.network, return_inverse=True)
    itself = (followed.carrier == followed.journey) | (followed.carrier == 0)
    columns = {
        "journey": names(followed.journey), "carried_by": _where(names(followed.carrier), itself),
        "flow": pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32()), flows_of(flows[at]) if len(flows) else strings([])),
        "network": dictionary(network, [network_text(int(one)) for one in networks]),
        "first": _times(followed.first), "last": _times(followed.last), "alike": pa.array(followed.alike),
        "bytes": pa.array(followed.bytes), "sent_before": pa.array(followed.before),
        "branches": pa.array(followed.branches), "copies": pa.array(followed.copies, mask=followed.copies < 0),
        "places": _places(followed, atlas), "_outcome": pa.array(followed.outcome), "_gaps": pa.array(followed.gaps),
        "_seen": pa.array(followed.seen), "_after": pa.array(followed.after)}
    return pa.table([columns[field.name].cast(field.type) for field in _PIECE], schema=_PIECE)


def _where(column: pa.Array, absent: np.ndarray) -> pa.Array:
    """Return a column with nulls."""
    return pc.if_else(pa.array(absent), None, column)


def _times(wall: np.ndarray) -> pa.Array:
    return pa.array(wall).view(_TIME)


def _places(followed: Followed, atlas: Atlas) -> pa.Array:
    texts = ([place.host for place in atlas.places], [place.device for place in atlas.places],
             [place.point for place in atlas.places])
    bound = followed.bound / 1e3
    fields = [*(dictionary(followed.place, text) for text in texts), _times(followed.time),
              pa.array(bound, mask=~np.isfinite(bound))]
    offsets = np.append(0, np.cumsum(followed.places)).astype("i4")
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(_PLACE)))


def doubtful(atlas: Atlas, lossy: Collection[str]) -> np.ndarray:
    """Return whether packets may have been missed at each place; the last is none. lossy: hosts that did not record all
    that they saw."""
    return np.array([place.host in lossy for place in atlas.places] + [False], bool)


def judged(piece: str, doubts: np.ndarray) -> Iterator[pa.Table]:
    """Yield a part's rows of journeys.parquet. doubts: what doubtful() said."""
    for batch in _batches(piece):
        outcome, certainty = _judged(batch, doubts)
        columns = {"outcome": dictionary(outcome, NAMES), "certainty": certainty}
        yield pa.table([columns.get(field.name) or batch[field.name] for field in SCHEMA], schema=SCHEMA)


def _batches(piece: str) -> Iterator[dict[str, Any]]:
    if piece:
        with pa.memory_map(piece) as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                yield dict(zip(batch.schema.names, batch.columns, strict=True))


def _judged(batch: dict[str, Any], doubts: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    """Return (outcome, certainty) of journeys, now that it is known of which hosts records are missing."""
    outcome, gaps, seen, after = (np.asarray(batch[name]).copy() for name in ("_outcome", "_gaps", "_seen", "_after"))
    missed = np.isin(outcome, (VANISHED, UNKNOWN)) & (after >= 0)
    gaps[missed & doubts[seen]] |= np.uint32(grounds.LOSSY_HERE.bit)
    gaps[missed & doubts[after]] |= np.uint32(grounds.LOSSY_NEXT.bit)
    outcome[(outcome == VANISHED) & (gaps > 0)] = UNKNOWN
    values, codes = np.unique(gaps, return_inverse=True)
    levels = [grounds.certainty(int(value)) for value in values]
    untold = (outcome == UNKNOWN) & (gaps == 0)
    return outcome, dictionary(np.where(untold, len(levels), codes), [*levels, grounds.UNKNOWN_])


def journeys_of(records: Sequence[str], bundle: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the journey (u8) that each record shows; 0 for those that are not followed.

    records: the files of all parts; bundle, number: of each record. Little is read but what is asked for.
    """
    out = np.zeros(len(bundle), "u8")
    wanted = _Wanted(bundle, number)
    for path in records:
        known, shown = _known(path)
        for rows, here in wanted.among(known):
            out[rows] = shown[here]
    return out


def noted(notes: Sequence[str], bundle: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (records of which there are notes, these). notes: the files of all parts; bundle, number: of each record.
    Little is read but what is asked for."""
    rows, found = [np.zeros(0, "i8")], [np.zeros(0, NOTE)]
    wanted = _Wanted(bundle, number)
    for path in notes:
        known, said = _notes(path)
        for some, here in wanted.among(known):
            rows.append(some)
            found.append(said[here])
    return np.concatenate(rows), np.concatenate(found)


class _Wanted:
    """Records that are looked for, by bundle and number."""

    def __init__(self, bundle: np.ndarray, number: np.ndarray) -> None:
        key = (bundle.astype("u8") << np.uint64(32)) | number.astype("u8")
        self._order = np.argsort(key)
        self._key = key[self._order]
        owner = self._key >> np.uint64(32)
        self._starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))[:len(key)]    # of each bundle
        self._ends = np.append(self._starts[1:], len(key))[:len(self._starts)]

    def among(self, known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (those that are known, where among the known, which are sorted)."""
        if not len(self._starts):
            return
        low = np.searchsorted(known, self._key[self._starts])
        high = np.searchsorted(known, self._key[self._ends - 1], "right")
        for begin, end, first, last in zip(self._starts.tolist(), self._ends.tolist(), low.tolist(), high.tolist(),
                                           strict=True):
            if first < last:
                at = begin + np.searchsorted(self._key[begin:end], known[first:last])
                here = np.flatnonzero(self._key[at] == known[first:last])
                yield self._order[at[here]], first + here


def _known(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a part's records and their journeys; they are read from disk as they are looked at."""
    if not _has(path):
        return np.zeros(0, "u8"), np.zeros(0, "u8")
    both = np.memmap(path, "u8", "r").reshape(2, -1)
    return both[0], both[1]


def _notes(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the records of a part of which there are notes, and these, likewise."""
    if not _has(path):
        return np.zeros(0, "u8"), np.zeros(0, NOTE)
    count = os.path.getsize(path) // (NOTE.itemsize + 8)
    return np.memmap(path, "u8", "r", 0, count), np.memmap(path, NOTE, "r", 8 * count, count)


def _has(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0
