# SPDX-License-Identifier: Apache-2.0
"""One tracer's bundle on one host, of packets that we make up: what the tracer would have written about them.

It is as a real host would write it: a packet keeps its sk_buff from point to point of a host; a clone has another
sk_buff and the same data (`head`); what is sent or delivered is freed afterwards, and the free is recorded; devices
count what passes them. A case that departs from this says so. The hash of a payload is 0, which means that there is
none, unless a case gives one.
"""
import copy
import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from support.layout import layout, record_dtype

FORMAT = "skbfleet-bundle/1"
EVIDENCE = "skbfleet-evidence/1"
RUN_ID = "20261122T112750Z-test"
TRACER = "datapath_tracing"
WALL = 1_795_346_870_000_000_000   # wall clock at second 0: 2026-11-22T11:27:50Z
NETNS = 4026531840
POINTS = ("dev.rx", "dev.tx", "skb.drop", "skb.free")
ETH0, VNET0 = 2, 3

# functions that free packets, by address
RING_FULL, NETFILTER, FORWARD, OTHER_MAC, ELSEWHERE, BRIDGE, ROUTING, QUEUE = (
    0xFFFFFFFF81A00000 + 0x1000 * n for n in range(1, 9))
SYMBOLS = {RING_FULL: "tun_net_xmit+0x1a2", NETFILTER: "nf_hook_slow+0xa6", FORWARD: "ip_forward+0x3c1",
           OTHER_MAC: "ip_rcv_core+0x1c2", ELSEWHERE: "some_module_rcv+0x40", BRIDGE: "br_handle_frame_finish+0x2e1",
           ROUTING: "ip_rcv_finish_core+0x198", QUEUE: "__dev_queue_xmit+0xb35"}
NOT_SPECIFIED, NETFILTER_DROP, OTHERHOST, IPV6DISABLED, QDISC_DROP, DEV_READY, FULL_RING = 2, 5, 9, 33, 63, 70, 77
DROP_REASONS = {NOT_SPECIFIED: "NOT_SPECIFIED", NETFILTER_DROP: "NETFILTER_DROP", OTHERHOST: "OTHERHOST",
                IPV6DISABLED: "IPV6DISABLED", QDISC_DROP: "QDISC_DROP", DEV_READY: "DEV_READY",
                FULL_RING: "FULL_RING"}

# gso_type
TCPV4, FIXED_ID, TCPV6, UDP_L4 = 1, 1 << 3, 1 << 4, 1 << 17

_UNSET = 0xFFFF
_NETWORK_HEADERS = {0x0800: 20, 0x86DD: 40}   # bytes, by EtherType
_START = 64      # offset of the Ethernet header from the buffer's head


@dataclass(frozen=True)
class Skb:
    """The addresses of an sk_buff and of its data."""

    address: int
    head: int


class Bundle:
    """One tracer's bundle on one host."""

    def __init__(self, host: str, *devices: tuple[int, str, str], boot: float | None = None, skew: float = 0.0,
                 drift: float = 0.0, duration: float = 10.0, points: tuple[str, ...] = POINTS,
                 tracer: str = TRACER) -> None:
        """devices: (ifindex, name, role), role: phy, vnet (a VM's tap), veth, tunnel, ...; skew: seconds that the wall
        clock is ahead; drift: seconds that both clocks gain in a second."""
        self.host, self.skew, self.drift, self.duration = host, skew, drift, duration
        self.boot = 1000.0 + sum(host.encode()) if boot is None else boot
        self.points, self.tracer = list(points), tracer
        self.rows: list[dict[str, Any]] = []
        self.manifest: dict[str, Any] = self._manifest()
        self._read: dict[str, tuple[Any, Any]] = {}
        self._made = 0
        for ifindex, name, role in devices:
            self.device(ifindex, name, role)

    def _manifest(self) -> dict[str, Any]:
        end = self.monotonic(self.duration)
        return {
            "format": FORMAT, "run_id": RUN_ID, "tracer": self.tracer, "host": self.host, "tool_version": "0.1.0",
            "bcc_version": "0.26.0", "python_version": "3.11.2",
            "kernel": {"release": "6.1.0-test", "version": "#1", "machine": "x86_64", "boot_id": "boot-" + self.host},
            "command_line": [self.tracer], "filter": {}, "record": layout(),
            "points": {"requested": self.points, "skipped": {}, "attached": [
                {"id": number, "name": name, "hook": "raw_tracepoint", "target": name}
                for number, name in enumerate(self.points)]},
            "window": {"start_ns": self.monotonic(0), "end_ns": end, "start_realtime_ns": self.realtime(0),
                       "end_realtime_ns": self.realtime(self.duration), "late_by_ns": 0, "ended_ns": end},
            "counters": {"seen": 0, "matched": 0, "written": 0, "lost": 0, "shed": 0, "outside_window": 0,
                         "unparsed": 0, "stacks_lost": 0, "cut": 0},
            "per_point": {name: {"seen": 0, "matched": 0, "lost": 0, "lost_per_cpu": {}} for name in self.points},
            "devices": [], "netns": {str(NETNS): self.host},
            "symbols": {"0x%x" % address: name for address, name in SYMBOLS.items()}, "stacks": {},
            "drop_reasons": {str(number): name for number, name in DROP_REASONS.items()},
            "clock": {"pairs": [self._pair("arm", -1.0), self._pair("start", 0.0), self._pair("end", self.duration)],
                      "synchronised": None, "max_error_us": None, "daemon": ""},
            "limits": [], "status": "complete", "why": "", "ended_by": "window", "files": {}}

    def monotonic(self, second: float) -> int:
        """Return this host's monotonic ns."""
        return int(self.boot * 1e9) + round(second * 1e9 * (1 + self.drift))

    def realtime(self, second: float) -> int:
        """Return this host's wall clock, ns."""
        return WALL + round(self.skew * 1e9) + round(second * 1e9 * (1 + self.drift))

    def _pair(self, at: str, second: float) -> dict[str, Any]:
        return {"at": at, "monotonic_ns": self.monotonic(second), "realtime_ns": self.realtime(second),
                "error_ns": 200}

    def promise(self, error_us: int) -> None:
        """Let the host's clock daemon promise that its wall clock is not further off than this."""
        self.manifest["clock"].update(synchronised=True, max_error_us=error_us, daemon="chronyd")

    def device(self, ifindex: int, name: str, role: str, netns: int = NETNS, **rose: int) -> None:
        """Add a device; rose: what its counters gained by what was not recorded."""
        before = dict.fromkeys(("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped",
                                "rx_errors", "tx_errors"), 0)
        self.manifest["devices"].append({
            "netns": netns, "ifindex": ifindex, "name": name, "kind": "tun" if role == "vnet" else "",
            "mac": "02:00:00:00:00:%02x" % (ifindex % 256), "mtu": 1500, "master": 0, "role": role,
            "statistics": {"before": before, "after": dict(before, **rose)}})

    def counted(self, ifindex: int, netns: int = NETNS, **rose: int) -> None:
        """Let a device's counters gain more than what was recorded."""
        after = next(device["statistics"]["after"] for device in self.manifest["devices"]
                     if device["ifindex"] == ifindex and device["netns"] == netns)
        for name, gain in rose.items():
            after[name] += gain

    def forget(self, unseen: Callable[[dict[str, Any]], bool]) -> None:
        """Let the tracer not have recorded some rows, of packets that passed, and that the devices counted."""
        for row in filter(unseen, self.rows):
            name = {"dev.rx": "rx_packets", "dev.tx": "tx_packets"}.get(self.points[row["point"]])
            if name:
                self.counted(row["ifindex"], row["netns"], **{name: max(1, row.get("gso_segs", 0))})
        self.rows = [row for row in self.rows if not unseen(row)]

    def read(self, collector: str, before: Any, after: Any) -> None:
        """Let the host have read something of its configuration, before the window and after it."""
        self._read[collector] = before, after

    def _evidence(self) -> bytes:
        """Return evidence.json, with all that the host has read."""
        readings = [{"began_ns": self.monotonic(at), "ended_ns": self.monotonic(at + 0.3), "host": {}, "namespaces": {
            str(NETNS): {name: {"value": values[number]} for name, values in self._read.items()}}}
            for number, at in enumerate((-1.0, self.duration))]
        return json.dumps({"format": EVIDENCE, **dict(zip(("before", "after"), readings, strict=True))}).encode()

    def skb(self) -> Skb:
        """Return a new sk_buff with new data."""
        self._made += 1
        return Skb(0xFFFF888100000000 + 256 * self._made, 0xFFFF889200000000 + 4096 * self._made)

    def clone(self, skb: Skb) -> Skb:
        """Return a new sk_buff for the same data."""
        return Skb(self.skb().address, skb.head)

    def seen(self, second: float, point: str, ifindex: int, packet: bytes, skb: Skb | None = None,
             **fields: Any) -> Skb:
        """Add one record; return the sk_buff. packet: from its Ethernet header on.

        fields: fields of the record, and `length`: the length of a packet of which `packet` is only the beginning.
        """
        skb = skb or self.skb()
        length = fields.pop("length", len(packet))
        ethertype, header = struct.unpack_from("!H", packet, 12)[0], 14
        while ethertype == 0x8100:
            ethertype, header = struct.unpack_from("!H", packet, header + 2)[0], header + 4
        pulled = header if point == "dev.rx" else 0      # the stack has taken the Ethernet header off
        row = {"time_ns": self.monotonic(second), "skb": skb.address, "head": skb.head,
               "point": self.points.index(point), "ifindex": ifindex, "netns": NETNS, "pid": 12,
               "comm": "ksoftirqd/0", "stack_id": -1, "len": length - pulled, "protocol": ethertype,
               "mac_offset": _START, "data_offset": _START + pulled, "network_offset": _START + header,
               "transport_offset": _START + header + _NETWORK_HEADERS[ethertype] if ethertype in _NETWORK_HEADERS
               else _UNSET, "users": 1, "packet_layer": 2,
               "packet_len": min(128, len(packet)), "packet": np.frombuffer(packet[:128].ljust(128, b"\0"), "u1")}
        row.update(fields)
        self.rows.append(row)
        return skb

    def drop(self, second: float, ifindex: int, packet: bytes, skb: Skb, location: int = RING_FULL,
             reason: int = FULL_RING, **fields: Any) -> None:
        """Free a packet as a drop; a tap whose ring is full counts it."""
        self.seen(second, "skb.drop", ifindex, packet, skb, location=location, reason=reason, **fields)
        if location == RING_FULL:
            self.counted(ifindex, fields.get("netns", NETNS), tx_dropped=1, tx_packets=-1)

    def free(self, second: float, ifindex: int, packet: bytes, skb: Skb, **fields: Any) -> None:
        """Free a packet at the end of its way, if this host's tracer looks at that."""
        if "skb.free" in self.points:
            self.seen(second, "skb.free", ifindex, packet, skb, **fields)

    def deliver(self, second: float, ifindex: int, packet: bytes, skb: Skb, **fields: Any) -> None:
        """Give a packet to a device, which sends it (or whose VM takes it) and frees it."""
        self.seen(second, "dev.tx", ifindex, packet, skb, **fields)
        self.free(second + 3e-6, ifindex, packet, skb, **fields)

    def through(self, second: float, came: int, went: int, packet: bytes, *, then: bytes | None = None,
                took: float = 8e-6, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None,
                **fields: Any) -> Skb:
        """A packet that comes in by one device and goes out by another, in one sk_buff.

        then: what it has become when it goes out; before, after: fields of the record before and after that.
        """
        skb = self.seen(second, "dev.rx", came, packet, **{**fields, **(before or {})})
        self.deliver(second + took, went, packet if then is None else then, skb, **{**fields, **(after or {})})
        return skb

    def records(self) -> np.ndarray:
        """Return the records in the order of time."""
        out = np.zeros(len(self.rows), record_dtype())
        for place, row in enumerate(sorted(self.rows, key=lambda row: row["time_ns"])):
            for name, value in row.items():
                out[name][place] = value
        return out

    def write(self, run_dir: str | os.PathLike[str], directory: str = "", records: np.ndarray | None = None) -> Path:
        """Write the bundle to RUN_DIR/hosts/DIRECTORY/TRACER; DIRECTORY is the host's name if it is not given."""
        array = self.records() if records is None else records
        where = Path(run_dir, "hosts", directory or self.host, self.manifest["tracer"])
        where.mkdir(parents=True, exist_ok=True)
        data = array.tobytes()
        manifest = copy.deepcopy(self.manifest)
        for name in ("seen", "matched", "written"):
            manifest["counters"][name] = manifest["counters"][name] or len(array)
        for number, name in enumerate(self.points):
            count = int((array["point"] == number).sum())
            manifest["per_point"][name].update(seen=count, matched=count)
        self._count(manifest["devices"], array)
        for name, content in (("records.bin", data), ("evidence.json", self._evidence())):
            if name == "records.bin" or self._read:
                manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                (where / name).write_bytes(content)
        (where / "manifest.json").write_text(json.dumps(manifest))
        (where / "tracer.log").touch()
        return where

    def _count(self, devices: list[dict[str, Any]], array: np.ndarray) -> None:
        """Let each device count the packets that were seen at it; a NIC counts those on the wire."""
        wire = np.maximum(array["gso_segs"].astype("i8"), 1)
        for device in devices:
            here = (array["ifindex"] == device["ifindex"]) & (array["netns"] == device["netns"])
            after = device["statistics"]["after"]
            for point, side in (("dev.rx", "rx"), ("dev.tx", "tx")):
                if point in self.points:
                    chosen = here & (array["point"] == self.points.index(point))
                    after[side + "_packets"] += int(wire[chosen].sum() if device["role"] == "phy" else chosen.sum())
                    after[side + "_bytes"] += int(array["len"][chosen].sum())
