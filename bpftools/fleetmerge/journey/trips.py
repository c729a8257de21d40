# SPDX-License-Identifier: Apache-2.0
"""Round trips: from a SYN to its SYN-ACK, from an echo's request to its reply, both seen at the device where the
request began, by one clock. What was sent more than once is left out: nobody knows which of them was answered."""
from collections.abc import Iterable

import numpy as np

from ..packet.identity import mix
from .atlas import Layout
from .packets import Packets
from .questions import ECHO, SYN, questions

TRIP = np.dtype([("flow", "<u8"), ("network", "<u4"), ("ns", "<i8")])
_KEPT = 1000          # of each flow: the shortest, the longest, and what lies evenly in between


def round_trips(packets: Packets, origin: np.ndarray, layout: Layout, flows: np.ndarray, neighbours: np.ndarray,
                answered: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return TRIP of one part, sorted. origin: the first unit of each packet; flows, neighbours: see
    questions.py; answered: SIGHT of all answers; wanted: by packet, whether its own is; None: of all."""
    first = packets.units.row[origin[packets.units.number[origin] == 0]]
    asked = _at_devices(questions(packets, first, flows, neighbours), layout)
    answered = _at_devices(answered, layout)
    answered = answered[~answered["refused"]]
    keys, first, count = np.unique(asked["key"], return_index=True, return_counts=True)
    asked = asked[first[count == 1]]
    if wanted is not None:
        asked = asked[np.isin(asked["row"], packets.units.row[origin[wanted]])]
    answered = answered[np.lexsort((answered["time"], answered["key"]))]
    at = np.searchsorted(answered["key"], asked["key"])
    known = at < len(answered)
    known[known] = answered["key"][at[known]] == asked["key"][known]
    asked, took = asked[known], answered["time"][at[known]] - asked["time"][known]
    out = np.zeros(int((took >= 0).sum()), TRIP)
    for name in ("flow", "network"):
        out[name] = asked[name][took >= 0]
    out["ns"] = took[took >= 0]
    return _thinned(out)


def join_trips(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the trips of several parts as one table."""
    return _thinned(np.concatenate(list(parts)))


def _at_devices(sights: np.ndarray, layout: Layout) -> np.ndarray:
    """Return sights whose keys tell the device, too; others have no number that tells which one was answered."""
    sights = sights[np.isin(sights["kind"], (SYN, ECHO))]
    sights["key"] = mix(sights["key"], layout.device[sights["place"]].astype("u8"))
    return sights


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
