# SPDX-License-Identifier: Apache-2.0
"""Make bundles in bulk: pairs of hosts with traffic between a VM behind each, all numpy, millions of records.

Each packet leaves its VM at host A (dev.rx vnet0, dev.tx eth0, skb.free) and arrives at host B (dev.rx eth0,
dev.tx vnet0, then skb.free in the reader, or skb.drop because the tap's ring is full).
"""
from typing import Any

import numpy as np

from .bundles import NETNS, Bundle, ethernet, icmp, ipv4, ipv6, stride_dtype, tcp, udp

PERIOD = 20e-6      # s between two packets of a pair
DROP_EVERY = 1000   # packets
_STEPS = {"out": ((0, "dev.rx", 3), (8e-6, "dev.tx", 2), (14e-6, "skb.free", 2)),
          "in": ((50e-6, "dev.rx", 2), (57e-6, "dev.tx", 3), (66e-6, "skb.free", 3))}


def templates(pair: int, back: bool) -> list[bytes]:
    """Return one packet of each flow of a pair of VMs."""
    a, b = "192.168.%d.10" % pair, "192.168.%d.20" % pair
    a6, b6 = "fd00:%x::10" % pair, "fd00:%x::20" % pair
    if back:
        a, b, a6, b6 = b, a, b6, a6
    out = [ethernet(ipv4(a, b, tcp(40000 + n, 443, flags=24, payload=1000), protocol=6, length=1040)) for n in range(8)]
    out += [ethernet(ipv4(a, b, udp(50000 + n, 53, 100))) for n in range(4)]
    out += [ethernet(ipv4(a, b, icmp(0 if back else 8, 0, 7, 0), protocol=1))] * 2
    out += [ethernet(ipv6(a6, b6, tcp(41000 + n, 443, flags=24, payload=1000), protocol=6), 0x86DD) for n in range(2)]
    return out


def host(name: str, **options: Any) -> Bundle:
    """Return a hypervisor with eth0 (2) and vnet0 (3)."""
    bundle = Bundle(name, **options)
    bundle.device(2, "eth0", "phy")
    bundle.device(3, "vnet0", "vnet", rose={"tx_dropped": 0})
    bundle.symbol(0xFFFFFFFF81A01234, "tun_net_xmit+0x1a2")
    bundle.stack(1, [bundle.symbol(0xFFFFFFFF81000000 + 64 * n, "function_%d+0x%x" % (n, n)) for n in range(12)])
    return bundle


def packets(pair: int, back: bool, count: int) -> dict[str, np.ndarray]:
    """Return `count` packets in one direction: their bytes, and what else their records need."""
    kinds = templates(pair, back)
    kind = np.arange(count) % len(kinds)
    longest = np.array([packet[:128].ljust(128, b"\0") for packet in kinds], "S128")
    data = np.frombuffer(longest[kind].tobytes().ljust(count * 128, b"\0"), "u1").reshape(count, 128).copy()
    serial = np.arange(count, dtype="u4") // len(kinds)
    six, number = (data[:, 12] == 0x86) & (data[:, 13] == 0xDD), data[:, 23].copy()
    number[six] = data[six, 20]
    sequence = (serial * 1000 + 1).astype(">u4").view("u1").reshape(-1, 4)
    data[~six & (number == 6), 38:42] = sequence[~six & (number == 6)]
    data[six, 58:62] = sequence[six]
    ident = (np.arange(count) & 0xFFFF).astype(">u2").view("u1").reshape(-1, 2)
    data[~six, 18:20] = ident[~six]
    echo = serial.astype("u2").astype(">u2").view("u1").reshape(-1, 2)
    data[~six & (number == 1), 40:42] = echo[~six & (number == 1)]
    headers_only = np.where(six, 74, np.where(number == 6, 54, 42))
    data[np.arange(128) >= headers_only[:, None]] = 0
    return {"packet": data, "packet_len": headers_only.astype("u1"), "protocol": np.where(six, 0x86DD, 0x0800),
            "len": np.array([len(packet) for packet in kinds])[kind], "hash": kind * 2654435761 % (1 << 32),
            "sent": np.arange(count) * PERIOD + (PERIOD / 2 if back else 0), "serial": np.arange(count)}


def records(bundle: Bundle, traffic: dict[str, np.ndarray], side: str, slot: int,
            keep: np.ndarray | None = None) -> np.ndarray:
    """Return the records that `traffic` leaves on a host, on its way `out` or `in`; packets in drop slots die there."""
    count = len(traffic["sent"])
    parts = []
    random = np.random.default_rng(slot)
    slow = random.exponential(3e-6, count)
    for step, (delay, point, ifindex) in enumerate(_STEPS[side]):
        out = np.zeros(count, stride_dtype())
        for name in ("packet", "packet_len", "protocol", "len", "hash"):
            out[name] = traffic[name]
        second = traffic["sent"] + delay + slow * (side == "in") + random.exponential(0.3e-6, count)
        out["time_ns"] = int(bundle.boot * 1e9) + np.rint(second * 1e9 * (1 + bundle.drift)).astype("i8")
        serial = traffic["serial"].astype("u8")
        out["skb"] = np.uint64(0xFFFF888100000000) + (serial % np.uint64(512)) * np.uint64(256) + np.uint64(slot << 20)
        out["head"] = np.uint64(0xFFFF888200000000) + (serial % np.uint64(512)) * np.uint64(2048) + np.uint64(
            slot << 24)
        out["point"], out["ifindex"], out["netns"] = bundle.points.index(point), ifindex, NETNS
        out["pid"], out["comm"], out["cpu"] = 20 + slot % 4, "vhost-%d" % (2000 + slot % 4), slot % 4
        out["stack_id"], out["users"], out["packet_layer"] = -1, 1, 2
        out["mac_offset"], out["network_offset"], out["transport_offset"] = 64, 78, 98
        out["data_offset"] = 78 if point == "dev.rx" else 64
        out["len"] -= 14 * (point == "dev.rx")
        if side == "in" and step == 2:
            lost = traffic["serial"] % DROP_EVERY == DROP_EVERY - 1
            out["point"][lost], out["stack_id"][lost] = bundle.points.index("skb.drop"), 1
            out["reason"][lost], out["location"][lost] = 77, 0xFFFFFFFF81A01234
            device = next(entry for entry in bundle.manifest["devices"] if entry["ifindex"] == ifindex)
            device["statistics"]["after"]["tx_dropped"] += int(lost.sum())
        parts.append(out if keep is None else out[keep])
    return ordered(parts)


def ordered(parts: list[np.ndarray]) -> np.ndarray:
    """Join arrays of records and put them in the order of time (as opaque bytes: numpy would repack the fields)."""
    layout = parts[0].dtype
    joined = np.concatenate([np.ascontiguousarray(part).view("V%d" % layout.itemsize) for part in parts])
    return joined[np.argsort(joined.view(layout)["time_ns"], kind="stable")].view(layout)


def make_pair(run_directory: Any, pair: int, count: int, first: Bundle | None = None,
              second: Bundle | None = None) -> int:
    """Write the bundles of two hosts with about `count` records each; return how many there are in all."""
    one, two = first or host("hv-%02da" % pair), second or host("hv-%02db" % pair)
    there, back = packets(pair, False, count // 6), packets(pair, True, count // 6)
    total = 0
    for bundle, sides in ((one, ((there, "out"), (back, "in"))), (two, ((there, "in"), (back, "out")))):
        parts = [records(bundle, traffic, side, 2 * slot + (bundle is two))
                 for slot, (traffic, side) in enumerate(sides)]
        made = ordered(parts)
        bundle.write(run_directory, made)
        total += len(made)
    return total
