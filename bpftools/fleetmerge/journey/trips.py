# SPDX-License-Identifier: Apache-2.0
"""Round trips: from a SYN to its SYN-ACK, from an echo's request to its reply, both seen at the device where the
request began, by one clock. What was sent more than once is left out: nobody knows which of them was answered."""
from collections.abc import Iterable

import numpy as np

from ..packet.headers import ICMP, ICMPV6
from ..packet.identity import IS_OTHER, IS_TCP, mix
from .atlas import Layout
from .packets import Packets

TRIP = np.dtype([("flow", "<u8"), ("network", "<u4"), ("ns", "<i8")])
_KEPT = 1000          # of each flow: the shortest, the longest, and what lies evenly in between
_ECHO = 1 << 16       # the number of an echo has its id in front
_SYN, _ACK, _ODD = 2, 16, 2 | 1 | 4


def round_trips(packets: Packets, origin: np.ndarray, layout: Layout, flows: np.ndarray,
                wanted: np.ndarray | None = None) -> np.ndarray:
    """Return TRIP of one part, sorted. origin: the first unit of each packet; flows: as the atlas has them; wanted: by
    packet, whether its own is; None: of all."""
    asked = _asked(packets, origin, layout, flows)
    answers = _answers(packets, layout, flows)
    keys, first, count = np.unique(asked["key"], return_index=True, return_counts=True)
    asked = asked[first[count == 1]]
    if wanted is not None:
        asked = asked[np.isin(asked["row"], packets.units.row[origin[wanted]])]
    order = np.lexsort((answers["time"], answers["key"]))
    answers = answers[order]
    at = np.searchsorted(answers["key"], asked["key"])
    known = at < len(answers)
    known[known] = answers["key"][at[known]] == asked["key"][known]
    asked, took = asked[known], answers["time"][at[known]] - asked["time"][known]
    out = np.zeros(int((took >= 0).sum()), TRIP)
    for name in ("flow", "network"):
        out[name] = asked[name][took >= 0]
    out["ns"] = took[took >= 0]
    return _thinned(out)


def join_trips(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the trips of several parts as one table."""
    return _thinned(np.concatenate(list(parts)))


_SIGHT = np.dtype([("key", "<u8"), ("time", "<i8"), ("flow", "<u8"), ("network", "<u4"), ("row", "<u4")])


def _asked(packets: Packets, origin: np.ndarray, layout: Layout, flows: np.ndarray) -> np.ndarray:
    """Return the requests, each where it began. Their key: who was asked what, at which device."""
    units = packets.units
    rows = units.rows
    row = units.row[origin[units.number[origin] == 0]]
    kind, flags = rows["kind"][row], rows["flags"][row]
    syn = (kind == IS_TCP) & (flags & (_ODD | _ACK) == _SYN)
    echo = (kind == IS_OTHER) & (rows["seq"][row] >= _ECHO)
    row = row[syn | echo]
    return _sights(units.said, rows, units.own, row, layout, flows, back=False)


def _answers(packets: Packets, layout: Layout, flows: np.ndarray) -> np.ndarray:
    """Return the answers, at each place that saw them."""
    units = packets.units
    rows = units.rows
    syn = (rows["kind"] == IS_TCP) & (rows["flags"] & (_ODD | _ACK) == _SYN | _ACK) & (rows["size"] == 0)
    echo = (rows["kind"] == IS_OTHER) & (rows["seq"] >= _ECHO)
    row = np.flatnonzero(syn | echo)
    return _sights(units.said, rows, units.own, row, layout, flows, back=True)


def _sights(said: np.ndarray, rows: np.ndarray, own: np.ndarray, row: np.ndarray, layout: Layout, flows: np.ndarray,
            back: bool) -> np.ndarray:
    """Return the rows with keys: device, addresses, ports and number, of an answer as its request has them."""
    flow = flows[np.searchsorted(flows["flow"], said[row]).clip(max=max(len(flows) - 1, 0))]
    tcp = rows["kind"][row] == IS_TCP
    fit = (flow["flow"] == said[row]) & (tcp | np.isin(flow["protocol"], (ICMP, ICMPV6)))
    row, flow, tcp = row[fit], flow[fit], tcp[fit]
    source, target = (flow[name].astype("u8") for name in ("source_port", "target_port"))
    ends = np.where(back, flow["back"], flow["group"])
    ports = np.where(back, (target << np.uint64(16)) | source, (source << np.uint64(16)) | target)
    number = rows["seq"][row].astype("u8")
    # the hash of a segment without a byte is what it acknowledges, and one more
    number = np.where(tcp, (rows["hash"][row] - np.uint64(2)) & np.uint64(0xFFFFFFFF) if back else number, number)
    out = np.zeros(len(row), _SIGHT)
    device = layout.device[rows["place"][row]].astype("u8")
    out["key"] = mix(mix(mix(ends, np.where(tcp, ports, 0)), number), device * np.uint64(2) + tcp)
    out["time"], out["flow"], out["network"], out["row"] = own[row], rows["flow"][row], rows["network"][row], row
    return out


def _thinned(trips: np.ndarray) -> np.ndarray:
    """Return the trips, sorted, at most about _KEPT of each flow."""
    trips = trips[np.lexsort((trips["ns"], trips["network"], trips["flow"]))]
    if not len(trips):
        return trips
    new = np.append(True, (trips["flow"][1:] != trips["flow"][:-1]) | (trips["network"][1:] != trips["network"][:-1]))
    start = np.flatnonzero(new)
    count = np.diff(np.append(start, len(trips)))
    if count.max() <= _KEPT:
        return trips
    rank, many = np.arange(len(trips)) - np.repeat(start, count), np.repeat(count, count)
    step = rank * _KEPT // many
    keep = (many <= _KEPT) | (rank == 0) | (rank == many - 1) | (step != (rank - 1) * _KEPT // many)
    return trips[keep]
