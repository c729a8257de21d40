# SPDX-License-Identifier: Apache-2.0
"""The end of a Parquet file, as far as it takes to join files: Thrift's compact protocol, read and written, and where
in the file each column of a row group begins.

A struct is a dictionary of field number -> (type, value), which keeps fields that are not known here as they are.
"""
from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
Struct = dict[int, tuple[int, Any]]

# numbers of fields in parquet.thrift
FILE_ROWS, FILE_GROUPS = 3, 4
GROUP_COLUMNS, GROUP_ROWS, GROUP_PLACE, GROUP_NUMBER = 1, 3, 5, 7
_COLUMN_PLACE, _COLUMN_ABOUT = 2, 3
_COLUMN_PLACES = (_COLUMN_PLACE, 4, 6)     # of the chunk, its offset index, its column index
_ABOUT_PLACES = (9, 10, 11, 14)            # of its data, index and dictionary pages, and its bloom filter


class Reader:
    """Reads one struct."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> Struct:
        """Return the struct that begins here."""
        out: Struct = {}
        number = 0
        while head := self._byte():
            kind, delta = head & 15, head >> 4
            number = number + delta if delta else self._signed()
            out[number] = (kind, kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind))
        return out

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _number(self) -> int:
        out = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            out |= (byte & 127) << shift
            if byte < 128:
                return out
            shift += 7

    def _signed(self) -> int:
        value = self._number()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count:self._at]

    def _value(self, kind: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _BINARY:
            return self._bytes(self._number())
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            return self._list()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind in (_TRUE, _FALSE, _BYTE):    # as an element of a list
            return self._byte()
        raise ValueError("a Parquet file has a field of type %d" % kind)

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        count = self._number() if count == 15 else count
        return kind, [self._value(kind) for _ in range(count)]


def written(struct: Struct) -> bytes:
    """Return a struct as bytes; a `bytes` where a struct is due stands as it is."""
    out = bytearray()
    before = 0
    for number, (kind, value) in sorted(struct.items()):
        if kind in (_TRUE, _FALSE):
            kind = _TRUE if value else _FALSE
        delta = number - before
        if 0 < delta < 16:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            out += _varint(_zigzag(number))
        before = number
        if kind not in (_TRUE, _FALSE):
            out += _written(kind, value)
    out.append(0)
    return bytes(out)


def _written(kind: int, value: Any) -> bytes:
    if kind in (_I16, _I32, _I64):
        return _varint(_zigzag(value))
    if kind == _BINARY:
        return _varint(len(value)) + value
    if kind == _STRUCT:
        return value if isinstance(value, bytes) else written(value)
    if kind in (_LIST, _SET):
        inner, values = value
        head = bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([0xF0 | inner]) + _varint(len(values))
        return head + b"".join(_written(inner, one) for one in values)
    return value if kind == _DOUBLE else bytes([value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def moved(group: Struct, by: int, number: int) -> bytes:
    """Return a row group as it stands in a file in which its bytes come `by` later, as the group of that number."""
    _move(group, (GROUP_PLACE,), by)
    for column in group[GROUP_COLUMNS][1][1]:
        _move(column, _COLUMN_PLACES, by)
        _move(column[_COLUMN_ABOUT][1], _ABOUT_PLACES, by)
    group.pop(GROUP_NUMBER, None)
    if number < 1 << 15:
        group[GROUP_NUMBER] = (_I16, number)
    return written(group)


def _move(struct: Struct, fields: tuple[int, ...], by: int) -> None:
    for field in fields:
        if field in struct and struct[field][1] > 0:
            struct[field] = (_I64, struct[field][1] + by)


def with_groups(footer: Struct, groups: list[bytes], rows: int) -> bytes:
    """Return the footer of a file of these row groups."""
    return written({**footer, FILE_ROWS: (_I64, rows), FILE_GROUPS: (_LIST, (_STRUCT, groups))})
