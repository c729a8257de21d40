# SPDX-License-Identifier: Apache-2.0
"""The fields that were asked for by name: which ones a bundle's records have, and their values."""
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BundleError

MOST = 8               # of one bundle
SIGNED, POINTER = "signed", "pointer"
_KINDS = ("unsigned", SIGNED, POINTER)
_NAME = re.compile(r"[a-z_]{1,32}((\.|->)\w{1,64}(\[\d{1,4}\])?){1,9}", re.ASCII)


@dataclass(frozen=True)
class Field:
    """A field: the name that it was asked for by, and what its numbers are."""

    name: str
    kind: str


@dataclass
class Values:
    """Values of one field; where `known` is not set the bundle does not have the field, or the packet had it not."""

    number: np.ndarray    # u8
    asked: np.ndarray     # bool: the record is of a bundle that has the field
    known: np.ndarray     # bool


def fields_of(manifest: Mapping[str, Any], dtype: np.dtype) -> list[Field]:
    """Return the fields that a manifest speaks of, in the order of their slots; raises BundleError."""
    listed = manifest["fields"]
    if not all(isinstance(one, dict) and _NAME.fullmatch(str(one.get("name"))) and one.get("kind") in _KINDS
               for one in listed) or len(listed) > MOST:
        raise BundleError("its manifest's fields are not a list of at most %d {name, kind}" % MOST)
    out = [Field(one["name"], one["kind"]) for one in listed]
    if len({one.name for one in out}) < len(out):
        raise BundleError("its manifest's fields have one name twice")
    shape = dtype["fields"] if "fields" in (dtype.names or ()) else None
    if out and (shape is None or shape.base != np.dtype("<u8") or shape.shape != (len(out) + 1,)):
        raise BundleError("its records have no numbers for the %d fields of its manifest" % len(out))
    return out


def slots_of(raw: np.ndarray, fields: Sequence[Field]) -> np.ndarray:
    """Return the slots of records as a matrix: the numbers, and in the last column a bit for each that was there."""
    return _widened(raw["fields"]) if fields else np.zeros((len(raw), MOST + 1), "u8")


def _widened(slots: np.ndarray) -> np.ndarray:
    """Return slots as those of a bundle with as many fields as there can be."""
    out = np.zeros((len(slots), MOST + 1), "u8")
    out[:, :slots.shape[1] - 1], out[:, MOST] = slots[:, :-1], slots[:, -1]
    return out


def all_fields(each: Iterable[Sequence[Field]]) -> list[Field]:
    """Return the fields of several bundles, each name once."""
    out: dict[str, Field] = {}
    for fields in each:
        for one in fields:
            out.setdefault(one.name, one)
    return list(out.values())


def values_of(name: str, slots: np.ndarray, bundle: np.ndarray, each: Sequence[Sequence[Field]]) -> Values:
    """Return a field's values. slots: as slots_of() returns them; bundle: of each record; each: the bundles' fields."""
    out = Values(np.zeros(len(slots), "u8"), np.zeros(len(slots), bool), np.zeros(len(slots), bool))
    for number in np.unique(bundle).tolist():
        place = next((place for place, one in enumerate(each[number]) if one.name == name), None)
        if place is not None:
            rows = np.flatnonzero(bundle == number)
            out.number[rows], out.asked[rows] = slots[rows, place], True
            out.known[rows] = slots[rows, MOST] >> np.uint64(place) & np.uint64(1) > 0
    return out


@dataclass
class _Source:
    path: str
    dtype: np.dtype
    fields: list[Field]


class Recorded:
    """The fields of all bundles, read from their records again where they are asked for."""

    def __init__(self, sources: Iterable[tuple[str, np.dtype, list[Field]]] = ()) -> None:
        """sources: of each bundle, where its records are, their type, and its fields."""
        self._sources = [_Source(*source) for source in sources]
        self._each = [source.fields for source in self._sources]

    def changed(self, rows: Mapping[str, np.ndarray], before: np.ndarray, after: np.ndarray) -> dict[str, int]:
        """Return field -> of how many packets it changed. rows: identity.ROW; before, after: which of them."""
        fields = all_fields(self._each)
        if not fields:
            return {}
        one, two = self._of(rows, before), self._of(rows, after)
        out = {}
        for name in [field.name for field in fields]:
            was, has = values_of(name, *one, self._each), values_of(name, *two, self._each)
            out[name] = int((was.known & has.known & (was.number != has.number)).sum())
        return {name: count for name, count in out.items() if count}

    def _of(self, rows: Mapping[str, np.ndarray], which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return slots and bundle of some rows."""
        bundle, record = rows["bundle"][which], rows["record"][which]
        out = np.zeros((len(which), MOST + 1), "u8")
        for number in np.unique(bundle).tolist():
            source = self._sources[number]
            if source.fields:
                here = np.flatnonzero(bundle == number)
                # whole records only: the file may be cut off within one
                whole = os.path.getsize(source.path) // source.dtype.itemsize
                records = np.memmap(source.path, source.dtype, "r", shape=(whole,))
                out[here] = _widened(records["fields"][record[here]])
        return out, bundle
