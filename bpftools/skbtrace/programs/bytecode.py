# SPDX-License-Identifier: Apache-2.0
"""Instructions of BPF, for the programs of a few of them that no compiler makes. Source: include/uapi/linux/bpf.h."""
import struct

MOVE, LOAD_WORD, CALL, EXIT = 0xB7, 0x79, 0x85, 0x95
PSEUDO_KFUNC_CALL = 2   # as the source of a call: a function of the kernel is called, by the number of its type


def instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """Return one instruction; target, source: numbers of registers."""
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)
