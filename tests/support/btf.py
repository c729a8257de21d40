# SPDX-License-Identifier: Apache-2.0
"""BTF blobs in the making, of as many types as a test needs."""
import struct

from skbtrace.kernel import btf

WORD = {"INT": btf.INT, "PTR": btf.PTR, "ARRAY": btf.ARRAY, "STRUCT": btf.STRUCT, "UNION": btf.UNION, "ENUM": btf.ENUM,
        "TYPEDEF": btf.TYPEDEF, "CONST": btf.CONST, "FUNC": btf.FUNC, "FUNC_PROTO": btf.FUNC_PROTO}


class Blob:
    """A BTF blob in the making; ids and string offsets go on where `base` ends, as a module's do."""

    def __init__(self, base: "Blob | None" = None) -> None:
        self.base = base
        self.strings = b"" if base else b"\0"
        self.types: list[bytes] = []

    def string(self, text: str) -> int:
        """Return the offset of a string."""
        if not text:
            return 0
        start = len(self.base.strings) if self.base else 0
        offset = (b"\0" + self.strings).find(b"\0" + text.encode() + b"\0") if self.strings else -1
        if offset < 0:
            offset = len(self.strings)
            self.strings += text.encode() + b"\0"
        return start + offset

    def add(self, kind: str, name: str, size_or_type: int, *rest: int, members: int = 0, flag: int = 0) -> int:
        """Add a type and return its id; rest: the words behind the first three."""
        first = (self.string(name), flag << 31 | WORD[kind] << 24 | members, size_or_type)
        self.types.append(struct.pack(f"<{3 + len(rest)}I", *first, *rest))
        return len(self.types) + (len(self.base.types) if self.base else 0)

    def struct(self, name: str, size: int, *members: tuple, kind: str = "STRUCT") -> int:
        """Add a struct or union; members: (name, type, offset in bits, width of a bitfield or 0)."""
        flag = int(any(width for _name, _type, _offset, width in members))
        words = [word for member, of, offset, width in members for word in (self.string(member), of,
                                                                           width << 24 | offset)]
        return self.add(kind, name, size, *words, members=len(members), flag=flag)

    def bytes(self) -> bytes:
        """Return the blob."""
        types = b"".join(self.types)
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings)) + types + \
            self.strings
