# SPDX-License-Identifier: Apache-2.0
"""Comments on packets in capture.pcapng: why one was dropped and where, what was changed on the way, that it was sent
again; and in each of these where it was before, and how long ago."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import join, number, per_value, scatter, text_of
from ..bundle.labels import DROP_POINTS, Labels
from ..journey.notes import FIELDS
from .batch import Batch
from .pcapng import COMMENT

_US = 1000                    # ns
_PADDING = [bytes(-length % 4) for length in range(4)]


def remarks(batch: Batch, labels: Sequence[Labels], noted: np.ndarray, notes: np.ndarray,
            places: Sequence[str]) -> pa.Array:
    """Return the option of a block that comments its packet, null where there is nothing to say.

    noted: records of the batch of which there are notes, and these (notes.NOTE); places: their names, by number.
    """
    rows, drops = _drops(batch, labels)
    said = [scatter(len(batch), rows, drops)] if len(rows) else []
    if len(notes):
        said += [scatter(len(batch), noted, text) for text in (_again(notes), _changes(notes), _step(notes, places))]
    some = np.union1d(rows, noted)
    if not len(some):
        return pa.nulls(len(batch), pa.binary())
    text = pc.binary_join_element_wise(*(one.take(pa.array(some)) for one in said), ", ", null_handling="skip")
    return scatter(len(batch), some, _option(text))


def _option(text: pa.Array) -> pa.Array:
    """Return texts as options."""
    length = np.asarray(pc.binary_length(text))
    head = np.zeros(len(text), [("code", "<u2"), ("length", "<u2")])
    head["code"], head["length"] = COMMENT, length
    offsets = np.arange(len(text) + 1, dtype="i4") * head.itemsize
    heads = pa.BinaryArray.from_buffers(pa.binary(), len(text), [None, pa.py_buffer(offsets), pa.py_buffer(head)])
    padding = pa.array(_PADDING, pa.binary()).take(pa.array(length % 4))
    return pc.binary_join_element_wise(heads, text.cast(pa.binary()), padding, b"")


def _drops(batch: Batch, labels: Sequence[Labels]) -> tuple[np.ndarray, pa.Array]:
    """Return (records of drops, why and where)."""
    codes, drop = per_value({"bundle": batch.bundle, "point": batch.column("point")},
                            lambda row: "1" if labels[row[0]].point(row[1]) in DROP_POINTS else None)
    rows = np.flatnonzero(np.array([one is not None for one in drop], bool)[codes])

    def make(row: Any) -> str:
        names, reason, location = labels[row[0]], row[1], row[2]
        return "dropped" + (": %s" % names.reason(reason) if reason else "") + (
            " in %s" % names.symbol(location) if location else "")
    return rows, text_of(*per_value({"bundle": batch.bundle[rows], "reason": batch.column("reason")[rows],
                                     "location": batch.column("location")[rows]}, make))


def _again(notes: np.ndarray) -> pa.Array:
    return text_of(*per_value({"again": notes["again"]}, lambda row: None if not row[0] else (
        "sent again: the same bytes were sent %d times before" % row[0] if row[0] > 1 else
        "sent again: the same bytes were sent before")))


def _changes(notes: np.ndarray) -> pa.Array:
    def make(row: Any) -> str | None:
        renamed, old, new = row
        changes = ["addresses or ports"] if renamed else []
        changes += ["%s %s to %s" % (name, *("none" if name == "vlan" and value < 0 else value for value in pair))
                    for name, *pair in zip(FIELDS, old, new, strict=True) if pair[0] != pair[1]]
        return "changed: " + ", ".join(changes) if changes else None
    return text_of(*per_value({name: notes[name] for name in ("renamed", "old", "new")}, make))


def _step(notes: np.ndarray, places: Sequence[str]) -> pa.Array:
    """Return how long ago a packet was where it was before; null where that is not known."""
    known = np.flatnonzero(notes["before"] >= 0)
    since, bound = notes["since"][known], notes["bound"][known]
    compared = np.isfinite(bound)
    told = np.flatnonzero(compared & (bound > 0))
    codes, where = per_value({"before": notes["before"][known]}, lambda row: places[row[0]])
    text = join(text_of((since < 0).astype("i4"), ["", "-"]), _microseconds(np.abs(since)),
                scatter(len(known), told, join(" ± ", _microseconds(bound[told].astype("i8")))),
                text_of(compared.astype("i4"), [" µs, by clocks that were not compared, after ", " µs after "]),
                text_of(codes, where))
    return scatter(len(notes), known, text)


def _microseconds(value: np.ndarray) -> pa.Array:
    whole, rest = np.divmod(value, _US)
    return join(number(whole), ".", pc.utf8_lpad(number(rest), 3, "0"))
