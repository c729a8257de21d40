# SPDX-License-Identifier: Apache-2.0
"""The layout of a record, read from the one C header that defines it."""
import os
import re
import struct
from collections import namedtuple
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from ..programs import BPF_DIR

HEADER = os.path.join(BPF_DIR, "record.h")
RING_HEADER = 8  # bytes that the ring buffer puts before each record; the perf path writes zeros there
_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "s32": "i", "u64": "Q", "char": "s"}
_MEMBER = re.compile(r"^\s+(u8|u16|u32|s32|u64|char)\s+(\w+)(?:\[(\d+)\])?;", re.MULTILINE)


class Field(NamedTuple):
    """A member of the record: count elements of a type, offset in bytes from the record's start."""

    name: str
    type: str
    count: int  # type: ignore[assignment]
    offset: int


def read_layout(path: str = HEADER) -> List[Field]:
    """Return the fields of `struct record` in order; offsets in bytes, with the padding that C inserts."""
    with open(path) as handle:
        source = handle.read()
    fields = []
    offset = 0
    for ctype, name, count in _MEMBER.findall(source):
        size = struct.calcsize(_FORMATS[ctype])
        offset += -offset % size
        fields.append(Field(name, ctype, int(count or 1), offset))
        offset += size * int(count or 1)
    return fields


FIELDS = read_layout()
_END = FIELDS[-1].offset + struct.calcsize(_FORMATS[FIELDS[-1].type]) * FIELDS[-1].count
SIZE = _END + -_END % 8
STRIDE = RING_HEADER + SIZE


def describe() -> Dict[str, Any]:
    """Return the layout as the manifest carries it, so that an old bundle stays readable."""
    return {"size": SIZE, "stride": STRIDE, "header": RING_HEADER, "byte_order": "little",
            "fields": [dict(field._asdict()) for field in FIELDS]}


def _struct_format() -> str:
    parts = ["<"]
    position = 0
    for field in FIELDS:
        parts.append("x" * (field.offset - position))
        code = _FORMATS[field.type]
        # byte arrays come out as one bytes object
        parts.append("%ds" % field.count if field.count > 1 else code)
        position = field.offset + struct.calcsize(code) * field.count
    parts.append("x" * (SIZE - position))
    return "".join(parts)


_UNPACKER = struct.Struct(_struct_format())
# a named tuple of ints, and of bytes where a field has several elements
Record: Any = namedtuple("Record", [field.name for field in FIELDS])  # type: ignore[misc]


def unpack(buffer: Any, offset: int = 0) -> Any:
    """Decode the record (without its ring header) that starts at `offset` of a bytes-like object."""
    return Record._make(_UNPACKER.unpack_from(buffer, offset))


_OFFSETS = {field.name: RING_HEADER + field.offset for field in FIELDS}


def locations(spool: bytes) -> Iterator[Tuple[int, int]]:
    """Yield (location, stack_id) of each record of a piece of a spool."""
    location = struct.Struct("<%dxQ%dx" % (_OFFSETS["location"], STRIDE - _OFFSETS["location"] - 8))
    stack = struct.Struct("<%dxi%dx" % (_OFFSETS["stack_id"], STRIDE - _OFFSETS["stack_id"] - 4))
    for (address,), (stack_id,) in zip(location.iter_unpack(spool), stack.iter_unpack(spool)):
        yield address, stack_id
