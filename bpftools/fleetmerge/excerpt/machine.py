# SPDX-License-Identifier: Apache-2.0
"""Classic BPF on many packets at once: an instruction runs for all packets that have come to it. Jumps lead forward
only, so that one pass over the program is enough."""
from collections.abc import Callable

import numpy as np

from skbtrace.programs.classic import Instruction, Program

from .frames import Frames

NO_MATCH, MATCH, UNPARSED, UNDECIDED = range(4)   # as in bpf/filter.h
_LOAD, _LOAD_X, _STORE, _STORE_X, _ALU, _JUMP, _RETURN, _MISC = range(8)
_IMMEDIATE, _ABSOLUTE, _INDEXED, _MEMORY, _LENGTH, _HEADER = range(0x00, 0xC0, 0x20)
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_USES_X = 0x08
_ALWAYS, _IF_SET, _NEGATE = 0x00, 0x40, 0x80
_SHIFTS = (0x60, 0x70)
_DIVISIONS = (0x30, 0x90)
_ARITHMETIC: dict[int, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    0x00: np.add, 0x10: np.subtract, 0x20: np.multiply, 0x30: np.floor_divide, 0x40: np.bitwise_or,
    0x50: np.bitwise_and, 0x60: np.left_shift, 0x70: np.right_shift, 0x90: np.mod, 0xA0: np.bitwise_xor}
_COMPARISONS: dict[int, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    0x10: np.equal, 0x20: np.greater, 0x30: np.greater_equal, _IF_SET: np.bitwise_and}
_LATER_FRAGMENT = 0x1FFF


def judge(program: Program, frames: Frames) -> np.ndarray:
    """Return what a checked program says of each frame (u1): MATCH, NO_MATCH, UNPARSED where it asks for bytes that
    were not recorded, UNDECIDED where it asks for ports of a fragment but the first."""
    return _Machine(program, frames).run()


class _Machine:
    """Registers and memory, one of each for every frame."""

    def __init__(self, program: Program, frames: Frames) -> None:
        self._program, self._frames = program, frames
        count = len(frames)
        self._a, self._x = np.zeros(count, "u4"), np.zeros(count, "u4")
        self._m: dict[int, np.ndarray] = {}
        self._later = np.zeros(count, bool)
        self._verdict = np.full(count, NO_MATCH, "u1")
        self._waiting: dict[int, list[np.ndarray]] = {0: [np.flatnonzero(frames.exist)]}

    def run(self) -> np.ndarray:
        """Run the program for all frames; return the verdicts."""
        does = {_LOAD: self._load, _LOAD_X: self._load_x, _STORE: self._store, _STORE_X: self._store, _ALU: self._alu,
                _JUMP: self._jump, _RETURN: self._return, _MISC: self._misc}
        for place, one in enumerate(self._program):
            rows = np.concatenate(self._waiting.pop(place, [np.zeros(0, "i8")]))
            if len(rows):
                rows = does[one.code & 7](one, rows, place)
                self._go(place + 1, rows)
        return self._verdict

    def _go(self, place: int, rows: np.ndarray) -> None:
        if len(rows):
            self._waiting.setdefault(place, []).append(rows)

    def _words(self, number: int) -> np.ndarray:
        return self._m.setdefault(number, np.zeros(len(self._a), "u4"))

    def _read(self, into: np.ndarray, rows: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
        """Load bytes into a register; return the frames that have them. A load behind the frame's end is "no"."""
        value, known, beyond = self._frames.load(rows, at, size)
        self._verdict[rows[~known]] = np.where(beyond[~known], NO_MATCH, UNPARSED)
        into[rows[known]] = value[known]
        return rows[known]

    def _load(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        mode = one.code & 0xE0
        if mode == _IMMEDIATE:
            self._a[rows] = one.number
        elif mode == _MEMORY:
            self._a[rows] = self._words(one.number)[rows]
        elif mode in (_ABSOLUTE, _INDEXED):
            at = np.full(len(rows), one.number, "u4")
            return self._read(self._a, rows, at + self._x[rows] if mode == _INDEXED else at, _SIZES[one.code & 0x18])
        return rows

    def _load_x(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        mode = one.code & 0xE0
        if mode == _IMMEDIATE:
            self._x[rows] = one.number
        elif mode == _MEMORY:
            self._x[rows] = self._words(one.number)[rows]
        elif mode == _HEADER:
            rows = self._read(self._x, rows, np.full(len(rows), one.number, "u4"), 1)
            self._x[rows] = (self._x[rows] & 0x0F) * 4
        return rows

    def _store(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        self._words(one.number)[rows] = (self._a if one.code & 7 == _STORE else self._x)[rows]
        return rows

    def _alu(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        operation = one.code & 0xF0
        if operation == _NEGATE:
            self._a[rows] = np.uint32(0) - self._a[rows]
            return rows
        if operation in _DIVISIONS and one.code & _USES_X:
            rows = rows[self._x[rows] > 0]    # what divides by 0 does not fit
        by, value = self._operand(one, rows), self._a[rows]
        if operation in _SHIFTS:
            self._a[rows] = np.where(by < 32, _ARITHMETIC[operation](value, by & 31), 0)
        else:
            self._a[rows] = _ARITHMETIC[operation](value, by)
        return rows

    def _operand(self, one: Instruction, rows: np.ndarray) -> np.ndarray:
        return self._x[rows] if one.code & _USES_X else np.full(len(rows), one.number, "u4")

    def _jump(self, one: Instruction, rows: np.ndarray, place: int) -> np.ndarray:
        kind = one.code & 0xF0
        if kind == _ALWAYS:
            self._go(place + 1 + one.number, rows)
            return rows[:0]
        true = _COMPARISONS[kind](self._a[rows], self._operand(one, rows)) > 0
        if one.code == _JUMP | _IF_SET and one.number == _LATER_FRAGMENT:
            # libpcap looks for ports in a datagram's first fragment only: what it says of a later one is a guess
            self._later[rows[true]] = True
        self._go(place + 1 + one.if_true, rows[true])
        self._go(place + 1 + one.if_false, rows[~true])
        return rows[:0]

    def _return(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        source = one.code & 0x18
        answer = self._a[rows] if source == 0x10 else self._x[rows] if source == 0x08 else np.full(
            len(rows), one.number, "u4")
        self._verdict[rows] = np.where(answer > 0, MATCH, np.where(self._later[rows], UNDECIDED, NO_MATCH))
        return rows[:0]

    def _misc(self, one: Instruction, rows: np.ndarray, _place: int) -> np.ndarray:
        if one.code & 0x80:
            self._a[rows] = self._x[rows]
        else:
            self._x[rows] = self._a[rows]
        return rows
