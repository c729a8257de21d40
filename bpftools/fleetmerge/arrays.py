# SPDX-License-Identifier: Apache-2.0
"""Small tools to go from many rows to few different ones and back: the expensive part of text runs once per value."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def picked(rows: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return some rows of a structured array, by numbers or by truth; as opaque bytes, where numpy would copy field by
    field, which takes ten times as long."""
    return opaque(rows)[which].view(rows.dtype)


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return structured arrays of one kind, one behind the other."""
    return np.concatenate([opaque(part) for part in parts]).view(parts[0].dtype)


def opaque(rows: np.ndarray) -> np.ndarray:
    """Return the same rows as bytes without fields."""
    return rows.view("V%d" % rows.dtype.itemsize)


def distinct(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return (code per row, the different rows as a structured array): code i stands for row i of the second."""
    dtype = np.dtype([(name, array.dtype, array.shape[1:]) for name, array in columns.items()])
    count = len(next(iter(columns.values())))
    varying = {name: array for name, array in columns.items() if count and _varies(array)}
    codes, first = numbered(_keys(varying)) if varying else (np.zeros(count, "i4"), np.arange(min(count, 1)))
    values = np.zeros(len(first), dtype)
    for name, array in columns.items():
        values[name] = array[first]
    return codes, values


def _varies(column: np.ndarray) -> bool:
    return column.dtype.kind in "SV" or bool((column != column[0]).any())    # texts are rarely all the same


def _keys(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return one value for each row of columns: a number, if they fit into one, else their bytes."""
    first = next(iter(columns.values()))
    if len(columns) == 1 and first.dtype.kind == "u" and first.ndim == 1:
        return first
    dtype = np.dtype([(name, array.dtype, array.shape[1:]) for name, array in columns.items()])
    width = max(dtype.itemsize, 8)
    rows = np.zeros((len(first), width), "u1")
    fields = rows[:, :dtype.itemsize].view(dtype)[:, 0]
    for name, array in columns.items():
        fields[name] = array
    return rows.view("u8" if width == 8 else "V%d" % width)[:, 0]


def numbered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (code per row, the first row of each code) of numbers or bytes; codes count from 0."""
    column = pa.array(keys) if keys.dtype.kind != "V" else pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(keys.dtype.itemsize), len(keys), [None, pa.py_buffer(keys)])
    codes = np.asarray(column.dictionary_encode().indices)
    first = np.zeros(int(codes.max()) + 1 if len(codes) else 0, "i8")
    first[codes[::-1]] = np.arange(len(codes))[::-1]   # the last to be written is the first in the order
    return codes, first


def by_time(keys: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the order of rows in which those with the same key are together, in the order of their times; of equal
    times, in their own. keys: 64-bit; times: ns."""
    codes, first = numbered(keys)
    if not len(codes):
        return codes
    begin, end = int(times.min()), int(times.max()) + 1
    if (end - begin) * len(first) >= 1 << 63:    # clocks that are years apart
        return np.lexsort((times, codes))
    return np.argsort(codes * np.int64(end - begin) + (times - begin), kind="stable")


def strings(values: Sequence[str | None] | pa.Array) -> pa.Array:
    """Return a string column of Python strings; surrogates (from odd bytes in names) become question marks."""
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value and value.encode("utf-8", "replace").decode() for value in values], pa.string())


def dictionary(codes: np.ndarray, values: Sequence[str | None] | pa.Array) -> pa.DictionaryArray:
    """Return a dictionary column; equal values get one entry, None becomes null."""
    entries = strings(values).dictionary_encode()
    indices = entries.indices.take(pa.array(codes, pa.int32()))
    return pa.DictionaryArray.from_arrays(indices, entries.dictionary)


def text_of(codes: np.ndarray, values: Sequence[str | None] | pa.Array) -> pa.Array:
    """Return the plain string column: values[code] for each row."""
    return strings(values).take(pa.array(codes, pa.int32()))


def per_value(columns: dict[str, np.ndarray], make: Callable[[Any], str | None]) -> tuple[np.ndarray, list[str | None]]:
    """Return (codes, texts): make() runs once for each different row."""
    codes, rows = distinct(columns)
    return codes, [make(row) for row in rows.tolist()]


def scatter(count: int, rows: np.ndarray, column: pa.Array) -> pa.Array:
    """Spread a column that belongs to some rows over all of them; null elsewhere."""
    if len(rows) == count:
        return column
    places = np.full(count, -1, "i4")
    places[rows] = np.arange(len(rows), dtype="i4")
    return column.take(pa.array(places, pa.int32(), mask=places < 0))


def spread(count: int, rows: np.ndarray, *parts: pa.Array | str) -> list[pa.Array | str]:
    """Return what to join() to have the parts, which belong to some rows, in these rows of all."""
    return list(parts) if len(rows) == count else [scatter(count, rows, join(*parts))] if len(rows) else []


def join(*parts: pa.Array | str) -> pa.Array:
    """Concatenate columns and constants row by row; nulls add nothing."""
    # what pyarrow takes for text by itself it looks at more closely, which takes longer than to join a thousand rows
    typed = [pa.scalar(part, pa.string()) if isinstance(part, str) else part for part in (*parts, "")]
    return pc.binary_join_element_wise(*typed, null_handling="skip")


def number(array: np.ndarray) -> pa.Array:
    """Return the decimal text of integers."""
    return pa.array(array).cast(pa.string())


def fixed_text(matrix: np.ndarray) -> pa.Array:
    """Return a string column from rows of ASCII bytes, all of one width."""
    count, width = matrix.shape
    offsets = np.arange(count + 1, dtype="i4") * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix)))


_HEX = np.array([b"%04x" % value for value in range(1 << 16)], "S4").view("u4")


def names(array: np.ndarray) -> pa.Array:
    """Return 64-bit numbers as 16 hexadecimal digits."""
    return fixed_text(_HEX[array.astype(">u8").view(">u2")].view("u1").reshape(-1, 16))


def hexadecimal(array: np.ndarray) -> pa.Array:
    """Return 64-bit numbers as hexadecimal text without leading zeros."""
    text = names(array)
    if len(array) and int(array.min()) >> 60 == 0:
        text = pc.utf8_ltrim(text, "0")
        text = pc.if_else(pc.equal(text, ""), "0", text)
    return text


_THREE = np.array([b"%03d" % value for value in range(1000)], "S3").view("u1").reshape(-1, 3)


def time_text(wall: np.ndarray) -> pa.Array:
    """Return wall ns as `2026-11-22T11:27:51.123456Z `, cut (not rounded) to microseconds."""
    out = np.empty((len(wall), 28), "u1")
    second, rest = np.divmod(wall, 1_000_000_000)
    different, codes = np.unique(second, return_inverse=True)
    prefix = np.datetime_as_string(different.astype("datetime64[s]"))
    prefix_bytes = np.char.add(prefix, ".").astype("S20").view("u1").reshape(-1, 20)
    out[:, :20] = prefix_bytes[codes]
    milli, micro = np.divmod(rest.astype("u4") // 1000, 1000)
    out[:, 20:23], out[:, 23:26] = _THREE[milli], _THREE[micro]
    out[:, 26], out[:, 27] = ord("Z"), ord(" ")
    return fixed_text(out)
