# SPDX-License-Identifier: Apache-2.0
"""Any number that hangs on a packet, by its kernel name: sk_buff.mark, sk_buff.dev->mtu, sk_buff.sk->sk_state.

The name is looked up in the types of the running kernel, with members of anonymous structs and unions, and bitfields.
Arrays of numbers are no fields, and bytes that a pointer leads to are not reached: payload, text and keys stay inside.
"""
import difflib
import re
from typing import List, NamedTuple, Optional, Tuple

from . import btf, lookup

# what a name may begin with; the C code knows where each lies (bpf/fields.h)
ROOTS = ("sk_buff", "skb_shared_info", "net_device", "sock")
_NAME = re.compile(r"(%s)(?=\.)((\.|->)[A-Za-z_]\w{0,63}(\[\d{1,4}\])?){1,8}" % "|".join(ROOTS), re.ASCII)
_PART = re.compile(r"(\.|->)(\w+)(?:\[(\d+)\])?", re.ASCII)
# unsigned longs that are pointers with flags in their lowest bits: what they lead to, and where that is described
_TAGGED = {"_nfct": ("nf_conn", 7, "nf_conntrack"), "_skb_refdst": ("dst_entry", 1, "")}
_COMMON = "__sk_common"  # the kernel's macros call its members sk_…, where they are skc_…
_NUMBERS = (btf.INT, btf.ENUM, btf.ENUM64, btf.PTR)
_KINDS = {btf.ARRAY: "an array", btf.STRUCT: "a struct", btf.UNION: "a union", btf.FLOAT: "a fraction"}
_BIG_ENDIAN = ("__be16", "__be32", "__be64")
UNSIGNED, SIGNED, POINTER = "unsigned", "signed", "pointer"


class Hop(NamedTuple):
    """A pointer on the way: its offset in bytes, and the bits of it that are flags."""

    offset: int
    flags: int


class Field(NamedTuple):
    """Where a number is: `hops` lead from the root to its struct, in which it takes `bits` bits.

    These begin `shift` bits into the `size` bytes at `offset`.
    """

    name: str  # as it was asked for
    root: str
    hops: Tuple[Hop, ...]
    offset: int
    size: int
    shift: int
    bits: int
    kind: str
    big_endian: bool


class NoField(ValueError):
    """There is no such number; the message says why, and what there is instead."""


def is_name(text: str) -> bool:
    """Whether this could be the name of a field on some kernel."""
    return bool(_NAME.fullmatch(text))


def find(types: lookup.Types, name: str) -> Field:
    """Return where this kernel has the field; raises NoField."""
    root = name.partition(".")[0]
    way = _Way(types, root)
    for link, member, index in _PART.findall(name[len(root):]):
        way.go(link, member, int(index) if index else None)
    return way.end(name)


class _Way:
    """The way from a root to a number, member by member."""

    def __init__(self, types: lookup.Types, root: str) -> None:
        self._types, self._btf, self._root = types, types.vmlinux, root
        self._said = root  # the name so far
        self._type = self._btf.struct_id(root)
        self._hops: List[Hop] = []
        self._offset, self._bits = 0, 0  # in bits; width of a bitfield, 0 for any other member
        self._last = ""

    def go(self, link: str, member: str, index: Optional[int]) -> None:
        """Go on to a member, behind the pointer that the last one is if `link` is an arrow; raises NoField."""
        if link == "->":
            self._follow()
        elif self._btf.kind(self._type) == btf.PTR:
            raise NoField("%s is a pointer: it goes on with ->%s" % (self._said, member))
        found = self._find(member)
        self._said += link + member
        self._offset, self._bits, self._type, self._last = self._offset + found[0], found[1], found[2], member
        if index is not None:
            self._pick(index)

    def _follow(self) -> None:
        kind = self._btf.kind(self._type)
        if self._last in _TAGGED and kind == btf.INT:
            name, flags, module = _TAGGED[self._last]
            self._enter(name, module, flags)
            return
        target = self._btf.target(self._type) if kind == btf.PTR else 0
        if self._btf.kind(target) not in (btf.STRUCT, btf.UNION, btf.FWD):
            raise NoField("%s is no pointer to a struct: nothing is behind it" % self._said)
        if self._btf.kind(target) == btf.FWD:
            self._enter(self._btf.name(target), "", 0)
        else:
            self._hop(target, 0)

    def _enter(self, name: str, module: str, flags: int) -> None:
        """Follow the pointer to a struct that is known by its name alone, or described in a module."""
        for place in ("", module):
            blob = self._types.of(place)
            target = blob.struct_id(name) if blob else 0
            if blob and target:
                self._btf = blob
                self._hop(target, flags)
                return
        raise NoField("%s leads to struct %s, which this kernel does not describe%s" % (
            self._said, name, ": module %s is not loaded" % module if module else ""))

    def _hop(self, target: int, flags: int) -> None:
        self._hops.append(Hop(self._offset // 8, flags))
        self._offset, self._type = 0, target

    def _find(self, member: str) -> Tuple[int, int, int]:
        found = self._btf.find(self._type, member)
        common = self._btf.find(self._type, _COMMON)
        if not found and common and member.startswith("sk_"):
            inner = self._btf.find(common[2], "skc_" + member[3:])
            found = inner and (common[0] + inner[0], inner[1], inner[2])
        if found:
            return found
        if self._btf.kind(self._type) not in (btf.STRUCT, btf.UNION):
            raise NoField("%s is a number: it has no members" % self._said)
        names = self._btf.names(self._type)
        if common:
            names += ["sk_" + name[4:] for name in self._btf.names(common[2]) if name.startswith("skc_")]
        nearest = difflib.get_close_matches(member, names, 3, 0.5)
        raise NoField("this kernel's %s has no field %s%s" % (
            self._said, member, "; the nearest are " + ", ".join(nearest) if nearest else ""))

    def _pick(self, index: int) -> None:
        """Take one element of an array of structs."""
        array = self._btf.array(self._type)
        if not array or self._btf.kind(array[0]) not in (btf.STRUCT, btf.UNION):
            raise NoField("%s is no array of structs: it has no [%d]" % (self._said, index))
        if index >= array[1]:
            raise NoField("%s has %d elements: there is no [%d]" % (self._said, array[1], index))
        self._said += "[%d]" % index
        self._offset, self._type = self._offset + 8 * index * self._btf.size(array[0]), array[0]

    def end(self, name: str) -> Field:
        """Return the number that the way ends at; raises NoField if it is none."""
        kind = self._btf.kind(self._type)
        if kind not in _NUMBERS:
            raise NoField("%s is %s, not a number%s" % (name, _KINDS.get(kind, "something else"), self._members()))
        bits = self._bits or self._btf.bits(self._type)
        offset, shift = divmod(self._offset, 8)
        size = (shift + bits + 7) // 8
        if size > 8:
            raise NoField("%s is a number of %d bits: at most 64 can be read" % (name, bits))
        form = POINTER if kind == btf.PTR else SIGNED if self._btf.is_signed(self._type) else UNSIGNED
        return Field(name, self._root, tuple(self._hops), offset, size, shift, bits, form,
                     self._btf.has_type_name(self._type, _BIG_ENDIAN))

    def _members(self) -> str:
        names = self._btf.names(self._type)
        return ": it has " + ", ".join(names[:6]) + (", …" if len(names) > 6 else "") if names else ""
