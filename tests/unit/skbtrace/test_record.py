# SPDX-License-Identifier: Apache-2.0
"""The layout that Python reads from record.h is the one that a C compiler makes of it; recipes reach their program."""
import ctypes
import struct

import pytest
from support.bundles import stride_dtype

from skbtrace import points, recipe, record

C_TYPES = {"u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "s32": ctypes.c_int32,
           "u64": ctypes.c_uint64, "char": ctypes.c_char}


def test_offsets_are_those_of_c() -> None:
    members = [(field.name, C_TYPES[field.type] * field.count if field.count > 1 else C_TYPES[field.type])
               for field in record.FIELDS]
    layout = type("Layout", (ctypes.Structure,), {"_fields_": members})
    assert ctypes.sizeof(layout) == record.SIZE
    assert [field.offset for field in record.FIELDS] == [getattr(layout, name).offset for name, _kind in members]


def test_unpack_returns_what_was_put_in() -> None:
    import numpy
    written = numpy.zeros(2, stride_dtype())
    written[1]["time_ns"], written[1]["stack_id"], written[1]["comm"] = 1 << 63, -1, b"vhost-1"
    written[1]["location"], written[1]["packet_len"] = 0xFFFFFFFF81000000, 3
    data = written.tobytes()
    read = record.unpack(data, record.STRIDE + record.RING_HEADER)
    assert (read.time_ns, read.stack_id, read.comm.rstrip(b"\0"), read.packet_len) == (1 << 63, -1, b"vhost-1", 3)
    assert list(record.locations(data)) == [(0, 0), (0xFFFFFFFF81000000, -1)]


def program(*immediates: int) -> bytes:
    """A program that loads each immediate and ends."""
    code = b"".join(struct.pack("<BBhIBBhI", 0x18, 1, 0, value & 0xFFFFFFFF, 0, 0, 0, value >> 32)
                    for value in immediates)
    return code + struct.pack("<BBhi", 0x95, 0, 0, 0)


def test_a_recipe_takes_the_placeholder_s_place() -> None:
    other = 0x1234
    assert recipe.apply(program(other, recipe.PLACEHOLDER), 0xABCDEF0123) == program(other, 0xABCDEF0123)


@pytest.mark.parametrize("immediates", [(), (1,), (recipe.PLACEHOLDER, recipe.PLACEHOLDER)])
def test_a_program_without_one_place_for_a_recipe_is_refused(immediates: tuple) -> None:
    with pytest.raises(ValueError, match="places for a recipe, not one"):
        recipe.apply(program(*immediates), 1)


def test_recipes_say_what_the_table_says() -> None:
    drop, rx = points.BY_NAME["skb.drop"], points.BY_NAME["dev.rx"]
    arguments = {"skb": 0, "location": 1, "reason": 2}
    made = recipe.encode(9, drop, arguments, False, False)
    assert (made & 1023, made >> 10 & 15, made >> 14 & 15, made >> 18 & 15, made >> 22 & 15) == (9, 0, 1, 2, 15)
    assert recipe.encode(0, rx, {"skb": 0}, True, True) >> 35 & 3 == 1  # behind a pointer it has no type
    assert recipe.encode(0, rx, {"skb": 0}, False, True) >> 35 & 3 == 2
    assert (made >> 33 & 1, made >> 34 & 1) == (0, 1)  # not pulled, with stack
    assert recipe.encode(0, rx, {"skb": 0}, False, False) >> 33 & 1 == 1
