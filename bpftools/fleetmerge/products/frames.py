# SPDX-License-Identifier: Apache-2.0
"""The packets of capture.pcapng: all records of a batch at once, each a block with the frame that was recorded.

A frame is what the device, or the wire, would show: an accelerated VLAN tag is back in its place, and a packet that has
no Ethernet header at its point gets one, with addresses of zeros. Behind the headers nothing was recorded, and nothing
is made up: the block says how long the packet was.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import distinct
from ..bundle.labels import Labels
from ..packet.headers import ETH_IPV4, ETH_IPV6, be16
from ..packet.places import RECEIVE, SEND
from .batch import Batch
from .pcapng import Interfaces

_PACKET = 6                              # the type of a block
_OPTIONS = {name: code | size << 16 for name, code, size in (("flags", 2, 4), ("queue", 6, 4), ("journey", 5, 8))}
_FRAME = ("addresses", "tag", "ethertype", "packet")    # its parts
_END = 8                                 # bytes: no more options, the length again
_IN, _OUT = 1, 2                         # directions, in the flags
_RECEPTION = np.array([1, 3, 2, 4, 0, 0, 0, 0], "u4") << 2    # by pkt_type: to us, to all, to many, to others
_INBOUND = (*RECEIVE, "dev.core", "br.rx", "ovs.rx")
_OUTBOUND = (*SEND, "dev.xmit", "qdisc.direct", "tun.xmit", "br.tx")
_QUEUED = (*SEND, "qdisc.direct", "tun.xmit")    # the device's transmit queue has been chosen there
_ADDRESSES, _TAG, _ETHERTYPE, _IPV6 = 12, 4, 2, 40    # bytes
_VLAN, _LOW = 0x8100, np.uint64(0xFFFFFFFF)
_LONGEST = (1 << 31) - 1                         # bytes of a frame


@dataclass
class _Frames:
    """What the blocks have to say, by record."""

    interface: np.ndarray
    flags: np.ndarray
    made_up: np.ndarray     # bool: the Ethernet header is
    tagged: np.ndarray      # bool: a tag has to be put back
    recorded: np.ndarray    # u1: bytes of packet[]
    original: np.ndarray    # i8: bytes that the frame had
    queue: np.ndarray       # i8; -1: not known
    journey: np.ndarray     # u8; 0: none


def packets(batch: Batch, labels: Sequence[Labels], known: Interfaces, journeys: np.ndarray,
            remarks: pa.Array) -> pa.Buffer:
    """Return the blocks of a batch, ready to be written. journeys: u8, the journey that each record shows, 0: none;
    remarks: the option, or null, with which each is commented."""
    if not len(batch):
        return pa.py_buffer(b"")
    frames = _frames(batch, labels, known, journeys)
    more = np.asarray(pc.fill_null(pc.binary_length(remarks), 0))
    blocks, total = _blocks(batch, frames, more)
    end = np.zeros(len(batch), [("no_more", "<u4"), ("total", "<u4")])
    end["total"] = total
    ends = _binary(end.view("u1"), np.full(len(batch), end.itemsize))
    return pc.binary_join_element_wise(blocks, remarks, ends, b"", null_handling="skip").buffers()[2]


def _binary(data: np.ndarray, lengths: np.ndarray) -> pa.Array:
    offsets = np.append(0, np.cumsum(lengths)).astype("i4")
    return pa.BinaryArray.from_buffers(pa.binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


# -- what the blocks have to say

def _frames(batch: Batch, labels: Sequence[Labels], known: Interfaces, journeys: np.ndarray) -> _Frames:
    interface, direction, queued = _places(batch, labels, known)
    packet, mapping = batch.column("packet"), batch.column("queue_mapping").astype("i8")
    recorded = np.minimum(batch.column("packet_len"), packet.shape[1])
    made_up = batch.column("packet_layer") != 2
    tagged = (batch.column("vlan_present") > 0) & (made_up | (recorded >= _ADDRESSES))
    flags = direction + np.where(direction == _IN, _RECEPTION[batch.column("pkt_type") & 7], 0)
    # the kernel counts a device's receive queues from 1; 0: the driver did not say
    queue = np.where(queued, mapping, np.where(direction == _IN, mapping - 1, -1))
    original = np.where(made_up, _ADDRESSES + _ETHERTYPE + _network_length(batch, made_up),
                        batch.column("len").astype("i8") + batch.column("data_offset") - batch.column("mac_offset"))
    return _Frames(interface, flags, made_up, tagged, recorded, original + _TAG * tagged, queue, journeys)


def _places(batch: Batch, labels: Sequence[Labels], known: Interfaces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (interface, direction, whether the transmit queue has been chosen) of each record."""
    codes, rows = distinct({"bundle": batch.bundle, **{name: batch.column(name)
                                                       for name in ("netns", "ifindex", "point")}})
    names = [labels[bundle].point(point) for bundle, _, _, point in rows.tolist()]
    interface = np.array([known.of_place[bundle][tuple(place)] for bundle, *place in rows.tolist()], "u4")
    direction = np.array([_IN if name in _INBOUND else _OUT if name in _OUTBOUND else 0 for name in names], "u4")
    queued = np.array([name in _QUEUED for name in names], bool)
    return interface[codes], direction[codes], queued[codes]


def _network_length(batch: Batch, made_up: np.ndarray) -> np.ndarray:
    """Return the bytes from the network header on. Of packets that were recorded from there on by IP's own word, where
    it has one: of TCP's own packets, whose headers the tracer made up, the kernel's offsets say nothing."""
    out = batch.length.copy()
    for kind, at, more in ((4, 2, 0), (6, 4, _IPV6)):
        rows = np.flatnonzero(made_up & (batch.headers.version == kind))
        if len(rows):
            packet = batch.column("packet")[rows]
            said = be16(packet, at).astype("i8")
            sure = (packet[:, 0] >> 4 == kind) & (said > 0)    # else a tag is before it
            out[rows[sure]] = said[sure] + more
    return out


def _ethertype(batch: Batch, rows: np.ndarray, packet: np.ndarray) -> np.ndarray:
    """Return the ethertypes of packets without an Ethernet header; where the kernel does not know it yet, IP's."""
    kind = batch.column("protocol")[rows]
    version = packet[:, 0] >> 4
    return np.where(kind > 0, kind, np.where(version == 4, ETH_IPV4, np.where(version == 6, ETH_IPV6, 0)))


# -- the blocks

def _blocks(batch: Batch, frames: _Frames, more: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Return the blocks but for their ends, and their lengths with these. more: bytes that each will have besides.

    Blocks that have the same parts, of the same lengths, are made together, and put in order afterwards.
    """
    codes, kinds = distinct({"recorded": frames.recorded, "made_up": frames.made_up, "tagged": frames.tagged,
                             "queue": frames.queue >= 0, "journey": frames.journey > 0})
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(kinds)))
    made = [_alike(batch, frames, rows, layout, more) for rows, layout in zip(
        np.split(order, ends[:-1]), map(_layout, kinds.tolist()), strict=True)]
    sizes = np.repeat([part.itemsize for part in made], [len(part) for part in made])
    place, total = np.empty(len(order), "i4"), np.empty(len(order), "i8")
    place[order] = np.arange(len(order), dtype="i4")
    total[order] = np.concatenate([part["total"] for part in made])
    data = np.concatenate([part.view("u1") for part in made])
    return _binary(data, sizes).take(pa.array(place)), total


def _layout(kind: tuple[int, bool, bool, bool, bool]) -> np.dtype:
    """Return a block but for its end."""
    recorded, made_up, tagged, queue, journey = kind
    parts: list[tuple[Any, ...]] = [(name, "<u4") for name in (
        "type", "total", "interface", "high", "low", "captured", "original")]
    addresses = _ADDRESSES if made_up or tagged else 0
    parts += [("addresses", "u1", addresses)] if addresses else []
    parts += [("tag", ">u2", 2)] if tagged else []
    parts += [("ethertype", ">u2")] if made_up else []
    rest = recorded - (0 if made_up else addresses)
    parts += [("packet", "u1", rest)] if rest else []
    captured = addresses + _TAG * tagged + _ETHERTYPE * made_up + rest
    parts += [("padding", "V%d" % (-captured % 4))] if captured % 4 else []
    parts += [("flags_option", "<u4"), ("flags", "<u4")]
    parts += [("queue_option", "<u4"), ("queue", "<u4")] if queue else []
    parts += [("journey_option", "<u4"), ("journey", "<u8")] if journey else []
    return np.dtype(parts)


def _alike(batch: Batch, frames: _Frames, rows: np.ndarray, layout: np.dtype, more: np.ndarray) -> np.ndarray:
    """Return the blocks of records whose blocks have the same layout."""
    out = np.zeros(len(rows), layout)
    names = layout.names or ()
    packet = batch.column("packet")[rows]
    at = 0
    if "ethertype" in names:
        out["ethertype"] = _ethertype(batch, rows, packet)
    elif "addresses" in names:
        out["addresses"] = packet[:, :_ADDRESSES]
        at = _ADDRESSES
    if "tag" in names:
        out["tag"][:, 0], out["tag"][:, 1] = _VLAN, batch.column("vlan_tci")[rows]
    if "packet" in names:
        out["packet"] = packet[:, at:at + layout["packet"].shape[0]]
    for name in ("queue", "journey"):
        if name in names:
            out[name + "_option"], out[name] = _OPTIONS[name], getattr(frames, name)[rows]
    time, captured = batch.wall[rows].view("u8"), _captured(layout)
    out["type"], out["total"] = _PACKET, layout.itemsize + _END + more[rows]
    out["interface"], out["high"], out["low"] = frames.interface[rows], time >> np.uint64(32), time & _LOW
    out["captured"], out["original"] = captured, frames.original[rows].clip(captured, _LONGEST)
    out["flags_option"], out["flags"] = _OPTIONS["flags"], frames.flags[rows]
    return out


def _captured(layout: np.dtype) -> int:
    return sum(layout[name].itemsize for name in layout.names or () if name in _FRAME)
