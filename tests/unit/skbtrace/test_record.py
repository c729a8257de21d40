# SPDX-License-Identifier: Apache-2.0
"""The layout that Python reads from record.h is the one that a C compiler makes of it; recipes reach their program."""
import ctypes
import struct

import pytest
from support.bundles import stride_dtype

from skbtrace.capture import record
from skbtrace.programs import hooks, points, recipe

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


def hook(arguments: dict, indirect: bool | None = False, **options: object) -> hooks.Hook:
    """A raw tracepoint."""
    return hooks.Hook(hooks.RAW_TRACEPOINT, "any", "", options.pop("btf_id", 0), arguments, indirect, **options)


def bits(made: int, name: str, width: int = 1) -> int:
    """What a recipe says of one thing, where recipe.h has its place."""
    return made >> recipe._shifts()[name] & (1 << width) - 1


def test_recipes_say_what_the_table_says() -> None:
    drop, rx, again = (points.BY_NAME[name] for name in ("skb.drop", "dev.rx", "tcp.retransmit"))
    made = recipe.encode(9, drop, hook({"skb": 0, "location": 1, "reason": 2, "sock": 3}))
    arguments = [bits(made, name, 4) for name in ("skb", "location", "reason", "device", "queue", "sock", "count")]
    assert (bits(made, "point", 10), arguments) == (9, [0, 1, 2, 15, 15, 3, 15])
    assert [bits(made, name) for name in ("pulled", "stack", "made_up", "ip", "walk", "kprobe")] == [0, 1, 0, 0, 0, 0]
    assert bits(recipe.encode(0, rx, hook({"skb": 0})), "pulled") == 1
    assert bits(recipe.encode(0, again, hook({"skb": 1})), "made_up") == 1


@pytest.mark.parametrize(("indirect", "btf_id", "wanted"), [
    (True, 7, (1, 0, 0)), (None, 7, (0, 1, 0)), (False, 7, (0, 0, 1)), (False, 0, (0, 0, 0))])
def test_behind_a_pointer_an_skb_has_no_type(indirect: bool | None, btf_id: int, wanted: tuple) -> None:
    made = recipe.encode(0, points.BY_NAME["dev.rx"], hook({"skb": 0}, indirect, btf_id=btf_id))
    assert tuple(bits(made, name) for name in ("indirect", "unsure", "typed")) == wanted


def test_no_two_things_share_bits_of_a_recipe() -> None:
    widths = dict.fromkeys(("skb", "location", "reason", "device", "queue", "actions", "sock", "count"), 4)
    widths.update(point=10, queue_kind=4)
    taken = [range(shift, shift + widths.get(name, 1)) for name, shift in recipe._shifts().items()]
    places = [place for one in taken for place in one]
    assert len(places) == len(set(places))
    assert max(places) < 64
