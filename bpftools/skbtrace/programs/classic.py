# SPDX-License-Identifier: Apache-2.0
"""Classic BPF, which libpcap compiles expressions to: read as data, checked, and made into the C of the tracers.

The machine is that of "The BSD Packet Filter" (McCanne and Jacobson, 1993), as libpcap's bpf_filter.c runs it.
"""
import re
from typing import List, NamedTuple, Set, Tuple

MOST_INSTRUCTIONS = 512
_WORDS = 16               # of the machine's memory
_EXTENSIONS = 0xFFFFF000  # offsets from here on are no bytes: Linux answers them with what it knows of the packet
_LATER_FRAGMENT = 0x1FFF  # mask of the fragment's offset in IPv4's header
_TEXT = re.compile(r"(\d{1,5}) (\d{1,3}) (\d{1,3}) (\d{1,10})\Z", re.ASCII)

_LOAD, _LOAD_X, _STORE, _STORE_X, _ALU, _JUMP, _RETURN, _MISC = range(8)
_IMMEDIATE, _ABSOLUTE, _INDEXED, _MEMORY, _LENGTH, _HEADER = range(0x00, 0xC0, 0x20)
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_USES_X = 0x08
_OPERATORS = {0x00: "+", 0x10: "-", 0x20: "*", 0x30: "/", 0x40: "|", 0x50: "&", 0x60: "<<", 0x70: ">>", 0x90: "%",
              0xA0: "^"}
_NEGATE = 0x80
_ALWAYS, _IF_SET = 0x00, 0x40
_COMPARISONS = {0x10: "==", 0x20: ">", 0x30: ">=", _IF_SET: "&"}


class ProgramError(ValueError):
    """The program cannot be had; the message says why, to stand behind a colon."""


class Instruction(NamedTuple):
    """One instruction: code, how many to skip if true and if false, and its number."""

    code: int
    if_true: int
    if_false: int
    number: int


Program = Tuple[Instruction, ...]


def parse(text: str) -> Program:
    """Return the checked program of "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0", as `tcpdump -ddd` prints it, line by line.

    Raises ProgramError.
    """
    count, *lines = text.split(",", MOST_INSTRUCTIONS + 1)
    found = [_TEXT.match(line) for line in lines]
    if not found or not all(found) or count != str(len(found)):
        raise ProgramError("it must be the number of instructions and each instruction's four numbers, divided by "
                           "commas, and at most %d" % MOST_INSTRUCTIONS)
    program = tuple(Instruction(*map(int, line.groups())) for line in found if line)
    check(program)
    return program


def text_of(program: Program) -> str:
    """Return what `parse` takes."""
    return ",".join([str(len(program))] + ["%d %d %d %d" % one for one in program])


def check(program: Program) -> None:
    """Raise ProgramError if it is no program, or one that cannot be had here."""
    if not 0 < len(program) <= MOST_INSTRUCTIONS:
        raise ProgramError("it has %d instructions, and at most %d are taken" % (len(program), MOST_INSTRUCTIONS))
    for place, one in enumerate(program):
        if one.if_true > 0xFF or one.if_false > 0xFF or one.number > 0xFFFFFFFF or not _statement(one):
            raise ProgramError("instruction %d is none of classic BPF" % place)
        _refuse(one)
        _check_targets(program, place)
    if program[-1].code & 7 != _RETURN:
        raise ProgramError("it does not end with a return")
    _check_memory(program)


def _refuse(one: Instruction) -> None:
    """Raise ProgramError for what is an instruction, and would not mean the same at every place of a packet's way."""
    kind, mode = one.code & 7, one.code & 0xE0
    if kind in (_LOAD, _LOAD_X) and mode == _LENGTH:
        raise ProgramError("it asks for the packet's length, and the kernel joins and cuts packets on their way (GSO, "
                           "GRO), so that one packet would fit here and not there")
    if kind == _LOAD and mode in (_ABSOLUTE, _INDEXED) and one.number >= _EXTENSIONS:
        raise ProgramError("it asks for what is no byte of the packet (inbound, outbound, ifindex and the like), and "
                           "means something else at each device")
    if kind == _ALU and not one.code & _USES_X:
        if one.code & 0xF0 in (0x30, 0x90) and not one.number:
            raise ProgramError("it divides by 0")
        if one.code & 0xF0 in (0x60, 0x70) and one.number > 31:
            raise ProgramError("it shifts by more than 31 bits")


def _check_targets(program: Program, place: int) -> None:
    for target in _targets(program[place], place):
        if target >= len(program):
            raise ProgramError("it has a loop, as protochain needs one, and BPF programs of the kernel have none"
                               if _is_back(program[place]) else "instruction %d jumps behind the end" % place)


def _is_back(one: Instruction) -> bool:
    return one.code & 0xF0 == _ALWAYS and one.number > 0x7FFFFFFF


def _targets(one: Instruction, place: int) -> List[int]:
    """Return where an instruction jumps to."""
    if one.code & 7 != _JUMP:
        return []
    if one.code & 0xF0 == _ALWAYS:
        return [place + 1 + one.number]
    return [place + 1 + one.if_true, place + 1 + one.if_false]


def _check_memory(program: Program) -> None:
    """Raise ProgramError if a word of memory may be read that was not written, where libpcap's own answer is chance.

    Jumps lead forward only, so that one pass sees all ways that lead to an instruction.
    """
    everything = (1 << _WORDS) - 1
    written = 0
    known = [everything] * len(program)  # what is written on every way to an instruction
    for place, one in enumerate(program):
        written &= known[place]
        kind, bit = one.code & 7, 1 << (one.number & _WORDS - 1)
        if kind in (_STORE, _STORE_X):
            written |= bit
        elif kind in (_LOAD, _LOAD_X) and one.code & 0xE0 == _MEMORY and not written & bit:
            raise ProgramError("it has geneve, or the like, before an or or under a not, and libpcap would look for "
                               "what follows in a tunnel that need not be there")
        targets = _targets(one, place)
        for target in targets:
            known[target] &= written
        if targets or kind == _RETURN:
            written = everything


def to_c(program: Program) -> str:
    """Return a checked program as C statements in one line, for bpf/frame.h."""
    reached: Set[int] = {target for place, one in enumerate(program) for target in _targets(one, place)}
    lines = []
    for place, one in enumerate(program):
        label = "at_%d: " % place if place in reached else ""
        names = ["at_%d" % target for target in _targets(one, place)]
        lines.append(label + _statement(one) % {"targets": ", ".join(names)})
    return " ".join(lines)


def _statement(one: Instruction) -> str:
    """Return an instruction in C, with %(targets)s for the labels that it jumps to; empty if it is none."""
    return _KINDS[one.code & 7](one) if one.code <= 0xFF else ""


def _load(one: Instruction) -> str:
    size, number = _SIZES.get(one.code & 0x18), "%uu" % one.number
    simple = {_IMMEDIATE: "a = %s;" % number, _LENGTH: ";"}
    if size == 4 and one.code & 0xE0 in simple:
        return simple[one.code & 0xE0]
    if one.code == _MEMORY | _LOAD:
        return _memory("a = m[%d];", one)
    where = {_ABSOLUTE: number, _INDEXED: "x + " + number}.get(one.code & 0xE0)
    return "LOAD(a, %d, %s);" % (size, where) if size and where else ""


def _load_x(one: Instruction) -> str:
    if one.code == _MEMORY | _LOAD_X:
        return _memory("x = m[%d];", one)
    return {_IMMEDIATE | _LOAD_X: "x = %uu;" % one.number, _LENGTH | _LOAD_X: ";",
            _HEADER | 0x10 | _LOAD_X: "LOAD_HEADER_LENGTH(%uu);" % one.number}.get(one.code, "")


def _memory(statement: str, one: Instruction) -> str:
    return statement % one.number if one.number < _WORDS else ""


def _store(one: Instruction) -> str:
    return _memory({_STORE: "m[%d] = a;", _STORE_X: "m[%d] = x;"}[one.code], one) if one.code < 8 else ""


def _alu(one: Instruction) -> str:
    operator = _OPERATORS.get(one.code & 0xF0, "")
    if one.code == _ALU | _NEGATE:
        return "a = -a;"
    if not operator:
        return ""
    if not one.code & _USES_X:
        return "a %s= %uu;" % (operator.replace("%", "%%"), one.number)
    if operator in "/%":
        return "DIVIDE(%s=);" % operator.replace("%", "%%")
    return "SHIFT(%s);" % operator if operator in ("<<", ">>") else "a %s= x;" % operator


def _jump(one: Instruction) -> str:
    if one.code == _JUMP | _ALWAYS:
        return "goto %(targets)s;"
    comparison = _COMPARISONS.get(one.code & 0xF0)
    if not comparison:
        return ""
    if one.code == _JUMP | _IF_SET and one.number == _LATER_FRAGMENT:
        return "JUMP_IF_LATER_FRAGMENT(%(targets)s);"
    return "JUMP(a %s %s, %%(targets)s);" % (comparison, "x" if one.code & _USES_X else "%uu" % one.number)


def _return(one: Instruction) -> str:
    return {_RETURN: "ANSWER(%uu);" % one.number, _RETURN | 0x10: "ANSWER(a);",
            _RETURN | 0x08: "ANSWER(x);"}.get(one.code, "")


def _misc(one: Instruction) -> str:
    return {_MISC: "x = a;", _MISC | 0x80: "a = x;"}.get(one.code, "")


_KINDS = {_LOAD: _load, _LOAD_X: _load_x, _STORE: _store, _STORE_X: _store, _ALU: _alu, _JUMP: _jump,
          _RETURN: _return, _MISC: _misc}
