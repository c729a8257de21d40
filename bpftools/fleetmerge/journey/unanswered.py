# SPDX-License-Identifier: Apache-2.0
"""Questions to which no answer was recorded anywhere in the run, whatever became of them."""
import numpy as np

from ..packet.identity import IS_FRAGMENT, among
from .part import Setting
from .questions import ARP, ECHO, ND, UNANSWERED, questions, sum_unanswered
from .tally import Judged

_WAITS = 1_000_000_000   # ns: what was asked later before the end of its host's window may be answered behind it


def unanswered(judged: Judged, setting: Setting, answered: np.ndarray) -> np.ndarray:
    """Return UNANSWERED of one part; of an excerpt, of its packets, whose answers may be outside it. answered:
    SIGHT of all answers.

    Groups that several parts share are left out: a question and its answer may be in different parts. A request
    of ARP, or a solicitation, is answered by any reply of the run.
    """
    packets, origin, results, flows = judged.packets, judged.origin, judged.results, setting.atlas.flows
    units = packets.units
    rows = units.rows
    some = np.flatnonzero((units.number[origin] == 0) & judged.counts & ~among(
        rows["group"][units.row[origin]], setting.partition.shared_groups()))
    if not len(some):
        return np.zeros(0, UNANSWERED)
    asked = questions(packets, units.row[origin[some]], flows, setting.neighbours)
    packet = some[_positions(units.row[origin[some]], asked["row"])]
    known = np.unique(answered["key"])
    # where a translation gave it another receiver, that one's answer counts, too
    translated = questions(packets, units.row[results.unit[packet]], flows, setting.neighbours)
    of = packet[_positions(units.row[results.unit[packet]], translated["row"])]
    open_ = ~among(asked["key"], known) & ~np.isin(packet, of[among(translated["key"], known)])
    host = setting.atlas.layout.host[asked["place"]]
    open_ &= rows["time"][asked["row"]] + _WAITS < setting.facts.end[host]
    # who answers an echo to many does so from an address of his own
    open_ &= (asked["kind"] != ECHO) | ~among(units.said[asked["row"]], setting.many)
    # a reply that was cut into fragments does not say which echo it answers
    flow = np.searchsorted(flows["flow"], units.said[asked["row"]]).clip(max=max(len(flows) - 1, 0))
    cut = np.unique(rows["group"][rows["kind"] == IS_FRAGMENT])
    open_ &= (asked["kind"] != ECHO) | ~among(flows["back"][flow], cut)
    return _places(judged, asked[open_], packet[open_])


def _positions(row: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return where in `row` each of the chosen ones is, which are in its order, but may leave some out."""
    order = np.argsort(row, kind="stable")
    return order[np.searchsorted(row, chosen, sorter=order)]


def _places(judged: Judged, asked: np.ndarray, packet: np.ndarray) -> np.ndarray:
    units, results = judged.packets.units, judged.results
    out = np.zeros(len(asked), UNANSWERED)
    for name in ("flow", "network", "kind"):
        out[name] = asked[name]
    last = results.unit[packet].copy()
    ends = np.append(judged.packets.starts[1:], len(units))
    # one for many has no last place: say the one that saw it last
    many = np.flatnonzero(np.isin(asked["kind"], (ARP, ND)))
    last[many] = [begin + int(units.rows["time"][units.row[begin:end]].argmax()) for begin, end in zip(
        judged.packets.starts[packet[many]].tolist(), ends[packet[many]].tolist(), strict=True)]
    out["outcome"], out["last"] = results.outcome[packet], units.rows["place"][units.row[last]]
    out["first"] = out["latest"] = units.rows["time"][asked["row"]]
    out["packets"], out["flows"], out["journey"] = 1, 1, judged.packets.packet[judged.origin[packet]]
    return sum_unanswered(out)
