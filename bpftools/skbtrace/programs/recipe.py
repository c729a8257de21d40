# SPDX-License-Identifier: Apache-2.0
"""A point's recipe: the one 64-bit immediate by which its copy of a program differs from the others'."""
import os
import re
import struct
from typing import Dict

from . import BPF_DIR, hooks, points

PLACEHOLDER = 0x5B7ACE0F5EEDBEEF  # stands in the compiled program where the recipe goes
_SOURCE = os.path.join(BPF_DIR, "recipe.h")
_LD_IMM64 = 0x18
NO_ARGUMENT = 15
QUEUE_KINDS = {"": 0, "qdisc": 1, "socket": 2}


def _shifts() -> Dict[str, int]:
    with open(_SOURCE) as handle:
        found = re.findall(r"^#define RECIPE_(\w+)_SHIFT (\d+)", handle.read(), re.MULTILINE)
    return {name.lower(): int(shift) for name, shift in found}


def encode(number: int, point: points.Point, hook: hooks.Hook, only_followed: bool = False) -> int:
    """Return the recipe of a point that is reached by this hook; only_followed: what matches is not recorded there."""
    shift = _shifts()
    recipe = number << shift["point"] | QUEUE_KINDS[point.queue_kind] << shift["queue_kind"]
    for name in ("skb", "location", "reason", "device", "queue", "actions", "sock", "count"):
        recipe |= hook.arguments.get(name, NO_ARGUMENT) << shift[name]
    for name, flag in (("pulled", point.pulled), ("stack", point.stack), ("ip", point.ip),
                       ("made_up", point.made_up), ("indirect", hook.indirect), ("unsure", hook.indirect is None),
                       ("end", point.name in points.ENDS), ("only_followed", only_followed),
                       ("walk", hook.walk), ("kprobe", hook.kind == hooks.KPROBE),
                       ("typed", hook.btf_id and hook.indirect is False)):
        recipe |= int(bool(flag)) << shift[name]
    return recipe


def apply(bytecode: bytes, recipe: int) -> bytes:
    """Return the program with the recipe in place of the placeholder; raises ValueError if there is not just one."""
    instructions = bytearray(bytecode)
    low, high = PLACEHOLDER & 0xFFFFFFFF, PLACEHOLDER >> 32
    found = 0
    for offset in range(0, len(instructions) - 8, 8):
        if instructions[offset] != _LD_IMM64:
            continue
        if struct.unpack_from("<I", instructions, offset + 4)[0] == low and \
                struct.unpack_from("<I", instructions, offset + 12)[0] == high:
            struct.pack_into("<I", instructions, offset + 4, recipe & 0xFFFFFFFF)
            struct.pack_into("<I", instructions, offset + 12, recipe >> 32)
            found += 1
    if found != 1:
        raise ValueError("the compiled program has %d places for a recipe, not one" % found)
    return bytes(instructions)
