# SPDX-License-Identifier: Apache-2.0
"""For whom a frame at a VM's device was. A switch that does not know where an address is floods what is for it, to VMs,
too, that it is not for.

A VM's own MAC addresses are those that came out of its device and of no other one of the host: a VM that is a bridge
hands on what is others'. If an address comes out of other devices from some time on, and of a VM's no more, the VM
moved: it was heard, though of what is for that address nothing is said. libvirt gives a VM's device the VM's own
address with 0xfe in front of it (virNetDevTapCreateInBridgePort in src/util/virnetdevtap.c). Of a VM that was not heard
yet, and whose device has no such address, nothing is said.
"""
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from ..arrays import numbered
from .identity import FOR_IT, FOR_OTHERS, OWNER, mix

_ETHERNET = 14
_GROUP = 1          # in an address's first byte: it is for many
_MOST = 10_000      # addresses of one host that are kept
_BEHIND = (1 << 40) - 1     # an address without its first byte


class Points(NamedTuple):
    """Where frames are seen, by the numbers of a bundle."""

    receive: Collection[int]        # points at which a device gives a frame
    send: Collection[int]           # points at which it is given one
    drop: Collection[int] = ()      # points at which packets are dropped
    inside: Collection[int] = ()    # code addresses at which a VM's device drops what it was given


class Frames:
    """The MAC addresses that came out of a host's devices, as far as its records were read."""

    def __init__(self, taps: Mapping[tuple[int, int], int | None], points: Points) -> None:
        """taps: (netns, ifindex) of VMs' devices -> the VM's address without its first byte, None if not known."""
        self._behind = {netns << 32 | ifindex: behind for (netns, ifindex), behind in taps.items()}
        self._taps = np.array(list(self._behind), "u8")
        self._receive, self._send, self._drop, self._inside = (np.array(list(some), "u8") for some in points)
        self._owner: dict[int, int | None] = {}     # address -> device; None: several
        self._moved: dict[int, int] = {}            # address -> device out of which it came until it came out of others

    def aims(self, raw: np.ndarray) -> np.ndarray:
        """Return FOR_IT, FOR_OTHERS, or 0 where nothing is known, for each of a bundle's next records."""
        out = np.zeros(len(raw), "u1")
        if not len(self._taps):
            return out
        framed = (raw["packet_layer"] == 2) & (raw["packet_len"] >= _ETHERNET)
        device = raw["netns"].astype("u8") << np.uint64(32) | raw["ifindex"]
        came = np.flatnonzero(framed & np.isin(raw["point"], self._receive))
        pairs, codes = _different(device[came], raw["packet"][came, 6:12])
        for row in _ends(codes):
            self._hear(*pairs[codes[row]])
        heard = {owner for owner in (*self._owner.values(), *self._moved.values()) if owner is not None}
        into = np.isin(raw["point"], self._send) | (
            np.isin(raw["point"], self._drop) & np.isin(raw["location"], self._inside))
        given = np.flatnonzero(framed & into & np.isin(device, self._taps) & (raw["packet"][:, 0] & _GROUP == 0))
        pairs, codes = _different(device[given], raw["packet"][given, :6])
        out[given] = np.array([self._aim(tap, address, tap in heard) for tap, address in pairs], "u1")[codes]
        return out

    def toward(self, raw: np.ndarray) -> np.ndarray:
        """Return a hash of the address that a frame was for, of frames given to devices that lead to no VM; else 0."""
        out = np.zeros(len(raw), "u4")
        device = raw["netns"].astype("u8") << np.uint64(32) | raw["ifindex"]
        gone = np.flatnonzero((raw["packet_layer"] == 2) & (raw["packet_len"] >= _ETHERNET) & np.isin(
            raw["point"], self._send) & ~np.isin(device, self._taps) & (raw["packet"][:, 0] & _GROUP == 0))
        out[gone] = _hashed(_address(raw["packet"][gone, :6]))
        return out

    def owners(self) -> np.ndarray:
        """Return OWNER of the VMs that were heard."""
        heard = [(owner >> 32, owner & 0xFFFFFFFF, address) for address, owner in self._owner.items()
                 if owner in self._behind]
        out = np.zeros(len(heard), OWNER)
        if heard:
            out["netns"], out["ifindex"], address = (np.array(column, "u8") for column in zip(*heard, strict=True))
            out["mac"] = _hashed(address)
        return out

    def _hear(self, device: int, address: int) -> None:
        """Keep that an address came out of a device, after those that came before."""
        owner = self._owner.get(address, device)
        if self._moved.get(address) == device:      # it did not move: one of them hands it on
            del self._moved[address]
        elif owner is not None and owner != device:
            self._owner[address], self._moved[address] = None, owner
        elif address not in self._owner and len(self._owner) < _MOST:
            self._owner[address] = device

    def _aim(self, tap: int, address: int, heard: bool) -> int:
        behind = self._behind[tap]
        if self._owner.get(address) == tap or (behind is not None and address & _BEHIND == behind):
            return FOR_IT
        if self._moved.get(address) == tap:
            return 0
        return FOR_OTHERS if heard or behind is not None else 0


def _different(device: np.ndarray, octets: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return (the different pairs of device and address; the number of each row's)."""
    address = _address(octets)
    codes, first = numbered(mix(device, address))
    return list(zip(device[first].tolist(), address[first].tolist(), strict=True)), codes


def _ends(codes: np.ndarray) -> list[int]:
    """Return the first and the last row of each code, in the order of the rows."""
    first = numbered(codes)[1]
    last = len(codes) - 1 - numbered(codes[::-1])[1]
    return np.unique(np.concatenate([first, last])).tolist()


def _address(octets: np.ndarray) -> np.ndarray:
    """Return addresses as numbers."""
    address = np.zeros(len(octets), "u8")
    for column in octets.T:
        address = address << np.uint64(8) | column
    return address


def _hashed(address: np.ndarray) -> np.ndarray:
    """Return a number that is not 0 for each address."""
    return np.maximum(mix(address, 0).astype("u4"), 1)
