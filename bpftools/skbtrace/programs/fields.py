# SPDX-License-Identifier: Apache-2.0
"""The fields that were asked for by name: checked, compiled in, and read from records."""
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..errors import InputError, TracerError, option
from ..kernel import fields, lookup

MOST = 8
_FORM_SIGNED, _FORM_BIG_ENDIAN = 1, 2  # of bpf/fields.h


class RecordedField(NamedTuple):
    """A field as the records have it: in the order of their slots; kind: unsigned, signed, pointer."""

    name: str
    kind: str


def check(names: Sequence[str]) -> List[str]:
    """Return the names, each once; raises InputError for what no kernel can have."""
    names = sorted(set(names), key=names.index)
    for name in names:
        if not fields.is_name(name):
            raise InputError("%s is %r: it must be the kernel's name of a field that begins with %s, such as "
                             "sk_buff.mark or 'sk_buff.dev->mtu'" % (option("field"), name, ", ".join(fields.ROOTS)))
    if len(names) > MOST:
        raise InputError("%s has %d names: it must be at most %d" % (option("field"), len(names), MOST))
    return names


def find(names: Sequence[str], types: Optional[lookup.Types]) -> List[fields.Field]:
    """Return where this kernel has the fields; raises InputError for one that it has not, TracerError without BTF."""
    if names and types is None:
        raise TracerError("%s needs the kernel's own description of its types (BTF), which this kernel does not have"
                          % option("field"))
    return [_find(name, types) for name in names if types]


def _find(name: str, types: lookup.Types) -> fields.Field:
    try:
        return fields.find(types, name)
    except fields.NoField as why:
        raise InputError("%s is %r: %s" % (option("field"), name, why)) from None


def slots(count: int) -> int:
    """Return how many numbers of a record the fields take: one each, and one that says which of them were there."""
    return count + 1 if count else 0


def defines(found: Sequence[fields.Field]) -> Dict[str, Any]:
    """Return the constants for bpf/fields.h."""
    if not found:
        return {}
    return {"FIELD_SLOTS": slots(len(found)),
            "EACH_FIELD(keep)": " ".join("keep(%d, %s)" % item for item in enumerate(map(_place, found)))}


def _place(field: fields.Field) -> str:
    base = field.root
    for hop in field.hops:
        base = "pointer_at(%s, %d, %d)" % (base, hop.offset, hop.flags)
    form = _FORM_SIGNED * (field.kind == fields.SIGNED) + _FORM_BIG_ENDIAN * field.big_endian
    return "%s, %d, %d, %d, %d, %d" % (base, field.offset, field.size, field.shift, field.bits, form)


def describe(found: Sequence[fields.Field]) -> List[RecordedField]:
    """Return the fields as the manifest names them."""
    return [RecordedField(field.name, field.kind) for field in found]


def values(recorded: Sequence[RecordedField], record: Any) -> List[Any]:
    """Return the values of a record as JSON has them: addresses in hexadecimal, None for what was not there."""
    if not recorded:
        return []
    numbers = struct.unpack("<%dQ" % slots(len(recorded)), record.fields)
    return [_value(field, number) if numbers[-1] >> place & 1 else None
            for place, (field, number) in enumerate(zip(recorded, numbers))]


def _value(field: RecordedField, number: int) -> Any:
    if field.kind == fields.POINTER:
        return "0x%x" % number
    return number - (number >> 63 << 64) if field.kind == fields.SIGNED else number
