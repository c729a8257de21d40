# SPDX-License-Identifier: Apache-2.0
"""Make bundles without a tracer: from a few simple packet events, or from whole arrays of records.

    hv = Bundle("hv-a")
    hv.device(2, "eth0", role="phy")
    hv.event(1.5, "dev.rx", 2, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(5000, 53, 10))), len=52)
    hv.write(tmp_path)
"""
import copy
import hashlib
import ipaddress
import json
import os
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from skbtrace.capture import record
from skbtrace.programs import queues

RUN_ID = "20261122T112750Z-test"
WALL = 1_795_346_870_000_000_000  # wall clock at second 0 of every event: 2026-11-22T11:27:50Z
NETNS = 4026531840
POINTS = ["dev.rx", "dev.tx", "skb.drop", "skb.free", "sock.deliver"]
_TYPES = {"u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "s32": "<i4"}
STATISTICS = {"rx_packets": 0, "tx_packets": 0, "rx_bytes": 0, "tx_bytes": 0, "rx_dropped": 0, "tx_dropped": 0,
              "rx_errors": 0, "tx_errors": 0}


def stride_dtype(layout: dict[str, Any] | None = None) -> np.dtype:
    """Return the numpy type of one stride of records.bin."""
    layout = layout or record.describe()
    names, formats, offsets = [], [], []
    for field in layout["fields"]:
        kind, count = field["type"], field["count"]
        names.append(field["name"])
        formats.append("S%d" % count if kind == "char" else (_TYPES[kind], (count,)) if count > 1 else _TYPES[kind])
        offsets.append(layout["header"] + field["offset"])
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": layout["stride"]})


class Bundle:
    """One tracer's bundle on one host. Times are seconds of the one true clock; `skew` and `drift` are the host's."""

    def __init__(self, host: str, tracer: str = "datapath_tracing", *, run_id: str = RUN_ID, boot: float = 1000.0,
                 skew: float = 0.0, drift: float = 0.0, duration: float = 10.0,
                 points: list[str] | None = None) -> None:
        self.host, self.boot, self.skew, self.drift, self.duration = host, boot, skew, drift, duration
        self.points = list(points or POINTS)
        self.events: list[dict[str, Any]] = []
        end = self.monotonic(duration)
        self.manifest: dict[str, Any] = {
            "format": "skbfleet-bundle/1", "run_id": run_id, "tracer": tracer, "host": host, "tool_version": "0.1.0",
            "bcc_version": "0.26.0", "python_version": "3.11.2",
            "kernel": {"release": "6.1.0-test", "version": "#1", "machine": "x86_64", "boot_id": "boot-" + host},
            "command_line": [tracer], "filter": {}, "record": record.describe(),
            "points": {"requested": self.points, "skipped": {}, "attached": [
                {"id": number, "name": name, "hook": "raw_tracepoint", "target": name}
                for number, name in enumerate(self.points)]},
            "window": {"start_ns": self.monotonic(0), "end_ns": end, "start_realtime_ns": self.realtime(0),
                       "end_realtime_ns": self.realtime(duration), "late_by_ns": 0, "ended_ns": end},
            "counters": {"seen": 0, "matched": 0, "written": 0, "lost": 0, "shed": 0, "outside_window": 0,
                         "unparsed": 0, "stacks_lost": 0, "cut": 0},
            "per_point": {name: {"seen": 0, "matched": 0, "lost": 0, "lost_per_cpu": {}} for name in self.points},
            "devices": [], "netns": {str(NETNS): host}, "symbols": {}, "stacks": {},
            "queues": queues.describe({}),
            "drop_reasons": {"2": "NOT_SPECIFIED", "5": "NETFILTER_DROP", "77": "FULL_RING"},
            "clock": {"pairs": [self.pair("arm", -1.0), self.pair("start", 0.0), self.pair("end", duration)],
                      "synchronised": None, "max_error_us": None, "daemon": ""},
            "limits": [], "status": "complete", "why": "", "ended_by": "window", "files": {}}

    def monotonic(self, second: float) -> int:
        """Return this host's monotonic ns at a second of the true clock."""
        return int(self.boot * 1e9) + round(second * 1e9 * (1 + self.drift))

    def realtime(self, second: float) -> int:
        """Return this host's wall clock at a second of the true clock."""
        return WALL + round(self.skew * 1e9) + round(second * 1e9 * (1 + self.drift))

    def pair(self, at: str, second: float) -> dict[str, Any]:
        """Return a clock pair as the manifest has it."""
        return {"at": at, "monotonic_ns": self.monotonic(second), "realtime_ns": self.realtime(second),
                "error_ns": 200}

    def device(self, ifindex: int, name: str, role: str = "other", netns: int = NETNS, *,
               rose: dict[str, int] | None = None, **other: Any) -> None:
        """Add a device; `rose` is what its counters gained."""
        after = dict(STATISTICS, **(rose or {}))
        self.manifest["devices"].append(dict({
            "netns": netns, "ifindex": ifindex, "name": name, "kind": "", "mac": "02:00:00:00:00:%02x" % ifindex,
            "mtu": 1500, "master": 0, "role": role,
            "statistics": {"before": dict(STATISTICS), "after": after}}, **other))

    def symbol(self, address: int, name: str) -> int:
        """Name a code address."""
        self.manifest["symbols"]["0x%x" % address] = name
        return address

    def stack(self, number: int, addresses: list[int]) -> int:
        """Add a stack."""
        self.manifest["stacks"][str(number)] = ["0x%x" % address for address in addresses]
        return number

    def ask_for(self, **kinds: str) -> None:
        """Have fields that were asked for by name: name -> kind."""
        self.manifest["fields"] = [{"name": name, "kind": kind} for name, kind in kinds.items()]
        self.manifest["record"] = record.Layout(len(kinds)).describe()

    def _slots(self, asked: dict[str, int | None]) -> list[int]:
        values = [asked.get(field["name"]) for field in self.manifest["fields"]]
        known = sum(1 << place for place, value in enumerate(values) if value is not None)
        return [(value or 0) & (1 << 64) - 1 for value in values] + [known]

    def event(self, second: float, point: str, ifindex: int, packet: bytes = b"", **fields: Any) -> None:
        """Add one record; the fields not given are those of a plain packet that starts with its Ethernet header, in an
        skb of its own. asked: values of those that were asked for by name; None, or not given: not there."""
        layer = fields.pop("packet_layer", 2)
        offset = 14 if layer == 2 else 0
        made = len(self.events)
        row = {"time_ns": self.monotonic(second), "skb": 0xFFFF888300000000 + 256 * made,
               "head": 0xFFFF888400000000 + 4096 * made,
               "point": self.points.index(point), "ifindex": ifindex, "netns": NETNS, "pid": 12, "comm": "ksoftirqd/0",
               "stack_id": -1, "len": len(packet), "protocol": 0x0800, "mac_offset": 64 if layer == 2 else 0xFFFF,
               "data_offset": 64, "network_offset": 64 + offset, "transport_offset": 84 + offset, "users": 1,
               "packet_layer": layer, "packet_len": min(128, len(packet)),
               "packet": np.frombuffer(packet[:128].ljust(128, b"\0"), "u1")}
        if "fields" in self.manifest:
            row["fields"] = self._slots(fields.pop("asked", {}))
        row.update(fields)
        self.events.append(row)

    def records(self) -> np.ndarray:
        """Return the events as records, in the order of time."""
        out = np.zeros(len(self.events), stride_dtype(self.manifest["record"]))
        for place, row in enumerate(sorted(self.events, key=lambda row: row["time_ns"])):
            for name, value in row.items():
                out[name][place] = value
        return out

    def write(self, run_directory: Any, records: np.ndarray | Iterable[np.ndarray] | None = None) -> str:
        """Write the bundle to RUN/hosts/HOST/TRACER; return that directory. records: an array, or several."""
        directory = os.path.join(str(run_directory), "hosts", self.host, self.manifest["tracer"])
        os.makedirs(directory, exist_ok=True)
        given = self.records() if records is None else records
        digest, count, size = hashlib.sha256(), 0, 0
        with open(os.path.join(directory, "records.bin"), "wb") as handle:
            for array in [given] if isinstance(given, np.ndarray) else given:
                data = np.ascontiguousarray(array).data.cast("B") if len(array) else b""
                handle.write(data)
                digest.update(data)
                count, size = count + len(array), size + len(data)
        manifest = copy.deepcopy(self.manifest)
        counters = manifest["counters"]
        for name in ("seen", "matched", "written"):
            counters[name] = counters[name] or count
        manifest["files"]["records.bin"] = {"bytes": size, "sha256": digest.hexdigest()}
        with open(os.path.join(directory, "manifest.json"), "w") as text:
            json.dump(manifest, text)
        with open(os.path.join(directory, "tracer.log"), "w"):
            pass
        return directory


def _address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def ethernet(payload: bytes, ethertype: int = 0x0800, vlan: list[int] | None = None) -> bytes:
    """Return an Ethernet frame; vlan: tags in the frame, outermost first."""
    tags = b"".join(struct.pack("!HH", 0x8100, tag) for tag in vlan or [])
    return bytes.fromhex("020000000002020000000001") + tags + struct.pack("!H", ethertype) + payload


def ipv4(source: str, target: str, payload: bytes, *, protocol: int = 17, ident: int = 0, ttl: int = 64,
         fragment: int = 0, more: bool = False, options: bytes = b"", length: int | None = None) -> bytes:
    """Return an IPv4 packet; fragment: offset in bytes; length: total, if it is not that of what is given."""
    size = 20 + len(options)
    return struct.pack("!BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(payload) if length is None else length, ident,
                       (0x2000 if more else 0) | fragment >> 3, ttl, protocol, 0, _address(source),
                       _address(target)) + options + payload


def ipv6(source: str, target: str, payload: bytes, *, protocol: int = 17, ttl: int = 64,
         length: int | None = None) -> bytes:
    """Return an IPv6 packet; extension headers are part of the payload; length: its, if not that of what is given."""
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload) if length is None else length, protocol, ttl,
                       _address(source), _address(target)) + payload


def udp(source: int, target: int, payload: int | bytes = 0) -> bytes:
    """Return a UDP datagram; payload: its bytes, or how many zeros."""
    data = bytes(payload) if isinstance(payload, int) else payload
    return struct.pack("!HHHH", source, target, 8 + len(data), 0) + data


def tcp(source: int, target: int, *, seq: int = 0, ack: int = 0, flags: int = 16, payload: int = 0,
        options: bytes = b"", window: int = 512) -> bytes:
    """Return a TCP segment with `payload` zeros; options: padded to whole words of four bytes."""
    return struct.pack("!HHIIBBHHH", source, target, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 + len(options) // 4 << 4,
                       flags, window, 0, 0) + options + bytes(payload)


def icmp(kind: int, code: int, ident: int = 0, seq: int = 0, payload: int = 56) -> bytes:
    """Return an ICMP or ICMPv6 message."""
    return struct.pack("!BBHHH", kind, code, 0, ident, seq) + bytes(payload)


def arp(operation: int, source: str, target: str) -> bytes:
    """Return an ARP packet."""
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, bytes(6), _address(source), bytes(6),
                       _address(target))


def vxlan(vni: int, frame: bytes) -> bytes:
    """Return what VXLAN puts in a UDP datagram."""
    return struct.pack("!II", 0x08000000, vni << 8) + frame


def geneve(vni: int, frame: bytes, options: bytes = b"", ethertype: int = 0x6558) -> bytes:
    """Return what Geneve puts in a UDP datagram."""
    return struct.pack("!BBHI", len(options) // 4, 0, ethertype, vni << 8) + options + frame


def gre(packet: bytes, ethertype: int = 0x0800, key: int | None = None) -> bytes:
    """Return a GRE packet (for IP protocol 47)."""
    return struct.pack("!HH", 0 if key is None else 0x2000, ethertype) + (
        b"" if key is None else struct.pack("!I", key)) + packet
