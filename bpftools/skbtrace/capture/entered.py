# SPDX-License-Identifier: Apache-2.0
"""Which packets Open vSwitch is asked about: of those that were dropped on this host, those that its daemon was asked
about, and those that came in by its ports, in that order: one of each flow, as it was when it came in.
"""
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..host import openflow
from ..host.openvswitch import MOST_FLOWS
from . import record

_CHUNK = 4096             # records
_MOST_LOOKED_AT = 5000    # records of a kind: enough to see which flows there are, few enough to be no work
_MOST_REMEMBERED = 1 << 16
_KIND = "openvswitch"     # of internal ports, and of the device that all ports are below
_LOST = ("ovs.drop", "skb.drop")
_ASKED = "ovs.upcall"
_IN, _OUT = "dev.rx", "dev.tx"    # what the host sends by an internal port goes into Open vSwitch


class Port(NamedTuple):
    """A device that is a port."""

    name: str
    enters: str    # the point at which a packet of it enters Open vSwitch


class _Seen(NamedTuple):
    """A record that is looked at."""

    kind: int               # 0: it was dropped, 1: the daemon was asked, 2: it came in
    own: Any
    came_in: Optional[Any]  # the same packet's when it came in, if it was recorded


def flows(tracer: Any, path: str) -> List[Dict[str, str]]:
    """Return `device` and `flow` of at most MOST_FLOWS packets of a finished tracer's records; none if no device is a
    port of Open vSwitch. Raises OSError."""
    ports = ports_of(tracer.devices.rows())
    if not ports:
        return []
    points = {point.id: point.name for point in tracer.program.attached}
    found: List[Dict[Tuple[str, str], str]] = [{}, {}, {}]    # for each kind: device and flow -> the first packet
    with open(path, "rb") as handle:
        for seen in _look(handle.fileno(), tracer.layout, points, ports, tracer.reasons):
            one = seen.came_in or seen.own
            port, known = ports.get((one.netns, one.ifindex)), fields_of(one)
            if port and known:
                flow = port.name, openflow.text(openflow.flow_of(known))
                found[seen.kind].setdefault(flow, openflow.text(known))
    chosen: Dict[Tuple[str, str], str] = {}
    for flow, packet in (pair for some in found for pair in some.items()):
        chosen.setdefault(flow, packet)
    return [{"device": device, "flow": packet} for (device, _flow), packet in list(chosen.items())[:MOST_FLOWS]]


def ports_of(rows: List[Dict[str, Any]]) -> Dict[Tuple[int, int], Port]:
    """Return the ports of Open vSwitch among the devices of a manifest, by netns and number."""
    kinds = {(row["netns"], row["ifindex"]): row["kind"] for row in rows}
    return {(row["netns"], row["ifindex"]): Port(row["name"], _OUT if row["kind"] == _KIND else _IN) for row in rows
            if _KIND in (row["kind"], kinds.get((row["netns"], row["master"])))}


def fields_of(one: Any) -> openflow.Fields:
    """Return what a record's packet looks like to Open vSwitch; none if its headers do not tell."""
    if one.packet_layer != 2:
        return []
    known = openflow.fields(one.packet[:one.packet_len], one.vlan_tci if one.vlan_present else None)
    return known + [("pkt_mark", "0x%x" % one.mark)] if known and one.mark else known


def _look(descriptor: int, layout: record.Layout, points: Dict[int, str], ports: Dict[Tuple[int, int], Port],
          reasons: Dict[int, str]) -> Iterator[_Seen]:
    """Yield the records that are looked at, of each kind not too many."""
    total = os.fstat(descriptor).st_size // layout.stride
    every = max(1, total // (4 * _MOST_LOOKED_AT))    # of those that came in
    enters = {(number, port.enters) for (_netns, number), port in ports.items()}
    came_in: Dict[int, int] = {}                      # skb -> which record
    left = [_MOST_LOOKED_AT] * 3
    for begin in range(0, total, _CHUNK):
        chunk = os.pread(descriptor, _CHUNK * layout.stride, begin * layout.stride)
        for at, (point, device, skb) in enumerate(layout.places(chunk), begin):
            name = points.get(point)
            if (device, name) in enters:
                came_in[skb] = at
                kind = 2 if at % every == 0 else None
            else:
                kind = 0 if name in _LOST else 1 if name == _ASKED else None
            if kind is None or not left[kind]:
                continue
            left[kind] -= 1
            own, before = _record(descriptor, layout, at), None if kind == 2 else came_in.get(skb)
            if name != "skb.drop" or before is not None or reasons.get(own.reason, "").startswith("OVS_"):
                yield _Seen(kind, own, None if before is None else _record(descriptor, layout, before))
        if len(came_in) > _MOST_REMEMBERED:
            came_in.clear()


def _record(descriptor: int, layout: record.Layout, at: int) -> Any:
    return layout.unpack(os.pread(descriptor, layout.stride, at * layout.stride), record.RING_HEADER)
