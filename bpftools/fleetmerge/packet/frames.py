# SPDX-License-Identifier: Apache-2.0
"""For whom a frame at a VM's device was. A switch that does not know where an address is floods what is for it, to VMs,
too, that it is not for.

A VM's own MAC addresses are those that came out of its device and of no other one of the host: a VM that is a bridge
hands on what is others'. Of a VM that was not heard yet nothing is said.
"""
from collections.abc import Collection, Iterable

import numpy as np

from ..arrays import numbered
from .identity import FOR_IT, FOR_OTHERS, mix

_ETHERNET = 14
_GROUP = 1          # in an address's first byte: it is for many
_MOST = 10_000      # addresses of one host that are kept


class Frames:
    """The MAC addresses that came out of a host's devices, as far as its records were read."""

    def __init__(self, taps: Iterable[tuple[int, int]], receive: Collection[int], send: Collection[int]) -> None:
        """taps: (netns, ifindex) of VMs' devices; receive, send: points at which a device gives frames, or is given
        them."""
        self._taps = np.array([netns << 32 | ifindex for netns, ifindex in taps], "u8")
        self._receive, self._send = list(receive), list(send)
        self._owner: dict[int, int | None] = {}     # address -> device; None: several

    def aims(self, raw: np.ndarray) -> np.ndarray:
        """Return FOR_IT, FOR_OTHERS, or 0 where nothing is known, for each of a bundle's next records."""
        out = np.zeros(len(raw), "u1")
        if not len(self._taps):
            return out
        framed = (raw["packet_layer"] == 2) & (raw["packet_len"] >= _ETHERNET)
        device = raw["netns"].astype("u8") << np.uint64(32) | raw["ifindex"]
        came = np.flatnonzero(framed & np.isin(raw["point"], self._receive))
        for owner, address in _different(device[came], raw["packet"][came, 6:12])[0]:
            if len(self._owner) < _MOST or address in self._owner:
                self._owner[address] = owner if self._owner.get(address, owner) == owner else None
        heard = {owner for owner in self._owner.values() if owner is not None}
        given = np.flatnonzero(framed & np.isin(raw["point"], self._send) & np.isin(device, self._taps)
                               & (raw["packet"][:, 0] & _GROUP == 0))
        pairs, codes = _different(device[given], raw["packet"][given, :6])
        each = [0 if owner not in heard else FOR_IT if self._owner.get(address) == owner else FOR_OTHERS
                for owner, address in pairs]
        out[given] = np.array(each, "u1")[codes]
        return out


def _different(device: np.ndarray, octets: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return (the different pairs of device and address; the number of each row's)."""
    address = np.zeros(len(octets), "u8")
    for column in octets.T:
        address = address << np.uint64(8) | column
    codes, first = numbered(mix(device, address))
    return list(zip(device[first].tolist(), address[first].tolist(), strict=True)), codes
