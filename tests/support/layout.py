# SPDX-License-Identifier: Apache-2.0
"""The record of skbfleet-bundle/1 as data, written down apart from the tracers: bundles made with it check them."""
from typing import Any

import numpy as np

HEADER = 8      # bytes before each record

# Name, type, how many.
_FIELDS: tuple[tuple[str, str, int], ...] = (
    ("time_ns", "u64", 1), ("skb", "u64", 1), ("head", "u64", 1), ("location", "u64", 1), ("payload_hash", "u64", 1),
    ("queue_backlog", "u64", 1), ("netns", "u32", 1), ("ifindex", "u32", 1), ("rx_ifindex", "u32", 1),
    ("pid", "u32", 1), ("stack_id", "s32", 1), ("reason", "u32", 1), ("len", "u32", 1), ("data_len", "u32", 1),
    ("mark", "u32", 1), ("hash", "u32", 1), ("priority", "u32", 1), ("gso_type", "u32", 1), ("queue_len", "u32", 1),
    ("queue_limit", "u32", 1), ("cpu", "u16", 1), ("point", "u16", 1), ("protocol", "u16", 1), ("vlan_tci", "u16", 1),
    ("mac_offset", "u16", 1), ("network_offset", "u16", 1), ("transport_offset", "u16", 1), ("data_offset", "u16", 1),
    ("queue_mapping", "u16", 1), ("gso_size", "u16", 1), ("gso_segs", "u16", 1), ("vlan_present", "u8", 1),
    ("pkt_type", "u8", 1), ("ip_summed", "u8", 1), ("cloned", "u8", 1), ("nr_frags", "u8", 1), ("frag_list", "u8", 1),
    ("users", "u8", 1), ("queue_kind", "u8", 1), ("packet_layer", "u8", 1), ("packet_len", "u8", 1),
    ("comm", "char", 16), ("packet", "u8", 128))
_TYPES = {"u8": ("u1", 1), "u16": ("<u2", 2), "u32": ("<u4", 4), "s32": ("<i4", 4), "u64": ("<u8", 8), "char": ("S", 1)}


def layout() -> dict[str, Any]:
    """Return the record's layout as a manifest carries it."""
    fields, offset = [], 0
    for name, kind, count in _FIELDS:
        fields.append({"name": name, "type": kind, "count": count, "offset": offset})
        offset += _TYPES[kind][1] * count
    size = offset + -offset % 8
    return {"size": size, "stride": HEADER + size, "header": HEADER, "byte_order": "little", "fields": fields}


def record_dtype() -> np.dtype:
    """Return the numpy type of one record of records.bin, its header included."""
    described = layout()
    formats: list[Any] = []
    for field in described["fields"]:
        code = _TYPES[field["type"]][0]
        formats.append("S%d" % field["count"] if code == "S" else
                       (code, (field["count"],)) if field["count"] > 1 else code)
    return np.dtype({"names": [field["name"] for field in described["fields"]], "formats": formats,
                     "offsets": [HEADER + field["offset"] for field in described["fields"]],
                     "itemsize": described["stride"]})
