# SPDX-License-Identifier: Apache-2.0
"""Records as the frames that an expression sees, by the rules of bpf/frame.h: an accelerated VLAN tag is back between
addresses and ethertype; where there is no MAC header the ethertype stands before the network header all the same, and
only the addresses are missing. Of payload nothing is known, as a rule."""
from dataclasses import dataclass

import numpy as np

from ..packet.headers import ETH_IPV4, ETH_IPV6, TCP, be16

_ADDRESSES, _TAG, _ETHERTYPE, _IPV6 = 12, 4, 2, 40    # bytes
_VLAN = (0x81, 0x00)
# bytes of TCP's own packets, whose headers the tracer made up (bpf/socket.h), from the network header on: version,
# length, fragment, protocol, addresses; ports, sequence number, data offset, flags
_TCP = [*range(8), 12, 13]
_MADE_UP = {4: [0, 2, 3, 6, 7, 9, *range(12, 20), *(20 + at for at in _TCP)],
            6: [0, 4, 5, 6, *range(8, 40), *(40 + at for at in _TCP)]}


@dataclass
class Frames:
    """Frames of one width; `known`: the bytes that were recorded."""

    data: np.ndarray     # u1[n, width]
    known: np.ndarray    # bool[n, width]
    total: np.ndarray    # i8: bytes that the frame had
    exist: np.ndarray    # bool: it is a frame at all

    def __len__(self) -> int:
        return len(self.data)

    def load(self, rows: np.ndarray, at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (1, 2 or 4 bytes of some frames as numbers, whether they are known, whether they are behind the end).
        rows, at: one offset for each of the frames."""
        place = at.astype("i8")
        beyond = place + size > self.total[rows]
        inside = place + size <= self.data.shape[1]
        first = np.where(inside, place, 0)
        value, known = np.zeros(len(rows), "u4"), inside & ~beyond
        for number in range(size):
            value = value << np.uint32(8) | self.data[rows, first + number]
            known &= self.known[rows, first + number]
        return value, known, beyond


def lay_out(raw: np.ndarray) -> Frames:
    """Return the frames of canonical records."""
    packet = raw["packet"]
    valid = np.minimum(raw["packet_len"], packet.shape[1]).astype("i8")
    has_addresses, tagged = raw["packet_layer"] == 2, raw["vlan_present"] > 0
    kind = _ethertype(raw, has_addresses)
    width = _ADDRESSES + _TAG + _ETHERTYPE + packet.shape[1]
    data, known = np.zeros((len(raw), width), "u1"), np.zeros((len(raw), width), bool)
    recorded = _recorded(raw, valid, has_addresses)
    for ethernet in (True, False):
        for tag in (True, False):
            rows = np.flatnonzero((has_addresses == ethernet) & (tagged == tag))
            if len(rows):
                _fill(data, known, rows, raw, recorded, kind, ethernet, tag)
    total = np.where(has_addresses, raw["len"].astype("i8") + raw["data_offset"] - raw["mac_offset"],
                     _ADDRESSES + _ETHERTYPE + _network_length(raw, packet, kind))
    total = np.maximum(total, valid + np.where(has_addresses, 0, _ADDRESSES + _ETHERTYPE))
    return Frames(data, known, total + _TAG * tagged, has_addresses | (kind > 0))


def _fill(data: np.ndarray, known: np.ndarray, rows: np.ndarray, raw: np.ndarray, recorded: np.ndarray,
          kind: np.ndarray, ethernet: bool, tag: bool) -> None:
    """Lay out frames that have the same parts."""
    packet, at, start = raw["packet"][rows], _ADDRESSES, 0
    if ethernet:
        data[rows, :_ADDRESSES], known[rows, :_ADDRESSES] = packet[:, :_ADDRESSES], recorded[rows, :_ADDRESSES]
        start = _ADDRESSES
    if tag:
        tci = raw["vlan_tci"][rows]
        data[rows, at:at + _TAG] = np.stack([np.full(len(rows), _VLAN[0]), np.full(len(rows), _VLAN[1]), tci >> 8,
                                             tci & 0xFF], 1)
        known[rows, at:at + _TAG] = True
        at += _TAG
    if not ethernet:
        data[rows, at:at + _ETHERTYPE] = np.stack([kind[rows] >> 8, kind[rows] & 0xFF], 1)
        known[rows, at:at + _ETHERTYPE] = True
        at += _ETHERTYPE
    end = at + packet.shape[1] - start
    data[rows, at:end], known[rows, at:end] = packet[:, start:], recorded[rows, start:]


def _recorded(raw: np.ndarray, valid: np.ndarray, has_addresses: np.ndarray) -> np.ndarray:
    """Return which bytes of packet[] are the packet's."""
    packet = raw["packet"]
    out = np.arange(packet.shape[1]) < valid[:, None]
    version = packet[:, 0] >> 4
    for number, protocol, hops in ((4, 9, 8), (6, 6, 7)):
        # no packet is sent without a hop
        made_up = ~has_addresses & (version == number) & (packet[:, protocol] == TCP) & (packet[:, hops] == 0)
        if made_up.any():
            sure = np.zeros(packet.shape[1], bool)
            sure[_MADE_UP[number]] = True
            out[made_up] &= sure
    return out


def _ethertype(raw: np.ndarray, has_addresses: np.ndarray) -> np.ndarray:
    """Return the ethertypes of packets without an Ethernet header; where the kernel does not know it yet, IP's."""
    version = raw["packet"][:, 0] >> 4
    guess = np.where(version == 4, ETH_IPV4, np.where(version == 6, ETH_IPV6, 0))
    return np.where(has_addresses, 0, np.where(raw["protocol"] > 0, raw["protocol"], guess)).astype("i8")


def _network_length(raw: np.ndarray, packet: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return the bytes from the network header on; by IP's own word, where it has one: of TCP's own packets the
    kernel's offsets say nothing."""
    out = raw["len"].astype("i8") - (raw["network_offset"].astype("i8") - raw["data_offset"])
    for ethertype, at, more in ((ETH_IPV4, 2, 0), (ETH_IPV6, 4, _IPV6)):
        said = be16(packet, at).astype("i8")
        sure = (kind == ethertype) & (said > 0)
        out = np.where(sure, said + more, out)
    return out
