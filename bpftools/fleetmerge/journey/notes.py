# SPDX-License-Identifier: Apache-2.0
"""What there is to say of a record besides that it shows a packet: where the packet was before and how long ago, what
was changed on the way, that the same bytes were sent before. Only of drops, and where something was changed."""
from collections.abc import Sequence

import numpy as np

from ..packet.identity import IS_TCP
from .atlas import Layout
from .packets import Packets
from .shapes import Shape

# fields that mean the same wherever they are seen, and those that do on one host only
_ANYWHERE = ("ttl", "tos", "vlan")
_ON_HOST = ("mark", "priority")
FIELDS = (*_ANYWHERE, *_ON_HOST)
_VALUES = [("ttl", "u1"), ("tos", "u1"), ("vlan", "<i2"), ("mark", "<u4"), ("priority", "<u4")]
NOTE = np.dtype([
    ("record", "<u8"),   # bundle << 32 | number of the record
    ("since", "<i8"),    # ns since the place before
    ("bound", "<f8"),    # ns by which the clocks of the two may differ; inf: nobody knows
    ("before", "<i4"),   # that place; -1: it is not known, and nothing of a change either
    ("renamed", "?"),    # addresses or ports were other ones
    ("again", "<i4"),    # how often the same bytes of TCP were sent before, where the packet is seen first
    ("old", _VALUES), ("new", _VALUES)])


def notes_of(packets: Packets, origin: np.ndarray, again: np.ndarray, shapes: Sequence[Shape], layout: Layout,
             bounds: np.ndarray) -> np.ndarray:
    """Return the notes of one part, sorted by record.

    origin: the first units of some packets, and `again`, how often each was sent before; bounds: f8[host, host], by how
    much their clocks may be apart, ns.
    """
    units = packets.units
    rows = units.rows
    leads = np.flatnonzero(units.lead & (units.number == 0))
    before = _before(packets, shapes)[leads]
    row, prior = units.row[leads], units.row[before]
    place, drop = rows["place"][row], rows["drop"][row] > 0
    home = units.host[row] == units.host[prior]
    same = home & (packets.chain[leads] == packets.chain[before])    # skb: whichever of packets that look alike it is
    known = (before >= 0) & (same | ~(packets.unsure[leads] | packets.unsure[before]))
    renamed = units.said[row] != units.said[prior]
    changed = renamed.copy()
    for name in FIELDS:
        changed |= (rows[name][row] != rows[name][prior]) & (home | (name in _ANYWHERE))
    sent = np.zeros(len(units), "i4")
    sent[origin] = np.where((rows["kind"][units.row[origin]] == IS_TCP) & (units.size[origin] > 0), again, 0)
    some = np.flatnonzero(drop & layout.drop[place] | changed & known | (sent[leads] > 0))
    row, prior, known, home, renamed = row[some], prior[some], known[some], home[some], renamed[some]
    out = np.zeros(len(some), NOTE)
    out["record"] = (rows["bundle"][row].astype("u8") << np.uint64(32)) | rows["record"][row]
    out["since"] = np.where(home, units.own[row] - units.own[prior], rows["time"][row] - rows["time"][prior])
    out["bound"] = np.where(home, 0, bounds[units.host[prior], units.host[row]])
    out["before"] = np.where(known, rows["place"][prior].astype("i4"), -1)
    out["renamed"] = renamed & known
    out["again"] = sent[leads[some]]
    for name in FIELDS:
        comparable = known & (home | (name in _ANYWHERE))
        out["new"][name] = rows[name][row]
        out["old"][name] = np.where(comparable, rows[name][prior], rows[name][row])
    return out[np.argsort(out["record"], kind="stable")]


def _before(packets: Packets, shapes: Sequence[Shape]) -> np.ndarray:
    """Return the unit before each one on its branch; -1 where that is not known."""
    out = np.full(len(packets.units), -1, "i8")
    for shape in shapes:
        unsure = {leg.first for leg in shape.tree.legs if not leg.sure}
        pairs = {leaf.mark: leaf.row for leaf in shape.tree.leaves if leaf.mark >= 0 and leaf.row >= 0}
        pairs.update(shape.tree.before)
        for row, prior in pairs.items():
            if row not in unsure:
                out[shape.units(row)] = shape.units(prior)
    return out
