# SPDX-License-Identifier: Apache-2.0
"""Read every bundle once: is it what its manifest says, which stretch of time does each block of it cover, and by what
are its packets recognised?"""
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..bundle.labels import DROP_POINTS, Labels
from ..bundle.manifest import Bundle
from ..bundle.records import chunks
from .frames import Frames, Points
from .headers import ETH_IPV4, ETH_IPV6
from .identity import NOT_FOLLOWED, ROW, UNREADABLE, Identifier, Tables
from .places import LOCAL, RECEIVE, SEND

FREE_POINT = "skb.free"
BLOCK = 1024              # records per entry of the index
_CHUNK_BLOCKS = 32
_NEVER = (1 << 63) - 1
_PIECE = 1 << 16         # rows
_TAKES = "tun_net_xmit"   # the function in which a VM's device takes a frame, or drops it
_MAC = re.compile("[0-9a-f]{12}\\Z")
_IP_HEADERS = 14 + 40     # bytes that have the IP header of any packet without a tag
# records and their bytes at one place, and when the first and the last of them were made (monotonic ns)
SUMS = np.dtype([("packets", "<i8"), ("bytes", "<i8"), ("first", "<i8"), ("last", "<i8")])


@dataclass
class Index:
    """Earliest and latest monotonic time in each block of a bundle."""

    first: np.ndarray   # s8
    last: np.ndarray    # s8
    outside: int        # records outside the window
    checksum_ok: bool
    unreadable: int = 0   # records of packets whose headers were not recorded whole


@dataclass
class Survey:
    """What one reading of a bundle found."""

    index: Index
    rows: str        # file with one identity.ROW for each record, in the order of the records
    count: int
    tables: Tables
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0, SUMS))   # by the place's number in the tables


def survey_bundle(bundle: Bundle, path: str) -> Survey:
    """Read all of a bundle's records.bin; write its rows to `path`."""
    digest = hashlib.sha256()
    names = bundle.points()
    identifier = Identifier({number for number, name in names.items() if name in DROP_POINTS},
                            {number for number, name in names.items() if name == FREE_POINT}, _frames(bundle))
    firsts, lasts, outside, total, unreadable = [], [], 0, 0, 0
    sums = np.zeros(0, SUMS)
    low, high = window_of(bundle)
    with open(bundle.path, "rb") as handle, open(path, "wb", opener=_private) as rows:
        for data in chunks(handle, bundle.dtype.itemsize, BLOCK * _CHUNK_BLOCKS):
            digest.update(data)
            count = len(data) // bundle.dtype.itemsize
            if not count:
                continue
            raw = np.frombuffer(data, bundle.dtype, count)
            time = raw["time_ns"].astype("i8")
            starts = np.arange(0, count, BLOCK)
            firsts.append(np.minimum.reduceat(time, starts))
            lasts.append(np.maximum.reduceat(time, starts))
            if firsts[-1].min() < low or lasts[-1].max() >= high:
                outside += int(((time < low) | (time >= high)).sum())
            known = identifier.rows(raw)
            known["record"] = np.arange(total, total + count)
            unreadable += int(((known["kind"] == UNREADABLE) | _cut_short(raw, known)).sum())
            sums = _summed(sums, known["place"], raw["len"], time)
            rows.write(known.view("u1").data)
            total += count
    none = np.zeros(0, "i8")
    index = Index(np.concatenate(firsts or [none]), np.concatenate(lasts or [none]), outside,
                  digest.hexdigest() == bundle.sha256, unreadable)
    return Survey(index, path, total, identifier.finish(), sums)


def _frames(bundle: Bundle) -> Frames:
    """Return who says for whom frames at this host's VMs' devices are."""
    names = bundle.points()
    taps = {(int(device.get("netns") or 0), int(device["ifindex"])): _behind(device.get("mac"))
            for device in bundle.manifest["devices"] if device.get("role") in LOCAL}
    receive, send, drop = ([number for number, name in names.items() if name in points]
                           for points in (RECEIVE, SEND, DROP_POINTS))
    return Frames(taps, Points(receive, send, drop, Labels(bundle).addresses_in(_TAKES)))


def _behind(mac: Any) -> int | None:
    """Return what a VM's address is behind its first byte, from its device's; None if that does not tell."""
    text = mac.replace(":", "") if isinstance(mac, str) and mac.startswith("fe:") else ""
    return int(text[2:], 16) if _MAC.match(text) else None


def _cut_short(raw: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the packets of which not even the IP header was recorded whole."""
    return (rows["kind"] == NOT_FOLLOWED) & np.isin(raw["protocol"], (ETH_IPV4, ETH_IPV6)) & (
        raw["packet_len"] < _IP_HEADERS) & (raw["packet_len"] < raw["len"])


def _summed(sums: np.ndarray, place: np.ndarray, size: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Add records to what is known of their places."""
    count = max(len(sums), int(place.max()) + 1)
    out = np.zeros(count, SUMS)
    out["first"], out["last"] = _NEVER, -_NEVER
    out[:len(sums)] = sums
    out["packets"] += np.bincount(place, minlength=count)
    out["bytes"] += np.bincount(place, size, count).astype("i8")
    order = np.argsort(place, kind="stable")
    places, starts = np.unique(place[order], return_index=True)
    out["first"][places] = np.minimum(out["first"][places], np.minimum.reduceat(time[order], starts))
    out["last"][places] = np.maximum(out["last"][places], np.maximum.reduceat(time[order], starts))
    return out


def window_of(bundle: Bundle) -> tuple[int, int]:
    """Return the window in monotonic ns; a window without bounds is all of time."""
    window, always = bundle.manifest["window"], (1 << 63) - 1
    return min(int(window.get("start_ns") or 0), always), min(int(window.get("end_ns") or always), always)


def read_rows(survey: Survey) -> Iterator[np.ndarray]:
    """Yield a bundle's rows, in pieces."""
    with open(survey.rows, "rb") as handle:
        while True:
            piece = np.fromfile(handle, ROW, _PIECE)
            if not len(piece):
                return
            yield piece


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
