# SPDX-License-Identifier: Apache-2.0
"""Records as numpy arrays: read by the layout that the manifest describes, handed on in one fixed order of fields.

A bundle made by another version may have more fields (ignored), fewer (zero here) or another order.
"""
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from ..errors import BundleError

PACKET_BYTES = 128
# what the merger works with; a bundle must have the first three and may lack any other
REQUIRED = ("time_ns", "point", "skb")
CANONICAL = np.dtype([
    ("time_ns", "<u8"), ("skb", "<u8"), ("head", "<u8"), ("location", "<u8"), ("payload_hash", "<u8"),
    ("queue_backlog", "<u8"), ("netns", "<u4"), ("ifindex", "<u4"), ("rx_ifindex", "<u4"), ("pid", "<u4"),
    ("stack_id", "<i4"), ("reason", "<u4"), ("len", "<u4"), ("data_len", "<u4"), ("mark", "<u4"), ("hash", "<u4"),
    ("priority", "<u4"), ("gso_type", "<u4"), ("queue_len", "<u4"), ("queue_limit", "<u4"), ("cpu", "<u2"),
    ("point", "<u2"), ("protocol", "<u2"), ("vlan_tci", "<u2"), ("mac_offset", "<u2"), ("network_offset", "<u2"),
    ("transport_offset", "<u2"), ("data_offset", "<u2"), ("queue_mapping", "<u2"), ("gso_size", "<u2"),
    ("gso_segs", "<u2"), ("vlan_present", "u1"), ("pkt_type", "u1"), ("ip_summed", "u1"), ("cloned", "u1"),
    ("nr_frags", "u1"), ("frag_list", "u1"), ("users", "u1"), ("queue_kind", "u1"), ("packet_layer", "u1"),
    ("packet_len", "u1"), ("followed", "u1"), ("comm", "S16"), ("packet", "u1", (PACKET_BYTES,)),
])
# what a field means when the bundle does not have it
_ABSENT = {"stack_id": -1, "transport_offset": 0xFFFF, "mac_offset": 0xFFFF, "packet_layer": 3}
_TYPES = {"u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "s32": "i4", "char": "S"}


def dtype_of(layout: Any) -> np.dtype:
    """Return the numpy type of one stride, from the manifest's "record" section; BundleError says what is wrong."""
    try:
        size, stride, header = int(layout["size"]), int(layout["stride"]), int(layout["header"])
        order = {"little": "<", "big": ">"}[layout["byte_order"]]
        names, formats, offsets = [], [], []
        for field in layout["fields"]:
            code, count, offset = _TYPES[field["type"]], int(field["count"]), int(field["offset"])
            if code == "S":
                formats.append(np.dtype("S%d" % count))
            else:
                scalar = np.dtype(code if code == "u1" else order + code)
                formats.append(np.dtype((scalar, (count,))) if count > 1 else scalar)
            if offset < 0 or count < 1 or offset + formats[-1].itemsize > size:
                raise BundleError("its field %r lies outside the record of %d bytes" % (field["name"], size))
            names.append(str(field["name"]))
            offsets.append(header + offset)
            if _is_misshapen(names[-1], formats[-1]):
                raise BundleError("its field %r is not made of what this version takes it for" % names[-1])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _unreadable(error) from error
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BundleError("its records have no field %s" % " and no ".join(repr(name) for name in missing))
    if not 0 < size <= 65536 or header < 0 or not header + size <= stride <= 1 << 20:
        raise BundleError("its records of %d bytes do not fit its stride of %d" % (size, stride))
    try:
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": stride})
    except (TypeError, ValueError) as error:  # a name twice
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> BundleError:
    return BundleError("its description of a record is not one that this version can read (%s: %s)"
                       % (type(error).__name__, error))


def _is_misshapen(name: str, kind: np.dtype) -> bool:
    """Whether a field that the merger works with is text where it is a number here, an array where it is one, …"""
    known = CANONICAL.fields.get(name) if CANONICAL.fields else None
    if known is None:
        return False
    if name == "packet":
        return kind.base != np.dtype("u1") or not kind.shape
    return bool(kind.shape) or (kind.kind == "S") != (known[0].kind == "S")


def canonical(raw: np.ndarray) -> np.ndarray:
    """Copy records of any layout into the fields and the order that the merger works with."""
    have = raw.dtype.names or ()
    out = np.zeros(len(raw), CANONICAL)
    for name in CANONICAL.names or ():
        if name not in have:
            if name in _ABSENT:
                out[name] = _ABSENT[name]
        elif name == "packet":
            width = min(PACKET_BYTES, raw["packet"].shape[1])
            out["packet"][:, :width] = raw["packet"][:, :width]
        else:
            out[name] = raw[name]
    np.minimum(out["packet_len"], PACKET_BYTES, out=out["packet_len"])
    return out


def read(handle: BinaryIO, dtype: np.dtype, first: int, count: int) -> np.ndarray:
    """Read `count` records from number `first` on, as they are in the file (fewer at its end)."""
    data = os.pread(handle.fileno(), count * dtype.itemsize, first * dtype.itemsize)
    return np.frombuffer(data, dtype, len(data) // dtype.itemsize)


def chunks(handle: BinaryIO, stride: int, records: int) -> Iterator[bytes]:
    """Yield the whole file in pieces of `records` strides."""
    while True:
        data = handle.read(stride * records)
        if not data:
            return
        yield data
