# SPDX-License-Identifier: Apache-2.0
"""What asks for an answer, and what answers it: SYN and SYN-ACK or RST, requests and replies of echo and of ARP, and
solicitation and advertisement of an IPv6 neighbour."""
from collections.abc import Iterable

import numpy as np

from ..packet.headers import ICMP, ICMPV6
from ..packet.identity import IS_ARP, IS_OTHER, IS_TCP, mix
from .packets import Packets

SYN, ECHO, ARP, ND = range(1, 5)
NAMES = ("", "SYN", "echo request", "ARP request", "neighbour solicitation")
SIGHT = np.dtype([("key", "<u8"),      # who was asked what; an answer has its question's
                  ("kind", "u1"), ("refused", "?"), ("place", "<u4"),
                  ("time", "<i8"),     # by the machine's own clock
                  ("flow", "<u8"), ("network", "<u4"), ("row", "<u4")])
# questions of one kind that were seen last at one place; flow, network, journey: of the flow that has most of them
UNANSWERED = np.dtype([("kind", "u1"), ("outcome", "u1"), ("last", "<u4"), ("packets", "<i8"), ("flows", "<i8"),
                       ("first", "<i8"), ("latest", "<i8"), ("flow", "<u8"), ("network", "<u4"), ("journey", "<u8")])
_PLACE = ["kind", "outcome", "last"]
_FLOW = [*_PLACE, "flow", "network"]
NEIGHBOURS = np.dtype([("flow", "<u8"), ("asks", "<u8"), ("answers", "<u8")])
_NUMBER = 1 << 16     # the number of an echo has its id in front
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_REQUEST, _REPLY = 1, 2     # of ARP
_SOLICIT, _ADVERTISE = 135 << 8, 136 << 8    # ICMPv6's type, as ROW.seq has it


def neighbours_of(words: np.ndarray) -> np.ndarray:
    """Return NEIGHBOURS, sorted by flow: keys of who asks for whom in each flow of ICMPv6, and of who answers whom.

    A solicitation goes to a group that has the last 24 bits of the address in question (RFC 4291, 2.7.1); the
    advertisement comes from that address. words: identity.FLOW. What has no address yet gets no answer, so asks nobody.
    """
    some = words[(words["version"] == 6) & (words["protocol"] == ICMPV6)]
    out = np.zeros(len(some), NEIGHBOURS)
    out["flow"] = some["flow"]
    for name, asker, asked in (("asks", "source", "target"), ("answers", "target", "source")):
        whole = np.ascontiguousarray(some[asker]).view("<u8")
        last = np.ascontiguousarray(some[asked][:, 12:]).view(">u4")[:, 0] & 0xFFFFFF
        out[name] = np.where(some[asker].any(axis=1), mix(mix(whole[:, 0], whole[:, 1]), last), 0)
    return np.sort(out, order="flow")


def questions(packets: Packets, row: np.ndarray, flows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Return those of some rows that are questions. flows: as the atlas has them; neighbours: NEIGHBOURS."""
    rows = packets.units.rows
    syn = rows["flags"][row] & (_FIN | _SYN | _RST | _ACK) == _SYN
    fits = np.where(rows["kind"][row] == IS_TCP, syn, rows["flags"][row] > 0)
    return np.concatenate([_sights(packets, row, flows, fits, back=False),
                           _solicited(packets, row, neighbours, _SOLICIT, "asks")])


def answers(packets: Packets, flows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Return all rows that are answers."""
    rows = packets.units.rows
    flags = rows["flags"] & (_FIN | _SYN | _RST | _ACK)
    syn = ((flags == _SYN | _ACK) | (flags == _RST | _ACK)) & (rows["size"] == 0)
    fits, row = np.where(rows["kind"] == IS_TCP, syn, rows["flags"] == 0), np.arange(len(packets.units.host))
    return np.concatenate([_sights(packets, row, flows, fits, back=True),
                           _solicited(packets, row, neighbours, _ADVERTISE, "answers")])


def _solicited(packets: Packets, row: np.ndarray, neighbours: np.ndarray, message: int, name: str) -> np.ndarray:
    """Return the rows with this message of neighbour discovery, with keys."""
    rows = packets.units.rows
    row = row[(rows["kind"][row] == IS_OTHER) & (rows["seq"][row] == message)]
    if not len(row) or not len(neighbours):
        return np.zeros(0, SIGHT)
    known = neighbours[np.searchsorted(neighbours["flow"], packets.units.said[row]).clip(max=len(neighbours) - 1)]
    fit = (known["flow"] == packets.units.said[row]) & (known[name] > 0)
    row, known = row[fit], known[fit]
    return _filled(packets, row, np.full(len(row), ND, "u1"), known[name])


def _filled(packets: Packets, row: np.ndarray, kind: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return SIGHT; key: without the kind."""
    rows = packets.units.rows
    out = np.zeros(len(row), SIGHT)
    out["kind"], out["key"] = kind, mix(key, kind.astype("u8"))
    out["refused"] = (kind == SYN) & (rows["flags"][row] & _RST > 0)
    out["time"], out["place"], out["row"] = packets.units.own[row], rows["place"][row], row
    out["flow"], out["network"] = rows["flow"][row], rows["network"][row]
    return out


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
    return _filled(packets, row, np.where(tcp, SYN, np.where(arp, ARP, ECHO)).astype("u1"),
                   mix(mix(flow["back"] if back else flow["group"], np.where(tcp, ports, 0)), np.where(arp, 0, number)))


def sum_unanswered(each: np.ndarray) -> np.ndarray:
    """Return UNANSWERED of single questions, by place."""
    return join_unanswered([_summed(each, _FLOW)])


def join_unanswered(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the rows of several parts, which have no flow in common, by place."""
    return _summed(np.concatenate(list(parts)), _PLACE)


def _summed(rows: np.ndarray, same: list[str]) -> np.ndarray:
    """Add up what is the same in these columns; the rest is that of the row with most packets, the earliest of them."""
    if not len(rows):
        return rows
    rows = rows[np.lexsort([rows["first"], -rows["packets"], *(rows[name] for name in same[::-1])])]
    starts = np.flatnonzero(np.append(True, rows[same][1:] != rows[same][:-1]))
    out = rows[starts]
    out["packets"] = np.add.reduceat(rows["packets"], starts)
    out["flows"] = 1 if same == _FLOW else np.add.reduceat(rows["flows"], starts)
    out["first"] = np.minimum.reduceat(rows["first"], starts)
    out["latest"] = np.maximum.reduceat(rows["latest"], starts)
    return out
