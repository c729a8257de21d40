# SPDX-License-Identifier: Apache-2.0
"""The kernel's own description of its types (BTF), read with the standard library alone.

Only names that are asked for are looked up: the scan keeps nothing but where each type starts,
so 126,000 types cost about a tenth of a second. Format: Documentation/bpf/btf.rst of the kernel.
"""
import struct
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

KERNEL = "/sys/kernel/btf/vmlinux"
_MAGIC = 0xEB9F
(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC,
 FLOAT, DECL_TAG, TYPE_TAG, ENUM64) = range(1, 20)
# words (u32) behind the three common ones: fixed, and per member
_FIXED = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
_PER_MEMBER = {STRUCT: 3, UNION: 3, ENUM: 2, FUNC_PROTO: 2, DATASEC: 3, ENUM64: 3}
_TRANSPARENT = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)


class Member(NamedTuple):
    """A field: offset in bits from the struct's start, width if it is a bitfield (else 0), size in bytes."""

    bit_offset: int
    bits: int
    size: int


class BtfError(ValueError):
    """The data is not BTF that this reader understands."""


class Btf:
    """Types of one BTF blob; `names` are all names that will be asked for.

    A module's BTF goes on where the kernel's ends, in type ids and in offsets of strings: `base` is the kernel's.
    """

    def __init__(self, data: bytes, names: Iterable[str], base: "Optional[Btf]" = None) -> None:
        magic, _version, _flags, length = struct.unpack_from("<HBBI", data)
        if magic != _MAGIC:
            raise BtfError("no BTF magic number at its start")
        types, types_length, strings, strings_length = struct.unpack_from("<IIII", data, 8)
        self._base = base
        self._first_id, self._first_string = base._ends() if base else (0, 0)
        self._strings: bytes = data[length + strings:length + strings + strings_length]
        self._words = memoryview(data[length + types:length + types + types_length]).cast("I")
        self._wanted = self._string_offsets(names)
        self._starts, self._named = self._scan()

    def _ends(self) -> Tuple[int, int]:
        """Return where a module's BTF on top of this one goes on: type id, offset of strings."""
        return len(self._starts), len(self._strings)

    def _string_offsets(self, names: Iterable[str]) -> Dict[int, str]:
        found: Dict[int, str] = {}
        for name in names:
            position = self._strings.find(b"\0" + name.encode() + b"\0")
            if position >= 0:
                found[self._first_string + position + 1] = name
        if self._base:
            found.update(self._base._wanted)
        return found

    def _scan(self) -> Tuple[List[int], Dict[Tuple[int, str], int]]:
        words, wanted = self._words, self._wanted
        steps = [3 + _FIXED.get(kind, 0) for kind in range(32)]
        factors = [_PER_MEMBER.get(kind, 0) for kind in range(32)]
        starts = [] if self._base else [0]  # type 0 is void
        named: Dict[Tuple[int, str], int] = {}
        append = starts.append
        position, end = 0, len(words)
        while position < end:
            info = words[position + 1]
            kind = info >> 24 & 31
            if words[position] in wanted:
                named.setdefault((kind, wanted[words[position]]), self._first_id + len(starts))
            append(position)
            position += steps[kind] + (info & 0xFFFF) * factors[kind]
        return starts, named

    def _word(self, type_id: int, place: int) -> int:
        """Return a word of a type's description; ids below the first one of this blob are the base's."""
        if self._base and type_id < self._first_id:
            return self._base._word(type_id, place)
        return int(self._words[self._starts[type_id - self._first_id] + place])

    def _kind(self, type_id: int) -> int:
        return self._word(type_id, 1) >> 24 & 31 if type_id else 0

    def _strip(self, type_id: int) -> int:
        while self._kind(type_id) in _TRANSPARENT:
            type_id = self._word(type_id, 2)
        return type_id

    def _string(self, offset: int) -> str:
        if self._base and offset < self._first_string:
            return self._base._string(offset)
        offset -= self._first_string
        return self._strings[offset:self._strings.index(b"\0", offset)].decode()

    def _rows(self, type_id: int) -> List[Any]:
        """Return the member rows (name, then one or two words) of a type that has members."""
        info = self._word(type_id, 1)
        width = _PER_MEMBER[info >> 24 & 31]
        return [[self._word(type_id, row + column) for column in range(width)]
                for row in range(3, 3 + (info & 0xFFFF) * width, width)]

    def size(self, type_id: int) -> int:
        """Return the size of a type in bytes."""
        type_id = self._strip(type_id)
        kind = self._kind(type_id)
        if kind == PTR:
            return 8
        if kind == ARRAY:
            return self.size(self._word(type_id, 3)) * self._word(type_id, 5)
        return self._word(type_id, 2)

    def struct_size(self, name: str) -> int:
        """Return the size of `struct name` in bytes, 0 if there is none."""
        type_id = self._named.get((STRUCT, name))
        return self.size(type_id) if type_id else 0

    def member(self, name: str, path: str) -> Optional[Member]:
        """Return where `path` ("dev", "ns.inum") lies in `struct name`, through anonymous members; None if nowhere."""
        type_id: Optional[int] = self._named.get((STRUCT, name))
        offset = 0
        found = None
        for part in path.split("."):
            if type_id is None:
                return None
            row = self._find(self._strip(type_id), part)
            if row is None:
                return None
            bit_offset, bits, type_id = row
            offset += bit_offset
            found = Member(offset, bits, self.size(type_id))
        return found

    def _find(self, type_id: int, name: str) -> Optional[Tuple[int, int, int]]:
        if self._kind(type_id) not in (STRUCT, UNION):
            return None
        has_bitfields = self._word(type_id, 1) >> 31
        for name_offset, member_type, position in self._rows(type_id):
            offset, bits = (position & 0xFFFFFF, position >> 24) if has_bitfields else (position, 0)
            if not name_offset:  # an anonymous struct or union: its members are ours
                inner = self._find(self._strip(member_type), name)
                if inner:
                    return offset + inner[0], inner[1], inner[2]
            elif self._string(name_offset) == name:
                return offset, bits, member_type
        return None

    def variable(self, section: str, name: str) -> Optional[int]:
        """Return where a variable lies in a section, in bytes from the section's start; None if it is not told."""
        type_id, variable = self._named.get((DATASEC, section)), self._named.get((VAR, name))
        if type_id is None or variable is None:
            return None
        return next((row[1] for row in self._rows(type_id) if row[0] == variable), None)

    def struct_id(self, name: str) -> int:
        """Return the type id of `struct name`, 0 if there is none; unlike others it need not have been announced."""
        if (STRUCT, name) in self._named:
            return self._named[STRUCT, name]
        offset = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        for number, start in enumerate(self._starts):
            if offset and self._words[start] == self._first_string + offset and \
                    self._words[start + 1] >> 24 & 31 == STRUCT:
                return self._first_id + number
        return 0

    def find(self, type_id: int, name: str) -> Optional[Tuple[int, int, int]]:
        """Return (offset in bits, width if it is a bitfield, type id) of a struct's or union's member."""
        return self._find(self._strip(type_id), name)

    def names(self, type_id: int) -> List[str]:
        """Return the names of a struct's or union's members, those of anonymous ones included."""
        type_id = self._strip(type_id)
        if self._kind(type_id) not in (STRUCT, UNION):
            return []
        return [name for row in self._rows(type_id)
                for name in ([self._string(row[0])] if row[0] else self.names(row[1]))]

    def kind(self, type_id: int) -> int:
        """Return what a type is behind its typedefs; 0 is void."""
        return self._kind(self._strip(type_id))

    def name(self, type_id: int) -> str:
        """Return the type's own name."""
        return self._string(self._word(self._strip(type_id), 0))

    def target(self, type_id: int) -> int:
        """Return the type id that a pointer leads to; 0 is void."""
        return self._strip(self._word(self._strip(type_id), 2))

    def array(self, type_id: int) -> Optional[Tuple[int, int]]:
        """Return (type id of the elements, how many) of an array, None if it is none."""
        type_id = self._strip(type_id)
        return (self._word(type_id, 3), self._word(type_id, 5)) if self._kind(type_id) == ARRAY else None

    def bits(self, type_id: int) -> int:
        """Return the width of a number in bits."""
        type_id = self._strip(type_id)
        return self._word(type_id, 3) & 0xFF if self._kind(type_id) == INT else self.size(type_id) * 8

    def is_signed(self, type_id: int) -> bool:
        """Whether a number may be below 0."""
        type_id = self._strip(type_id)
        kind = self._kind(type_id)
        return bool(self._word(type_id, 3) >> 24 & 1) if kind == INT else \
            kind in (ENUM, ENUM64) and bool(self._word(type_id, 1) >> 31)

    def has_type_name(self, type_id: int, names: Iterable[str]) -> bool:
        """Whether a type is declared by one of these typedefs."""
        while self._kind(type_id) in _TRANSPARENT:
            if self._kind(type_id) == TYPEDEF and self._string(self._word(type_id, 0)) in names:
                return True
            type_id = self._word(type_id, 2)
        return False

    def enum(self, name: str) -> Dict[int, str]:
        """Return number -> enumerator of `enum name`; empty if there is none."""
        type_id = self._named.get((ENUM, name))
        return {} if type_id is None else {row[1]: self._string(row[0]) for row in self._rows(type_id)}

    def function_id(self, name: str) -> Optional[int]:
        """Return the type id of a function, by which fentry attaches to it."""
        return self._named.get((FUNC, name))

    def tracepoint_id(self, name: str) -> Optional[int]:
        """Return the type id of a raw tracepoint's typedef, by which a program with types attaches to it."""
        return self._named.get((TYPEDEF, name))

    def parameters(self, name: str) -> Optional[List[Tuple[str, str]]]:
        """Return [(name, struct pointed to or "")] of the function, or the raw tracepoint's typedef, called `name`."""
        type_id = self._named.get((FUNC, name)) or self._named.get((TYPEDEF, name))
        while type_id and self._kind(type_id) in _TRANSPARENT + (PTR, FUNC):
            type_id = self._word(type_id, 2)
        if not type_id or self._kind(type_id) != FUNC_PROTO:
            return None
        return [(self._string(row[0]), self._pointee(row[1])) for row in self._rows(type_id)]

    def _pointee(self, type_id: int) -> str:
        type_id = self._strip(type_id)
        stars = ""
        while self._kind(type_id) == PTR:
            type_id = self._strip(self._word(type_id, 2))
            stars += "*"
        named = self._kind(type_id) in (STRUCT, UNION, FWD, ENUM)
        return (self._string(self._word(type_id, 0)) if named else "") + stars


def read_kernel(names: Iterable[str], path: str = KERNEL, base: Optional[Btf] = None) -> Btf:
    """Read the running kernel's types, or with `base` a module's; raises OSError if there are none, or BtfError."""
    with open(path, "rb") as handle:
        return Btf(handle.read(), names, base)
