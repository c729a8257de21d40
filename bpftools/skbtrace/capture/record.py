# SPDX-License-Identifier: Apache-2.0
"""The layout of a record, read from the one C header that defines it."""
import os
import re
import struct
from collections import namedtuple
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from ..programs import BPF_DIR, fields

HEADER = os.path.join(BPF_DIR, "record.h")
RING_HEADER = 8  # bytes that the ring buffer puts before each record; the perf path writes zeros there
_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "s32": "i", "u64": "Q", "char": "s"}
_MEMBER = re.compile(r"^\s+(u8|u16|u32|s32|u64|char)\s+(\w+)(?:\[(\w+)\])?;", re.MULTILINE)


class Field(NamedTuple):
    """A member of the record: count elements of a type, offset in bytes from the record's start."""

    name: str
    type: str
    count: int  # type: ignore[assignment]
    offset: int


def read_fields(slots: int, path: str = HEADER) -> List[Field]:
    """Return the fields of `struct record` in order; offsets in bytes, with the padding that C inserts.

    slots: numbers in the array of fields that were asked for by name; without any the record does not have it.
    """
    with open(path) as handle:
        source = handle.read()
    found = []
    offset = 0
    for ctype, name, count in _MEMBER.findall(source):
        number = slots if count == "FIELD_SLOTS" else int(count or 1)
        if number:
            size = struct.calcsize(_FORMATS[ctype])
            offset += -offset % size
            found.append(Field(name, ctype, number, offset))
            offset += size * number
    return found


class Layout:
    """A record with so many fields that were asked for by name; size and stride in bytes."""

    def __init__(self, asked_for: int = 0) -> None:
        self.fields = read_fields(fields.slots(asked_for))
        end = self.fields[-1].offset + struct.calcsize(_FORMATS[self.fields[-1].type]) * self.fields[-1].count
        self.size = end + -end % 8
        self.stride = RING_HEADER + self.size
        # a named tuple of ints, and of bytes where a field has several elements
        self.record: Any = namedtuple("Record", [field.name for field in self.fields])  # type: ignore[misc]
        self._unpacker = struct.Struct(self._struct_format())

    def describe(self) -> Dict[str, Any]:
        """Return the layout as the manifest carries it, so that an old bundle stays readable."""
        return {"size": self.size, "stride": self.stride, "header": RING_HEADER, "byte_order": "little",
                "fields": [dict(field._asdict()) for field in self.fields]}

    def _struct_format(self) -> str:
        parts = ["<"]
        position = 0
        for field in self.fields:
            parts.append("x" * (field.offset - position))
            code = _FORMATS[field.type]
            size = struct.calcsize(code) * field.count
            parts.append("%ds" % size if field.count > 1 else code)  # arrays come out as one bytes object
            position = field.offset + size
        parts.append("x" * (self.size - position))
        return "".join(parts)

    def unpack(self, buffer: Any, offset: int = 0) -> Any:
        """Decode the record (without its ring header) that starts at `offset` of a bytes-like object."""
        return self.record._make(self._unpacker.unpack_from(buffer, offset))

    def locations(self, spool: bytes) -> Iterator[Tuple[int, int]]:
        """Yield (location, stack_id) of each record of a piece of a spool."""
        for (address,), (stack_id,) in zip(self._each("location", "Q", spool), self._each("stack_id", "i", spool)):
            yield address, stack_id

    def points(self, spool: bytes) -> Iterator[int]:
        """Yield the number of each record's point."""
        return (number for (number,) in self._each("point", "H", spool))

    def places(self, spool: bytes) -> Iterator[Tuple[int, int, int]]:
        """Yield the numbers of each record's point and device, and the address of its skb."""
        for point, (device,), (skb,) in zip(self.points(spool), self._each("ifindex", "I", spool),
                                            self._each("skb", "Q", spool)):
            yield point, device, skb

    def _each(self, name: str, code: str, spool: bytes) -> Iterator[Any]:
        before = RING_HEADER + next(field.offset for field in self.fields if field.name == name)
        after = self.stride - before - struct.calcsize(code)
        return struct.Struct("<%dx%s%dx" % (before, code, after)).iter_unpack(spool)


# what a record is as long as nothing more is asked for
PLAIN = Layout()
FIELDS, SIZE, STRIDE = PLAIN.fields, PLAIN.size, PLAIN.stride
Record, unpack, describe, locations = PLAIN.record, PLAIN.unpack, PLAIN.describe, PLAIN.locations
