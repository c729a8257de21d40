# SPDX-License-Identifier: Apache-2.0
"""Which packets the tracers take of a sample, by the very C that the kernel runs, compiled for user space."""
import ctypes
import functools
import pathlib
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from expressions import machine

_FRONT = """
#define SAMPLE_BELOW below
#define SAMPLE_SALT salt
static unsigned long long below, salt;
"""
_BACK = """
/* gso_sizes: of each packet, 0: it is one */
void take_all(u32 one_in, u64 with_salt, const struct given *given, const u16 *gso_sizes, u32 count, u8 *taken)
{
    below = (1ull << 32) / one_in;
    salt = with_salt;
    for (u32 i = 0; i < count; i++) {
        u64 recipe = (u64)(given[i].pulled || !given[i].has_mac) << RECIPE_PULLED_SHIFT;
        int level = NO_SCRATCH;
        struct sk_buff skb;
        struct look look;

        make_skb(given + i, &skb);
        ((struct skb_shared_info *)(skb.head + skb.end))->gso_size = gso_sizes[i];
        read_first(&look.first, (u64)&skb, 0);
        find_bytes(&look, recipe, (u64)&skb, &level);
        judge_bytes(&look.packet, find_headers(&look, recipe));
        taken[i] = is_taken(&look, 0, recipe, (u64)&skb);
        if (level != NO_SCRATCH)
            give_back(scratches.lookup(&level));
    }
}
"""


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as directory:
        text, binary = pathlib.Path(directory, "sample.c"), pathlib.Path(directory, "sample.so")
        text.write_text(_FRONT + machine.source([]) + _BACK)
        subprocess.run(["gcc", "-O1", "-w", "-shared", "-fPIC", "-o", binary, text], check=True)
        return ctypes.CDLL(str(binary))


def takes(frames: Sequence[bytes], *, one_in: int, salt: int, linear: int | None = None,
          gso_sizes: Sequence[int] | None = None) -> np.ndarray:
    """Return which frames are taken. linear: bytes in the linear part; gso_sizes: 0: it is one packet."""
    given = (machine.Given * len(frames))(*[
        machine.Given(frame, len(frame), min(linear or len(frame), len(frame)), 0, 0, 1, 0) for frame in frames])
    sizes = np.array(gso_sizes if gso_sizes is not None else np.zeros(len(frames)), "u2")
    taken = np.zeros(len(frames), "u1")
    _library().take_all(one_in, ctypes.c_uint64(salt), given, sizes.ctypes.data_as(ctypes.c_void_p), len(frames),
                        taken.ctypes.data_as(ctypes.c_void_p))
    return taken > 0


def thin(bundle: Any, one_in: int, salt: int = 1) -> None:
    """Leave of a support.bundles.Bundle what a tracer would have recorded that takes one packet in N and every drop."""
    frames = [bytes(event["packet"][:event["packet_len"]]) for event in bundle.events]
    taken = takes(frames, one_in=one_in, salt=salt, gso_sizes=[event.get("gso_size", 0) for event in bundle.events])
    drop = [bundle.points[event["point"]] == "skb.drop" for event in bundle.events]
    matched = len(bundle.events)
    bundle.events = [event for event, one in zip(bundle.events, taken | np.array(drop, bool), strict=True) if one]
    bundle.manifest["counters"].update(matched=matched, sampled_out=matched - len(bundle.events))
    bundle.manifest["sample"] = {"one_in": one_in, "drops": 0, "salt": salt}


