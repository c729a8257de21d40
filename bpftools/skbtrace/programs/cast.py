# SPDX-License-Identifier: Apache-2.0
"""Casts: how a program reads an address by plain loads, on kernels from 6.2 on (bpf/cast.h says why).

The kernel's functions that a program may call are called by the number of their type, which no compiler of bcc's knows.
Source: Documentation/bpf/kfuncs.rst of the kernel.
"""
import os
from typing import Dict, Optional

from ..kernel import btf
from . import loader
from .bytecode import CALL, LOAD_WORD, MOVE, PSEUDO_KFUNC_CALL, instruction

FUNCTION = "bpf_rdonly_cast"
_TYPES = ("sk_buff", "net_device", "net")
_WORDS = "pt_regs"     # a struct that begins with words of eight bytes and nothing else: for bytes that are no struct
_MARK = 0x0CA57CA5     # no helper has this number


def constants(types: Optional[btf.Btf]) -> Dict[str, int]:
    """Return the constants for bpf/cast.h; empty where the kernel has no casts, or its JIT compiler none."""
    if types is None:
        return {}
    numbers = {"CAST_" + name: types.struct_id(name) for name in _TYPES}
    found = dict(numbers, CAST_WORDS=types.struct_id(_WORDS), HAVE_CAST=types.function_id(FUNCTION) or 0,
                 CAST_MARK=_MARK)
    return found if all(found.values()) and _works(found) else {}


def _works(found: Dict[str, int]) -> bool:
    """Whether the kernel takes a program that casts: r1 = 0; r2 = words; r0 = cast(); r0 = *(u64 *)(r0 + 40)."""
    code = b"".join([instruction(MOVE, 1, value=0), instruction(MOVE, 2, value=found["CAST_WORDS"]),
                     instruction(CALL, value=_MARK), instruction(LOAD_WORD, 0, 0, 40), loader.EMPTY])
    try:
        os.close(loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "trial", apply(code, found)))
    except OSError:
        return False
    return True


def apply(bytecode: bytes, found: Dict[str, int]) -> bytes:
    """Return the program with the kernel's function called wherever the mark is; found: the constants, or none."""
    if not found:
        return bytecode
    mark = instruction(CALL, value=_MARK)
    call = instruction(CALL, source=PSEUDO_KFUNC_CALL, value=found["HAVE_CAST"])
    return b"".join(call if bytecode[at:at + 8] == mark else bytecode[at:at + 8] for at in range(0, len(bytecode), 8))
