# SPDX-License-Identifier: Apache-2.0
"""TCP segments that were sent again: their bytes were sent before, in another packet."""
import numpy as np

from ..packet.identity import IS_TCP
from .units import Units

_FIN, _SYN = 1, 2


def count_retransmissions(units: Units, starts: np.ndarray) -> dict[int, int]:
    """Return flow -> segments that were sent again.

    starts: the first row of each packet. Each flow's packets are taken in the order in which the place that most of
    them came from saw them.
    """
    starts = starts[units.rows["kind"][units.row[starts]] == IS_TCP]
    if not len(starts):
        return {}
    flow, place = units.flow[starts], units.place[starts]
    starts = starts[place == _usual_place(flow, place)]
    row, number = units.rows[units.row[starts]], units.number[starts]
    unit = row["unit"].astype("i8")
    final = (unit == 0) | ((number + 1) * unit >= row["size"])
    length = units.length[starts].astype("i8")
    length += ((row["flags"] & _SYN) > 0) + (((row["flags"] & _FIN) > 0) & final)
    begin = units.seq[starts].astype("i8")
    order = np.lexsort((number, units.time[starts], units.flow[starts]))
    order = order[length[order] > 0]
    if not len(order):
        return {}
    flow, begin, length = units.flow[starts][order], begin[order], length[order]
    new = np.append(True, flow[1:] != flow[:-1])
    # sequence numbers wrap: each step to the next is the short way round
    step = np.append(0, ((np.diff(begin) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31))
    step[new] = 0
    total = np.cumsum(step)
    offset = total - total[np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))]
    group = np.cumsum(new) - 1
    span = int(np.abs(offset).max() + length.max()) * 2 + 2
    reached = np.maximum.accumulate(group * span + offset + length)
    before = np.append(-1, reached[:-1])
    again = ~new & (group * span + offset < before)
    flows, counts = np.unique(flow[again], return_counts=True)
    return dict(zip(flows.tolist(), counts.tolist(), strict=True))


def _usual_place(flow: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return, for each packet, the place where most packets of its flow were seen first."""
    pairs, of, counts = np.unique(np.column_stack([flow, place.astype("u8")]), axis=0, return_inverse=True,
                                  return_counts=True)
    order = np.lexsort((counts, pairs[:, 0]))
    last = np.append(pairs[order][1:, 0] != pairs[order][:-1, 0], True)
    best = pairs[order][last]
    return best[np.searchsorted(best[:, 0], flow), 1].astype(place.dtype)
