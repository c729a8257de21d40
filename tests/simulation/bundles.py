# SPDX-License-Identifier: Apache-2.0
"""What tracers write about a world: bundles of skbfleet-bundle/1, without the tracers' code."""
import collections
import hashlib
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support.layout import layout, record_dtype

from .headers import key_texts
from .machines import PACKET_MAX, Host, Tracing
from .packets import Sight
from .world import World

FORMAT = "skbfleet-bundle/1"
RUN_ID = "20261122T112750Z-sim"
WALL = 1_795_346_870_000_000_000   # wall clock at second 0 of the simulation
NETNS = 4026531840
STATISTICS = dict.fromkeys(("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped",
                            "rx_errors", "tx_errors"), 0)
REASONS = {2: "NOT_SPECIFIED", 5: "NETFILTER_DROP", 77: "FULL_RING", 78: "QDISC_DROP", 79: "DEV_READY"}
SYMBOLS = {name: 0xFFFFFFFF81A00000 + 0x1000 * number for number, name in enumerate((
    "nf_hook_slow", "br_handle_frame_finish", "tun_net_xmit", "tbf_enqueue", "vxlan_xmit", "ip_defrag"))}
_DTYPE = record_dtype()


class Clock:
    """A host's clocks; seconds are those of the simulation."""

    def __init__(self, tracing: Tracing) -> None:
        self.boot, self.skew, self.drift = tracing.boot, tracing.skew, tracing.drift

    def monotonic(self, second: float) -> int:
        """Return CLOCK_MONOTONIC, ns."""
        return int(self.boot * 1e9) + round(second * 1e9 * (1 + self.drift))

    def realtime(self, second: float) -> int:
        """Return CLOCK_REALTIME, ns."""
        return WALL + round(self.skew * 1e9) + round(second * 1e9 * (1 + self.drift))

    def pair(self, at: str, second: float) -> dict[str, Any]:
        """Return a clock pair as a manifest has it."""
        return {"at": at, "monotonic_ns": self.monotonic(second), "realtime_ns": self.realtime(second), "error_ns": 200}


def observe(world: World, run_dir: Path) -> None:
    """Write the bundles of all hosts that were traced, and what is known beside them; mark what was recorded."""
    for host in world.observed:
        host.log.sort(key=lambda sight: sight.time)
        both = host.tracing.two and "skb.drop" in host.tracing.points
        _bundle(world, host, run_dir, "datapath_tracing", host.tracing.points, host.tracing.lossy, not both)
        if both:
            _bundle(world, host, run_dir, "drop_monitor", ["skb.drop"], {}, True)
    _tell_topology(world, run_dir)


def _bundle(world: World, host: Host, run_dir: Path, tracer: str, points: Sequence[str], lossy: Mapping[str, float],
            counts: bool) -> None:
    """Write one tracer's bundle; counts: its drops are those that count on this host."""
    rng = np.random.default_rng([world.seed, host.number, zlib.crc32(tracer.encode())])
    clock, tracing = Clock(host.tracing), host.tracing
    begin, end = tracing.opens + tracing.late, tracing.opens + world.duration - tracing.early
    kept: list[Sight] = []
    lost: collections.Counter[str] = collections.Counter()
    for sight in host.log:
        _, device, point = sight.place
        if point not in points or not begin <= sight.time < end or (tracing.only and device not in tracing.only):
            continue
        if rng.random() < lossy.get(point, 0.0):
            lost[point] += 1
            continue
        kept.append(sight)
        if counts or point != "skb.drop":
            _mark(sight, tracing)
    content = _records(host, clock, points, kept).tobytes()
    directory = run_dir / "hosts" / host.name / tracer
    directory.mkdir(parents=True)
    (directory / "records.bin").write_bytes(content)
    manifest = dict(_manifest(host, tracer, points, len(kept), lost), **_times(host, clock, world.duration))
    manifest["files"] = {"records.bin": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "tracer.log").touch()


def _mark(sight: Sight, tracing: Tracing) -> None:
    """Remember that a sight was recorded, and under which names."""
    sight.recorded, sight.keys = True, key_texts(sight.data[:min(tracing.short, PACKET_MAX)])
    for packet in sight.packets:
        packet.keys.update(sight.keys)


def _records(host: Host, clock: Clock, points: Sequence[str], sights: Sequence[Sight]) -> np.ndarray:
    """Return the records of some sights."""
    out = np.zeros(len(sights), _DTYPE)
    columns = collections.defaultdict(list)
    packets = np.zeros((len(sights), PACKET_MAX), "u1")
    for row, sight in enumerate(sights):
        record = _record(host, clock, points, sight)
        packets[row, :record["packet_len"]] = np.frombuffer(sight.data[:record["packet_len"]], "u1")
        for name, value in record.items():
            columns[name].append(value)
    for name, values in columns.items():
        out[name] = np.array(values, out.dtype[name])
    out["netns"], out["pid"], out["stack_id"], out["mac_offset"], out["network_offset"] = NETNS, 12, -1, 64, 78
    out["users"], out["packet_layer"], out["comm"] = 1, 2, b"ksoftirqd/0"
    out["packet"] = packets
    return out


def _record(host: Host, clock: Clock, points: Sequence[str], sight: Sight) -> dict[str, int]:
    """Return the fields of a record that are not the same in all."""
    _, device, point = sight.place
    lead, extra, pulled = sight.packets[0], sight.extra, point == "dev.rx"
    payload = sum(packet.size for packet in sight.packets)
    outside = 0      # of the linear part
    if len(sight.packets) > 1 or extra.get("nonlinear") or (
            host.tracing.nonlinear and pulled and device.startswith("eth")):
        outside = payload
    return {"time_ns": clock.monotonic(sight.time), "skb": sight.skb, "head": sight.head, "point": points.index(point),
            "ifindex": host.devices[device][0], "len": sight.length + (0 if pulled else 14), "data_len": outside,
            "protocol": struct.unpack("!H", sight.data[12:14])[0],
            "transport_offset": 118 if sight.data[12:14] == b"\x86\xdd" else 98,
            "data_offset": 78 if pulled else 64, "packet_len": min(len(sight.data), host.tracing.short, PACKET_MAX),
            "payload_hash": lead.payload if payload and not outside else 0, "reason": extra.get("reason", 0),
            "location": SYMBOLS.get(extra.get("function", ""), 0), "gso_size": extra.get("gso_size", 0),
            "gso_segs": extra.get("gso_segs", 0), "gso_type": extra.get("gso_type", 0)}


def _manifest(host: Host, tracer: str, points: Sequence[str], count: int,
              lost: collections.Counter[str]) -> dict[str, Any]:
    gone = sum(lost.values())
    only = host.tracing.only
    return {
        "format": FORMAT, "run_id": RUN_ID, "tracer": tracer, "host": host.name, "tool_version": "0.1.0",
        "bcc_version": "0.26.0", "python_version": "3.11.2",
        "kernel": {"release": "6.1.0-sim", "version": "#1", "machine": "x86_64", "boot_id": "boot-" + host.name},
        "command_line": [tracer], "filter": {"interfaces": sorted(only)} if only else {}, "record": layout(),
        "points": {"requested": points, "skipped": {}, "attached": [
            {"id": number, "name": name, "hook": "raw_tracepoint", "target": name}
            for number, name in enumerate(points)]},
        "counters": {"seen": count + gone, "matched": count + gone, "written": count, "lost": gone,
                     "outside_window": 0, "unparsed": 0, "stacks_lost": 0, "cut": 0},
        "per_point": {name: {"seen": 0, "matched": 0, "lost": lost[name],
                             "lost_per_cpu": {"0": lost[name]} if lost[name] else {}} for name in points},
        "devices": [{"netns": NETNS, "ifindex": index, "name": name, "kind": "", "mac": _mac(host, name, index),
                     "mtu": 1500, "master": 0, "role": role, "statistics": {"before": STATISTICS, "after": STATISTICS}}
                    for name, (index, role) in host.devices.items()],
        "netns": {str(NETNS): host.name}, "stacks": {},
        "symbols": {"0x%x" % address: name + "+0x1a" for name, address in SYMBOLS.items()},
        "drop_reasons": {str(number): name for number, name in REASONS.items()},
        "limits": [], "status": "complete", "why": "", "ended_by": "limit" if host.tracing.early else "window"}


def _times(host: Host, clock: Clock, duration: float) -> dict[str, Any]:
    """Return the window and the clock of a manifest."""
    tracing = host.tracing
    begin, end = tracing.opens, tracing.opens + duration
    return {
        "window": {"start_ns": clock.monotonic(begin), "end_ns": clock.monotonic(end),
                   "start_realtime_ns": clock.realtime(begin), "end_realtime_ns": clock.realtime(end),
                   "late_by_ns": round(tracing.late * 1e9), "ended_ns": clock.monotonic(end - tracing.early)},
        "clock": {"pairs": [clock.pair("arm", -1.0), clock.pair("start", begin), clock.pair("end", end)],
                  "synchronised": None if tracing.daemon is None else True, "max_error_us": tracing.daemon,
                  "daemon": ""}}


def _tell_topology(world: World, run_dir: Path) -> None:
    """Write down where the ends of the first flow are, if the capture was made for a pair."""
    if not world.outlook.topology or not world.flows:
        return
    ends = {}
    for name, vm in zip(("src", "dst"), world.flows[0].ends, strict=True):
        host, _ = vm.at(0)
        ends[name] = {"address": vm.v4, "host": host.name, "uplinks": host.uplinks}
    (run_dir / "topology.json").write_text(json.dumps({"format": "skbfleet-topology/1", "pair": ends}))


def _mac(host: Host, device: str, index: int) -> str:
    """Return a device's address; some hosts give a VM's device the VM's own with 0xfe in front, as libvirt does."""
    known = host.taps.get(device) if host.number % 2 else None
    octets = bytes([0xFE]) + known.mac[1:] if known else bytes([2, 0, 0, 0, host.number, index])
    return octets.hex(":")
