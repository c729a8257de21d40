# SPDX-License-Identifier: Apache-2.0
"""Drops for want of a neighbour that answers."""
from ...bundle.evidence import Reading
from .cached import Learnt, learnt
from .drop import Candidate, Drop, Packet
from .routes import route_of, same_address

_REASONS = ("NEIGH_FAILED", "NEIGH_QUEUEFULL", "NEIGH_DEAD", "NEIGH_CREATEFAIL")
_SILENT = {"FAILED", "INCOMPLETE"}


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the neighbour that did not answer; None if that is not why these packets were dropped."""
    if drop.reason not in _REASONS:
        return None
    found: dict[str, Candidate] = {}
    for packet in drop.packets:
        way = _way(packet, reading)
        one = _silent(*way, drop, reading) if way else None
        if one is None:
            return []
        found[one.what] = one
    return list(found.values())


def _way(packet: Packet, reading: Reading) -> tuple[str, Learnt | None, str] | None:
    """Return the neighbour to which a packet goes, by which redirect, and where it goes without that."""
    route = route_of(packet, reading)
    if route is None or packet.dst is None:
        return None
    usual = str(route.get("gateway") or packet.dst)
    path = learnt(packet.dst, route, reading)
    return (path.gateway, path, usual) if path and path.gateway else (usual, None, usual)


def _silent(hop: str, path: Learnt | None, usual: str, drop: Drop, reading: Reading) -> Candidate | None:
    rows = [row for row in reading.rows("neighbours") if same_address(row.get("dst"), hop)
            and drop.device in ("-", str(row.get("dev")))]
    states = [str(state) for row in rows for listed in [row.get("state")] if isinstance(listed, list)
              for state in listed]
    if not rows or not _SILENT.intersection(states):
        return None
    device = str(rows[0].get("dev"))
    where = {"neighbour": hop, "device": device, "state": states}
    by = "%s leads there, and the route itself to %s" % (path.words, usual) if path else ""
    return Candidate("neighbour", "the neighbour %s on %s, whose address nobody answers for (%s)" % (
        hop, device, ", ".join(states)), dict(where, cached=path.where()) if path else where, evaluated=True, by=by)
