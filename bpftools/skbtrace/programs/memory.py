# SPDX-License-Identifier: Apache-2.0
"""Kernel memory, read by programs of a few instructions that run on demand, and are attached to nothing."""
import contextlib
import os
from typing import Iterator, List

from . import loader
from .bytecode import CALL, EXIT, LOAD_WORD, MOVE, instruction

_READ_KERNEL, _CURRENT_TASK, _LOOKUP = 113, 35, 1  # helpers
_MAP_OF_DESCRIPTOR = 1
_EXIT = instruction(EXIT)
_UPPER_HALF = instruction(0x77, 0, 0, 0, 32)
# four bytes at the address that is the first argument, 0 where nothing can be read
_PEEK = b"".join([
    instruction(LOAD_WORD, 3, 1), instruction(0x7A, 10, 0, -8, 0), instruction(0xBF, 1, 10),
    instruction(0x07, 1, 0, 0, -8), instruction(MOVE, 2, 0, 0, 4), instruction(CALL, value=_READ_KERNEL),
    instruction(0x61, 0, 10, -8), _EXIT])
_TASK = instruction(CALL, value=_CURRENT_TASK)
# a pointer is no number to the verifier: it goes to the stack, and what is read from there is one
_AS_NUMBER = b"".join([
    instruction(0x7B, 10, 0, -16), instruction(0x7A, 10, 0, -8, 0), instruction(0xBF, 1, 10),
    instruction(0x07, 1, 0, 0, -8), instruction(MOVE, 2, 0, 0, 8), instruction(0xBF, 3, 10),
    instruction(0x07, 3, 0, 0, -16), instruction(CALL, value=_READ_KERNEL), instruction(LOAD_WORD, 0, 10, -8)])


def _load_map(register: int, descriptor: int) -> bytes:
    return instruction(0x18, register, _MAP_OF_DESCRIPTOR, 0, descriptor) + bytes(8)


def _run(code: bytes) -> int:
    """Return the 64-bit result of a program without its exit, in two runs of 32 bits; raises OSError."""
    halves: List[int] = []
    for end in (_EXIT, _UPPER_HALF + _EXIT):
        program = loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "address", code + end)
        try:
            halves.append(loader.run_once(program, 0))
        finally:
            os.close(program)
    return halves[0] | halves[1] << 32


def address_of_map(descriptor: int) -> int:
    """Return where the kernel has a map; raises OSError."""
    return _run(_load_map(0, descriptor) + _AS_NUMBER)


def address_of_first(descriptor: int) -> int:
    """Return where the kernel has the first value of an array, for the CPU on which this runs; raises OSError."""
    return _run(b"".join([
        instruction(0x62, 10, 0, -20, 0), _load_map(1, descriptor), instruction(0xBF, 2, 10),
        instruction(0x07, 2, 0, 0, -20), instruction(CALL, value=_LOOKUP), _AS_NUMBER]))


class Memory:
    """The kernel's memory, to be read, and the address of the process's own struct task_struct."""

    def __init__(self) -> None:
        """Raises OSError where such programs cannot be run."""
        self._peek = loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "peek", _PEEK)
        self.task = _run(_TASK)

    def word(self, address: int) -> int:
        """Return eight bytes, 0 where nothing can be read."""
        return loader.run_once(self._peek, address) | loader.run_once(self._peek, address + 4) << 32

    def close(self) -> None:
        """Let go of the program."""
        os.close(self._peek)


@contextlib.contextmanager
def opened() -> Iterator[Memory]:
    """The kernel's memory while the block runs; raises OSError where it cannot be read."""
    memory = Memory()
    try:
        yield memory
    finally:
        memory.close()
