# SPDX-License-Identifier: Apache-2.0
"""Keep-alives and probes: TCP segments that only ask for an answer. They begin one byte below the end of all that was
sent before, and carry no byte, or that one byte, which was part of a larger segment when it was sent first."""
import numpy as np

from ..arrays import by_time
from ..packet.identity import IS_TCP, mix
from .packets import Packets

_FIN, _SYN, _RST = 1, 2, 4
_WIDE = 40    # bits for the bytes of one flow


def keepalives(packets: Packets, at: np.ndarray) -> np.ndarray:
    """Return which packets are keep-alives. at: the first unit of each."""
    units = packets.units
    rows = units.rows
    out = np.zeros(len(at), bool)
    some = np.flatnonzero((rows["kind"][units.row[at]] == IS_TCP) & (units.number[at] == 0))
    if not len(some):
        return out
    row = units.row[at[some]]
    flow = rows["flow"][row]
    order = by_time(flow, rows["time"][row])
    some, row, flow = some[order], row[order], flow[order]
    size, flags = rows["size"][row].astype("i8"), rows["flags"][row]
    new = np.append(True, flow[1:] != flow[:-1])
    begin = _positions(rows["seq"][row].astype("i8"), new) + (np.cumsum(new) << _WIDE)
    end = np.maximum.accumulate(begin + size + ((flags & _SYN) > 0) + ((flags & _FIN) > 0))
    asks = np.append(False, begin[1:] == end[:-1] - 1) & ~new & (flags & (_SYN | _FIN | _RST) == 0)
    one = np.flatnonzero((size == 1) & (flags & (_SYN | _FIN | _RST) == 0))
    asks &= size <= 1
    if len(one):
        # sent first as one byte it is that byte, sent again
        _, first, of = np.unique(mix(flow[one], begin[one].astype("u8")), return_index=True, return_inverse=True)
        asks[one] &= asks[one][first][of]
    out[some] = asks
    return out


def _positions(seq: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return where in its flow each segment begins, from 2**34 on; new: segments that are the first of their flow."""
    step = np.append(0, ((np.diff(seq) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31))    # the short way round
    step[new] = 0
    total = np.cumsum(step)
    return total - total[np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))] + (1 << 34)
