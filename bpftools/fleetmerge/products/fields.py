# SPDX-License-Identifier: Apache-2.0
"""The fields that were asked for by name, as columns of events.parquet and as words of timeline.log."""
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import hexadecimal, join, number
from ..bundle.fields import POINTER, SIGNED, Field, Values, all_fields, values_of
from ..bundle.labels import Labels
from .batch import Batch


def columns(batch: Batch, labels: Sequence[Labels]) -> dict[str, pa.Array]:
    """Return a column for each field, named as it was asked for; null where a packet had it not."""
    return {one.name: pa.array(_numbers(one, values), mask=~values.known) for one, values in _each(batch, labels)}


def words(batch: Batch, labels: Sequence[Labels]) -> list[pa.Array | str]:
    """Return the words as the live text has them: sk_buff.mark=42, or sk_buff.mark=- for what was not there."""
    parts: list[pa.Array | str] = []
    for one, values in _each(batch, labels):
        text = join("0x", hexadecimal(values.number)) if one.kind == POINTER else number(_numbers(one, values))
        value = pc.if_else(pa.array(values.known), text, "-")
        parts.append(pc.if_else(pa.array(values.asked), join(" %s=" % one.name, value), ""))
    return parts


def _each(batch: Batch, labels: Sequence[Labels]) -> Iterator[tuple[Field, Values]]:
    fields = [names.fields for names in labels]
    for one in all_fields(fields):
        yield one, values_of(one.name, batch.slots, batch.bundle, fields)


def _numbers(one: Field, values: Values) -> np.ndarray:
    return values.number.view("i8") if one.kind == SIGNED else values.number
