# SPDX-License-Identifier: Apache-2.0
"""Packets that did not get through a tunnel since they do not fit the path MTU that the host has learnt of the way to
its other end.

A tunnel that is a bridge's port answers in place of the path (skb_tunnel_check_pmtu in net/ipv4/ip_tunnel_core.c): of a
packet that may not be fragmented it makes the ICMP message that says how large one may be.
"""
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..bundle.evidence import Reading
from ..bundle.labels import bare
from ..findings.causes.cached import Learnt, is_cached, learnt
from ..findings.causes.drop import Packet
from ..findings.causes.mtus import mtu_of
from ..findings.causes.routes import route_of
from ..journey.grounds import LIKELY
from .basis import Sentence
from .causes import Known
from .store import Store

_SAID = 5           # that get a sentence
_FLOWS = 1000       # that are listed
_VNIS = 1 << 24
_SENT = "dev.tx"
_TUNNELS = 100      # of a host whose other end has a route cached
_HEAD4, _HEAD6 = 50, 70     # bytes around an IP packet in a tunnel: IP, UDP, VXLAN or Geneve, Ethernet
_ETHERNET, _TAGS = 14, 8    # bytes; two VLAN tags at most
_LEAST = 28                 # bytes of the headers of each segment, at least


class _Tunnel(NamedTuple):
    """A bridge's port to one other host."""

    device: str
    kind: str
    vni: int
    remote: str


def cached_routes(store: Store, known: Known) -> list[dict[str, Any]]:
    """Return the path MTUs for which tunnels sent packets back, those with most first: packets that went into the
    tunnel's device, do not fit, and did not leave in the tunnel as others did."""
    out = []
    for (host, netns), reading in known.spaces.items():
        for tunnel in islice(_tunnels(reading), _TUNNELS):
            path, mtu = _path(tunnel.remote, reading)
            if path and _HEAD6 < path.mtu < mtu:
                fits = path.mtu - (_HEAD6 if ":" in tunnel.remote else _HEAD4)
                flows = _sent_back(store, host, netns, tunnel, path.mtu, fits)
                if flows:
                    out.append({"host": host, "netns": netns, "tunnel": tunnel.device, "to": path.address,
                                "device": path.device, "path_mtu": path.mtu, "device_mtu": mtu, "seconds": path.seconds,
                                "fits": fits, "packets": sum(flows.values()), "flows": [
                                    {"flow": flow, "packets": count} for flow, count in islice(flows.items(), _FLOWS)]})
    return sorted(out, key=lambda entry: -entry["packets"])


def _tunnels(reading: Reading) -> Iterator[_Tunnel]:
    for row in reading.rows("links"):
        info = row.get("linkinfo")
        kind = info.get("info_kind") if isinstance(info, dict) else None
        data = info.get("info_data") if isinstance(info, dict) and kind in ("vxlan", "geneve") else None
        if not isinstance(data, dict) or "master" not in row or data.get("external"):
            continue
        remote, vni = data.get("remote") or data.get("remote6"), data.get("id")
        if isinstance(remote, str) and isinstance(vni, int) and 0 <= vni < _VNIS and is_cached(remote, reading):
            yield _Tunnel(str(row.get("ifname")), str(kind), vni, remote)


def _path(address: str, reading: Reading) -> tuple[Learnt | None, int]:
    """Return what was known of the way to an address before the window and after it, and the MTU of its device."""
    route = route_of(Packet(1, 6 if ":" in address else 4, dst=address), reading)
    if route is None or "nexthops" in route:
        return None, 0
    path, before = (learnt(address, route, reading, when) for when in ("after", "before"))
    return path if path and path.is_like(before) else None, mtu_of(str(route.get("dev")), reading) or 0


def _sent_back(store: Store, host: str, netns: str, tunnel: _Tunnel, path_mtu: int, fits: int) -> dict[str, int]:
    """Return flow -> how many packets did not leave a tunnel's device since they do not fit; none of flows of which
    large ones left, or were dropped behind it, nor where any were fragmented, or nobody looked at what leaves."""
    (left,) = store.rows("""
        SELECT count(*) FILTER (tunnel = ? AND tunnel_id = ?) AS whole,
               count(*) FILTER (coalesce(fragment, 0) > 0 OR more_fragments) AS cut
        FROM counted WHERE host = ? AND point = ? AND dst = ?""", tunnel.kind, tunnel.vni, host, _SENT, tunnel.remote)
    if not left["whole"] or left["cut"]:
        return {}
    rows = store.rows("""
        SELECT device, flow, sum(if(gso_segs > 1, gso_segs, 1)) AS packets FROM counted
        WHERE host = ? AND netns = ? AND point = ? AND tunnel IS NULL AND flow IS NOT NULL
              AND if(gso_size > 0, gso_size + ?, len - ?) > ?
              AND flow NOT IN (SELECT inner_flow FROM counted WHERE host = ? AND inner_flow IS NOT NULL
                               AND len > if(point = ?, ?, ?))
        GROUP BY ALL ORDER BY packets DESC, flow""", host, netns, _SENT, _LEAST, _ETHERNET + _TAGS, fits,
                      host, _SENT, path_mtu + _ETHERNET, path_mtu)
    return {row["flow"]: int(row["packets"]) for row in rows if bare(row["device"], netns) == tunnel.device}


def passed_on(flows: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> int:
    """Return how many packets of these flows left the hosts for where nobody looked, without those that a tunnel sent
    back. entries: see cached_routes."""
    back = {one["flow"]: one["packets"] for entry in entries for one in entry["flows"]}
    return sum(max(0, flow["left"] - back.get(flow["key"], 0)) for flow in flows)


def sentences(entries: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return a sentence for each of some of these routes."""
    return [Sentence(
        "On %s, %s went into %s and did not leave it: with the cached route to %s by %s (path MTU %d%s), IP packets of "
        "more than %d bytes do not fit, and are sent back with that word; %s itself takes %d." % (
            one["host"], "1 packet" if one["packets"] == 1 else "%d packets" % one["packets"], one["tunnel"], one["to"],
            one["device"], one["path_mtu"], ", for %d s yet" % one["seconds"] if one["seconds"] else "", one["fits"],
            one["device"], one["device_mtu"]),
        ["read on %s before the window and after it: the routes that it has cached" % one["host"],
         "recorded on %s: what left in this tunnel, and nothing as large among it" % one["host"]],
        ["that they were sent back is not recorded"], LIKELY)
        for one in entries[:_SAID]]
