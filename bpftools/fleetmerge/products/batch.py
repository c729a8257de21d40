# SPDX-License-Identifier: Apache-2.0
"""A batch: the records of all bundles in one stretch of time, in order, with their headers parsed."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from ..arrays import distinct, text_of
from ..bundle.fields import Field, slots_of
from ..bundle.records import CANONICAL, canonical
from ..packet.flowtext import flows_of
from ..packet.headers import Headers, inner, parse


@dataclass
class Batch:
    """Records in the order of the one clock."""

    raw: np.ndarray       # structured, one layout
    bundle: np.ndarray    # u2: number of the bundle that each record is from
    number: np.ndarray    # u4: its number in the bundle
    wall: np.ndarray      # s8: ns
    headers: Headers
    inner_rows: np.ndarray
    inner: Headers
    length: np.ndarray    # s8: bytes from the network header on
    vlan: np.ndarray      # s4: VLAN id, from the accelerated tag or the packet; -1 without one
    slots: np.ndarray     # u8: see fields.slots_of()
    _columns: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.raw)

    def column(self, name: str) -> np.ndarray:
        """Return one field of all records; zeros if the bundles do not have it."""
        if name not in self._columns:
            here = name in (self.raw.dtype.names or ())
            self._columns[name] = (np.ascontiguousarray(self.raw[name]) if here else
                                   canonical(self.raw[:1])[name].repeat(len(self), axis=0))
        return self._columns[name]

    @cached_property
    def flows(self) -> "Flows":
        """Return the flows of the packets as they were recorded."""
        return Flows.of(self.headers)

    @cached_property
    def inner_flows(self) -> "Flows":
        """Return the flows of what tunnels carry."""
        return Flows.of(self.inner)

    @cached_property
    def mac_addresses(self) -> tuple[np.ndarray, list[tuple[str, str] | None]]:
        """Return (code per record, the different (source, destination)); None: no Ethernet header was recorded."""
        known = (self.column("packet_layer") == 2) & (self.column("packet_len") >= 12)
        codes, rows = distinct({"known": known, "mac": np.where(known[:, None], self.column("packet")[:, :12], 0)})
        return codes, [(row["mac"][6:].tobytes().hex(":"), row["mac"][:6].tobytes().hex(":")) if row["known"] else None
                       for row in rows]


@dataclass
class Flows:
    """The different flows of many packets: what makes a flow is what its text shows."""

    codes: np.ndarray    # of each packet
    rows: np.ndarray     # the different flows
    text: pa.Array       # of these

    @classmethod
    def of(cls, parsed: Headers) -> "Flows":
        """Return the flows of packets."""
        codes, rows = distinct({
            "version": parsed.version, "protocol": parsed.protocol, "ethertype": np.where(
                parsed.version > 0, 0, parsed.ethertype).astype("u2"),
            "kind": np.where(parsed.version > 0, 0, parsed.kind).astype("u1"), "ports": parsed.ports,
            "source_port": parsed.source_port, "target_port": parsed.target_port,
            "source": parsed.source, "target": parsed.target})
        return cls(codes, rows, flows_of(rows))

    def texts(self) -> pa.Array:
        """Return the text of each packet's flow."""
        return text_of(self.codes, self.text)


def make_batch(parts: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]],
               fields: Sequence[Sequence[Field]] = ()) -> Batch:
    """Build a batch from (bundle number, records, wall times, numbers of the records) of each bundle; records of one
    bundle keep their order where their times are equal. fields: of each bundle, where there are any."""
    layouts = {part[1].dtype for part in parts}
    raws = [part[1] for part in parts] if len(layouts) == 1 else [canonical(part[1]) for part in parts]
    wall = np.concatenate([part[2] for part in parts])
    order = np.argsort(wall, kind="stable")
    layout = raws[0].dtype
    # as opaque bytes: numpy would copy field by field
    raw = np.concatenate([part.view("V%d" % layout.itemsize) for part in raws])[order].view(layout)
    bundle = np.repeat(np.array([part[0] for part in parts], "u2"), [len(part[1]) for part in parts])[order]
    number = np.concatenate([part[3] for part in parts])[order]
    slots = np.concatenate([slots_of(part[1], fields[part[0]]) for part in parts])[order] if any(fields) else \
        np.zeros((len(raw), 0), "u8")
    return _parsed(raw, bundle, number, wall[order], slots)


def _parsed(raw: np.ndarray, bundle: np.ndarray, number: np.ndarray, wall: np.ndarray, slots: np.ndarray) -> Batch:
    if set(CANONICAL.names or ()) - set(raw.dtype.names or ()):
        raw = canonical(raw)
    length = raw["len"].astype("i8") - (raw["network_offset"].astype("i8") - raw["data_offset"])
    packet, valid = raw["packet"], np.minimum(raw["packet_len"], raw["packet"].shape[1])
    parsed = parse(packet, valid, raw["packet_layer"], raw["protocol"], length)
    rows, inside = inner(parsed, packet, valid)
    vlan = np.where(raw["vlan_present"] > 0, (raw["vlan_tci"] & 0xFFF).astype("i4"), parsed.vlan)
    return Batch(raw, bundle, number, wall, parsed, rows, inside, length, vlan, slots)
