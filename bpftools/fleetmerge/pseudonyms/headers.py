# SPDX-License-Identifier: Apache-2.0
"""Recorded headers without addresses: what is known to be a header's field stays, its addresses become their own ones,
and everything else is zero: checksums, from which addresses could be told, options, and what nobody knows."""
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..packet.headers import ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_TEB, GENEVE_PORT, VXLAN_PORTS
from .addresses import Addresses

_VLANS = (0x8100, 0x88A8, 0x9100)
_MAC, _V4, _V6 = 6, 4, 16       # bytes of an address, which name its kind
_MOST = 24                      # headers, one in the other
_ROOM = 64                      # bytes behind a packet that may be read: zeros
_OPTIONS, _ROUTING, _FRAGMENT, _AH, _TARGET = 0, 43, 44, 51, 60
Step = tuple[np.ndarray, np.ndarray]    # rows, where in each


@dataclass
class _Found:
    """What a walk over the headers found."""

    keep: np.ndarray                                       # bool[n, width]
    spots: dict[int, list[Step]] = field(default_factory=lambda: {_MAC: [], _V4: [], _V6: []})


def replaced(packet: np.ndarray, valid: np.ndarray, layer: np.ndarray, protocol: np.ndarray,
             own: Addresses) -> np.ndarray:
    """Return packet[] (u1[n, width]) with its addresses replaced. valid: bytes that were recorded of each; layer: 2 if
    it begins with Ethernet's header; protocol: the kernel's word for its ethertype."""
    walk = _Walk(packet)
    walk.run(layer, protocol)
    recorded = np.arange(packet.shape[1]) < valid[:, None]
    out = np.where(walk.found.keep[:, :packet.shape[1]] & recorded, packet, 0).astype("u1")
    for size, steps in walk.found.spots.items():
        for rows, at in steps:
            whole = at + size <= np.minimum(valid[rows], packet.shape[1])
            columns = at[whole, None] + np.arange(size)
            given = packet[rows[whole, None], columns]
            out[rows[whole, None], columns] = own.mac(given) if size == _MAC else own.ip(given)
    return out


class _Walk:
    """Goes from header to header, for all packets at once."""

    def __init__(self, packet: np.ndarray) -> None:
        self._bytes = np.pad(packet, ((0, 0), (0, _ROOM)))
        self._width = packet.shape[1]
        self.found = _Found(np.zeros(self._bytes.shape, bool))
        self._todo: list[tuple[Callable[..., None], np.ndarray, np.ndarray, tuple[np.ndarray, ...]]] = []

    def run(self, layer: np.ndarray, protocol: np.ndarray) -> None:
        """Walk over all packets."""
        start = np.zeros(len(layer), "i8")
        version = self._bytes[:, 0] >> 4
        kind = np.where(protocol > 0, protocol, np.where(version == 4, ETH_IPV4, np.where(version == 6, ETH_IPV6, 0)))
        self._then(self._ethernet, np.flatnonzero(layer == 2), start)
        bare = np.flatnonzero(layer != 2)
        self._then(self._ethertype, bare, start, kind.astype("i8"))
        for _ in range(_MOST):
            now, self._todo = self._todo, []
            for step, rows, at, more in now:
                step(rows, at, *more)

    def _then(self, step: Callable[..., None], rows: np.ndarray, at: np.ndarray, *more: np.ndarray) -> None:
        """Go on with some rows. at, more: of all packets, or of these rows."""
        if len(at) != len(rows):
            at, more = at[rows], tuple(one[rows] for one in more)
        inside = at < self._width
        if inside.any():
            self._todo.append((step, rows[inside], at[inside], tuple(one[inside] for one in more)))

    def _some(self, step: Callable[..., None], which: np.ndarray, rows: np.ndarray, at: np.ndarray,
              *more: np.ndarray) -> None:
        self._then(step, rows[which], at[which], *(one[which] for one in more))

    def _byte(self, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        return self._bytes[rows, np.minimum(at, self._bytes.shape[1] - 1)].astype("i8")

    def _word(self, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        return self._byte(rows, at) << 8 | self._byte(rows, at + 1)

    def _keep(self, rows: np.ndarray, at: np.ndarray, first: int, end: int) -> None:
        """Keep bytes of a header, from `first` to before `end`."""
        columns = np.minimum(at[:, None] + np.arange(first, end), self._bytes.shape[1] - 1)
        self.found.keep[rows[:, None], columns] = True

    def _spot(self, size: int, rows: np.ndarray, at: np.ndarray) -> None:
        self.found.spots[size].append((rows, at))

    def _ethernet(self, rows: np.ndarray, at: np.ndarray) -> None:
        self._keep(rows, at, 12, 14)
        self._spot(_MAC, rows, at)
        self._spot(_MAC, rows, at + 6)
        self._then(self._ethertype, rows, at + 14, self._word(rows, at + 12))

    def _ethertype(self, rows: np.ndarray, at: np.ndarray, kind: np.ndarray) -> None:
        tagged = np.isin(kind, _VLANS)
        self._keep(rows[tagged], at[tagged], 0, 4)
        self._some(self._ethertype, tagged, rows, at + 4, self._word(rows, at + 2))
        for ethertype, step in ((ETH_IPV4, self._ipv4), (ETH_IPV6, self._ipv6), (ETH_ARP, self._arp),
                                (ETH_TEB, self._ethernet)):
            self._some(step, kind == ethertype, rows, at)

    def _arp(self, rows: np.ndarray, at: np.ndarray) -> None:
        ours = (self._word(rows, at + 2) == ETH_IPV4) & (self._word(rows, at + 4) == _MAC << 8 | _V4)
        rows, at = rows[ours], at[ours]
        self._keep(rows, at, 0, 8)
        for size, place in ((_MAC, 8), (_V4, 14), (_MAC, 18), (_V4, 24)):
            self._spot(size, rows, at + place)

    def _ipv4(self, rows: np.ndarray, at: np.ndarray) -> None:
        own = self._byte(rows, at) >> 4 == 4
        rows, at = rows[own], at[own]
        self._keep(rows, at, 0, 10)
        self._spot(_V4, rows, at + 12)
        self._spot(_V4, rows, at + 16)
        first = self._word(rows, at + 6) & 0x1FFF == 0
        length = np.maximum((self._byte(rows, at) & 15) * 4, 20)
        self._some(self._transport, first, rows, at + length, self._byte(rows, at + 9))

    def _ipv6(self, rows: np.ndarray, at: np.ndarray) -> None:
        own = self._byte(rows, at) >> 4 == 6
        rows, at = rows[own], at[own]
        self._keep(rows, at, 0, 8)
        self._spot(_V6, rows, at + 8)
        self._spot(_V6, rows, at + 24)
        self._then(self._transport, rows, at + 40, self._byte(rows, at + 6))

    def _transport(self, rows: np.ndarray, at: np.ndarray, protocol: np.ndarray) -> None:
        for numbers, step in (((6,), self._tcp), ((17,), self._udp), ((1,), self._icmp), ((58,), self._icmpv6),
                              ((47,), self._gre), ((4,), self._ipv4), ((41,), self._ipv6), ((132,), self._sctp),
                              ((50,), self._esp)):
            self._some(step, np.isin(protocol, numbers), rows, at)
        more = np.isin(protocol, (_OPTIONS, _ROUTING, _TARGET, _FRAGMENT, _AH))
        self._some(self._extension, more, rows, at, protocol)

    def _extension(self, rows: np.ndarray, at: np.ndarray, protocol: np.ndarray) -> None:
        self._keep(rows, at, 0, 2)
        cut = protocol == _FRAGMENT
        self._keep(rows[cut], at[cut], 0, 8)
        size = self._byte(rows, at + 1)
        length = np.where(cut, 8, np.where(protocol == _AH, (size + 2) * 4, (size + 1) * 8))
        first = ~cut | (self._word(rows, at + 2) & 0xFFF8 == 0)
        self._some(self._transport, first, rows, at + length, self._byte(rows, at))

    def _tcp(self, rows: np.ndarray, at: np.ndarray) -> None:
        self._keep(rows, at, 0, 16)
        self._keep(rows, at, 18, 20)

    def _udp(self, rows: np.ndarray, at: np.ndarray) -> None:
        self._keep(rows, at, 0, 6)
        port = self._word(rows, at + 2)
        vxlan, geneve = np.isin(port, VXLAN_PORTS), port == GENEVE_PORT
        for some in (vxlan, geneve):
            self._keep(rows[some], at[some], 8, 16)
        self._some(self._ethernet, vxlan, rows, at + 16)
        self._some(self._ethertype, geneve, rows, at + 16 + (self._byte(rows, at + 8) & 0x3F) * 4,
                   self._word(rows, at + 10))

    def _gre(self, rows: np.ndarray, at: np.ndarray) -> None:
        flags = self._byte(rows, at)
        self._keep(rows, at, 0, 4)
        summed, keyed = (flags >> 7 & 1) * 4, (flags >> 5 & 1) * 4
        some = keyed > 0
        self._keep(rows[some], (at + summed)[some], 4, 8)
        self._then(self._ethertype, rows, at + 4 + summed + keyed + (flags >> 4 & 1) * 4, self._word(rows, at + 2))

    def _icmp(self, rows: np.ndarray, at: np.ndarray) -> None:
        kind = self._byte(rows, at)
        self._keep(rows, at, 0, 2)
        redirect = kind == 5
        self._keep(rows[~redirect], at[~redirect], 4, 8)
        self._spot(_V4, rows[redirect], at[redirect] + 4)
        self._some(self._ipv4, np.isin(kind, (3, 4, 5, 11, 12)), rows, at + 8)

    def _icmpv6(self, rows: np.ndarray, at: np.ndarray) -> None:
        kind = self._byte(rows, at)
        self._keep(rows, at, 0, 2)
        self._keep(rows, at, 4, 8)
        self._some(self._ipv6, np.isin(kind, (1, 2, 3, 4)), rows, at + 8)
        for kinds, place in (((135, 136, 137), 8), ((137,), 24)):
            some = np.isin(kind, kinds)
            self._spot(_V6, rows[some], at[some] + place)

    def _sctp(self, rows: np.ndarray, at: np.ndarray) -> None:
        self._keep(rows, at, 0, 8)

    def _esp(self, rows: np.ndarray, at: np.ndarray) -> None:
        self._keep(rows, at, 0, 8)
