# SPDX-License-Identifier: Apache-2.0
"""Packets that left a host for a gateway to which it was redirected, and were not seen again."""
from collections.abc import Mapping, Sequence
from typing import Any

from ..bundle.evidence import Reading
from ..findings.causes.cached import is_cached, learnt
from ..findings.causes.drop import Candidate, Packet, conclude, sentence
from ..findings.causes.routes import route_of, same_address
from .causes import Known
from .store import Store

_PLACES = 200       # losses that are looked at
_ENDS = 20          # addresses to which packets of one went
_SENT = "dev.tx"


def add_redirects(losses: Sequence[dict[str, Any]], store: Store, known: Known) -> None:
    """Give losses whose packets, or the tunnel's that they were in, left for such a gateway their `cause`."""
    shared: dict[tuple[str, str], tuple[Candidate, list[dict[str, Any]]]] = {}
    hosts = {host for host, _ in known.spaces}
    lost = [loss for loss in losses if loss["kind"] == "vanished" and loss["point"] == _SENT and loss["host"] in hosts]
    for loss in [loss for loss in lost if "cause" not in loss][:_PLACES]:
        found = [_redirect(row, known) for row in _ends(loss, store)]
        if len(found) == 1 and found[0]:
            shared.setdefault((loss["host"], found[0].what), (found[0], []))[1].append(loss)
    for one, some in shared.values():
        cause = conclude(sum(loss["packets"] for loss in some), [one])
        if cause:
            for loss in some:
                loss["cause"] = dict(cause.entry(), words=sentence(cause))


def _ends(loss: Mapping[str, Any], store: Store) -> list[dict[str, Any]]:
    """Return to which addresses packets of a loss's flow went, where they were seen last; none if another host saw some
    of that flow: who forwards them is not to blame."""
    return store.rows("""
        WITH alike AS (SELECT host, netns, device, point, src, dst, mac_dst FROM counted WHERE ? IN (flow, inner_flow))
        SELECT DISTINCT host, netns, src, dst, mac_dst FROM alike
        WHERE host = ? AND device = ? AND point = ? AND dst IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM alike AS other WHERE other.host != ?)
        LIMIT %d""" % _ENDS, loss["flow"], loss["host"], loss["device"], loss["point"], loss["host"])


def _redirect(row: Mapping[str, Any], known: Known) -> Candidate | None:
    """Return the redirect by which packets went, if their frame was for its gateway."""
    reading = known.spaces.get((row["host"], row["netns"]))
    if not reading or not is_cached(row["dst"], reading):
        return None
    route = route_of(Packet(1, 6 if ":" in row["dst"] else 4, src=row["src"], dst=row["dst"]), reading)
    path = learnt(row["dst"], route, reading) if route else None
    if not route or not path or not path.gateway or not _is_of(row["mac_dst"], path.gateway, reading):
        return None
    by = "they left for its address, %s, and the route itself leads to %s" % (
        row["mac_dst"], route.get("gateway") or row["dst"])
    return Candidate("cached-route", path.words, path.where(), by=by,
                     doubt="what %s does with them was not seen" % path.gateway)


def _is_of(mac: str | None, address: str, reading: Reading) -> bool:
    """Whether a neighbour has this MAC address."""
    return bool(mac) and mac in [str(row.get("lladdr")).lower() for row in reading.rows("neighbours")
                                 if same_address(row.get("dst"), address)]
