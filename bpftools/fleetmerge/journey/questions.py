# SPDX-License-Identifier: Apache-2.0
"""What asks for an answer, and what answers it: SYN and SYN-ACK or RST, requests and replies of echo and of ARP."""
from collections.abc import Iterable

import numpy as np

from ..packet.headers import ICMP, ICMPV6
from ..packet.identity import IS_ARP, IS_OTHER, IS_TCP, mix
from .packets import Packets

SYN, ECHO, ARP = range(1, 4)
NAMES = ("", "SYN", "echo request", "ARP request")
SIGHT = np.dtype([("key", "<u8"),      # who was asked what; an answer has its question's
                  ("kind", "u1"), ("refused", "?"), ("place", "<u4"),
                  ("time", "<i8"),     # by the machine's own clock
                  ("flow", "<u8"), ("network", "<u4"), ("row", "<u4")])
UNANSWERED = np.dtype([("flow", "<u8"), ("network", "<u4"), ("kind", "u1"), ("outcome", "u1"), ("last", "<u4"),
                       ("packets", "<i8"), ("first", "<i8"), ("latest", "<i8"), ("journey", "<u8")])
_ONE = ["flow", "network", "kind", "outcome", "last"]   # what one row is about
_NUMBER = 1 << 16     # the number of an echo has its id in front
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_REQUEST, _REPLY = 1, 2     # of ARP


def questions(packets: Packets, row: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """Return those of some rows that are questions. flows: as the atlas has them."""
    rows = packets.units.rows
    syn = rows["flags"][row] & (_FIN | _SYN | _RST | _ACK) == _SYN
    return _sights(packets, row, flows, np.where(rows["kind"][row] == IS_TCP, syn, rows["flags"][row] > 0), back=False)


def answers(packets: Packets, flows: np.ndarray) -> np.ndarray:
    """Return all rows that are answers."""
    rows = packets.units.rows
    flags = rows["flags"] & (_FIN | _SYN | _RST | _ACK)
    syn = ((flags == _SYN | _ACK) | (flags == _RST | _ACK)) & (rows["size"] == 0)
    return _sights(packets, np.arange(len(rows)), flows, np.where(rows["kind"] == IS_TCP, syn, rows["flags"] == 0),
                   back=True)


def _sights(packets: Packets, row: np.ndarray, flows: np.ndarray, fits: np.ndarray, back: bool) -> np.ndarray:
    """Return the rows that fit, with keys. fits: whether their flags do, which ARP has none of."""
    units = packets.units
    rows = units.rows
    kind = rows["kind"][row]
    some = (((kind == IS_TCP) | ((kind == IS_OTHER) & (rows["seq"][row] >= _NUMBER))) & fits) | (kind == IS_ARP)
    row, kind = row[some], kind[some]
    flow = flows[np.searchsorted(flows["flow"], units.said[row]).clip(max=max(len(flows) - 1, 0))]
    tcp, arp = kind == IS_TCP, kind == IS_ARP
    fit = (flow["flow"] == units.said[row]) & np.where(
        arp, (flow["kind"] == (_REPLY if back else _REQUEST)) & (flow["group"] != flow["back"]),   # not about itself
        tcp | np.isin(flow["protocol"], (ICMP, ICMPV6)))
    row, flow, tcp, arp = row[fit], flow[fit], tcp[fit], arp[fit]
    source, target = (flow[name].astype("u8") for name in ("source_port", "target_port"))
    ports = np.where(back, (target << np.uint64(16)) | source, (source << np.uint64(16)) | target)
    number = rows["seq"][row].astype("u8")
    # the hash of a segment without a byte is what it acknowledges, and one more
    number = np.where(tcp, (rows["hash"][row] - np.uint64(2)) & np.uint64(0xFFFFFFFF) if back else number, number)
    out = np.zeros(len(row), SIGHT)
    out["kind"] = np.where(tcp, SYN, np.where(arp, ARP, ECHO))
    out["refused"] = tcp & (rows["flags"][row] & _RST > 0)
    out["key"] = mix(mix(mix(flow["back"] if back else flow["group"], np.where(tcp, ports, 0)),
                         np.where(arp, 0, number)), out["kind"].astype("u8"))
    out["time"], out["place"], out["row"] = units.own[row], rows["place"][row], row
    out["flow"], out["network"] = rows["flow"][row], rows["network"][row]
    return out


def join_unanswered(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the rows of several parts, what is about the same added up."""
    together = np.concatenate(list(parts))
    if not len(together):
        return together
    together = together[np.lexsort([together["first"], *(together[name] for name in _ONE[::-1])])]
    new = np.append(True, (together[_ONE][1:] != together[_ONE][:-1]))
    starts = np.flatnonzero(new)
    out = together[starts]
    out["packets"] = np.add.reduceat(together["packets"], starts)
    out["latest"] = np.maximum.reduceat(together["latest"], starts)
    return out
