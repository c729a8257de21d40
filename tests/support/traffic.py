# SPDX-License-Identifier: Apache-2.0
"""Make bundles in bulk, all numpy, millions of records: pairs of VMs that talk, a SYN flood, drops at many places.

Records are made and written in pieces: memory does not grow with them.
"""
from collections.abc import Iterator
from typing import Any

import numpy as np

from .bundles import NETNS, Bundle, ethernet, icmp, ipv4, ipv6, stride_dtype, tcp, udp

PERIOD = 20e-6      # s between two packets of a pair, in each direction
DROP_EVERY = 1000   # packets
PIECE = 200_000     # packets that are made at once
KINDS = 16          # of packets that templates() has in one turn
ETH0, VNET0 = 2, 3
RING_FULL = 0xFFFFFFFF81A01234
_SYN = 2
# How a packet passes a host: seconds after it came, point, device. The last is a drop in a slot for drops.
_OUT = ((0.0, "dev.rx", VNET0), (8e-6, "dev.tx", ETH0), (14e-6, "skb.free", ETH0))
_IN = ((50e-6, "dev.rx", ETH0), (57e-6, "dev.tx", VNET0), (66e-6, "skb.free", VNET0))

Columns = dict[str, np.ndarray]


def host(name: str, **options: Any) -> Bundle:
    """Return a hypervisor with eth0 and vnet0."""
    bundle = Bundle(name, **options)
    bundle.device(ETH0, "eth0", "phy")
    bundle.device(VNET0, "vnet0", "vnet", rose={"tx_dropped": 0})
    bundle.symbol(RING_FULL, "tun_net_xmit+0x1a2")
    bundle.stack(1, [bundle.symbol(0xFFFFFFFF81000000 + 64 * n, "function_%d+0x%x" % (n, n)) for n in range(12)])
    return bundle


# Packets.

def templates(pair: int, back: bool, turns: int = 1) -> list[bytes]:
    """Return one packet of each flow of a pair of VMs; each turn has 14 flows of its own, and ping."""
    a, b = "192.168.%d.10" % pair, "192.168.%d.20" % pair
    a6, b6 = "fd00:%x::10" % pair, "fd00:%x::20" % pair
    if back:
        a, b, a6, b6 = b, a, b6, a6
    out = []
    for turn in range(turns):
        out += [ethernet(ipv4(a, b, tcp(40000 + 8 * turn + n, 443, flags=24, payload=1000), protocol=6, length=1040))
                for n in range(8)]
        out += [ethernet(ipv4(a, b, udp(50000 + 4 * turn + n, 53, 100))) for n in range(4)]
        out += [ethernet(ipv4(a, b, icmp(0 if back else 8, 0, 7 + turn, 0), protocol=1))] * 2
        out += [ethernet(ipv6(a6, b6, tcp(41000 + 2 * turn + n, 443, flags=24, payload=1000), protocol=6), 0x86DD)
                for n in range(2)]
    return out


def _bytes(values: np.ndarray, kind: str) -> np.ndarray:
    """Return numbers as rows of bytes in network order; kind: u2 or u4."""
    return values.astype(">" + kind).view("u1").reshape(-1, int(kind[1]))


def _repeated(kinds: list[bytes], kind: np.ndarray) -> np.ndarray:
    """Return the first 128 bytes of a packet of each of these kinds."""
    rows = np.frombuffer(b"".join(packet[:128].ljust(128, b"\0") for packet in kinds), "u1").reshape(-1, 128)
    return rows[kind].copy()


def talk(kinds: list[bytes], numbers: np.ndarray, delay: float) -> Columns:
    """Return packets by number: their bytes, and what else their records need; delay: when the first is sent."""
    kind, serial = numbers % len(kinds), numbers // len(kinds)
    data = _repeated(kinds, kind)
    six, protocol = (data[:, 12] == 0x86) & (data[:, 13] == 0xDD), data[:, 23].copy()
    protocol[six] = data[six, 20]
    four_tcp, echo = ~six & (protocol == 6), ~six & (protocol == 1)
    sequence = _bytes(serial * 1000 + 1 & 0xFFFFFFFF, "u4")
    data[four_tcp, 38:42], data[six, 58:62] = sequence[four_tcp], sequence[six]
    data[~six, 18:20] = _bytes(numbers & 0xFFFF, "u2")[~six]
    data[echo, 40:42] = _bytes((serial * 2 + (kind % KINDS == KINDS - 3)) & 0xFFFF, "u2")[echo]
    headers = np.where(six, 74, np.where(protocol == 6, 54, 42))
    data[np.arange(128) >= headers[:, None]] = 0
    return {"packet": data, "packet_len": headers.astype("u1"), "protocol": np.where(six, 0x86DD, 0x0800),
            "len": np.array([len(packet) for packet in kinds])[kind], "hash": kind * 2654435761 % (1 << 32),
            "sent": numbers * PERIOD + delay, "serial": numbers}


def syns(numbers: np.ndarray, period: float) -> Columns:
    """Return SYNs to one VM, each from an address and a port of its own."""
    data = _repeated([ethernet(ipv4("10.0.0.0", "192.168.1.20", tcp(0, 443, flags=_SYN), protocol=6))], numbers * 0)
    data[:, 27:30] = _bytes(numbers * 7919 % (1 << 24), "u4")[:, 1:]
    data[:, 34:36] = _bytes(1024 + numbers % 60000, "u2")
    data[:, 38:42] = _bytes(numbers * 2654435761 & 0xFFFFFFFF, "u4")
    data[:, 18:20] = _bytes(numbers & 0xFFFF, "u2")
    count = len(numbers)
    return {"packet": data, "packet_len": np.full(count, 54, "u1"), "protocol": np.full(count, 0x0800),
            "len": np.full(count, 54), "hash": numbers * 2654435761 % (1 << 32), "sent": numbers * period,
            "serial": numbers}


# Records.

def _records(bundle: Bundle, traffic: Columns, way: tuple[tuple[float, str, int], ...], slot: int) -> np.ndarray:
    """Return the records of packets that pass a host one way, step by step; slot: a range of sk_buffs for them."""
    count, serial = len(traffic["sent"]), traffic["serial"].astype("u8")
    random = np.random.default_rng([slot, int(serial[0]) if count else 0])
    slow = random.exponential(3e-6, count) if way is _IN else 0.0
    parts = []
    for delay, point, ifindex in way:
        out = np.zeros(count, stride_dtype())
        for name in ("packet", "packet_len", "protocol", "hash"):
            out[name] = traffic[name]
        second = traffic["sent"] + delay + slow + random.exponential(0.3e-6, count)
        out["time_ns"] = int(bundle.boot * 1e9) + np.rint(second * 1e9 * (1 + bundle.drift)).astype("i8")
        out["skb"] = np.uint64(0xFFFF888100000000 + (slot << 20)) + serial % np.uint64(512) * np.uint64(256)
        out["head"] = np.uint64(0xFFFF888200000000 + (slot << 24)) + serial % np.uint64(512) * np.uint64(2048)
        out["point"], out["ifindex"], out["netns"] = bundle.points.index(point), ifindex, NETNS
        out["pid"], out["comm"], out["cpu"] = 20 + slot % 4, b"vhost-%d" % (2000 + slot % 4), slot % 4
        out["stack_id"], out["users"], out["packet_layer"] = -1, 1, 2
        out["mac_offset"], out["network_offset"], out["transport_offset"] = 64, 78, 98
        out["data_offset"] = 78 if point == "dev.rx" else 64
        out["len"] = traffic["len"] - 14 * (point == "dev.rx")
        parts.append(out)
    return _joined(parts)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Join arrays of records (as opaque bytes: numpy would repack the fields)."""
    kind = parts[0].dtype
    return np.concatenate([part.view("V%d" % kind.itemsize) for part in parts]).view(kind)


def _drop(bundle: Bundle, made: np.ndarray, chosen: np.ndarray) -> None:
    """Let some records be drops by a tap whose ring is full, which the tap counts."""
    made["point"][chosen], made["stack_id"][chosen] = bundle.points.index("skb.drop"), 1
    made["reason"][chosen], made["location"][chosen] = 77, RING_FULL
    device = next(entry for entry in bundle.manifest["devices"] if entry["ifindex"] == VNET0)
    device["statistics"]["after"]["tx_dropped"] += int(chosen.sum())


def _ordered(made: np.ndarray) -> np.ndarray:
    """Put records in the order of time."""
    opaque = made.view("V%d" % made.dtype.itemsize)
    return opaque[np.argsort(made["time_ns"], kind="stable")].view(made.dtype)


def _pieces(count: int) -> Iterator[np.ndarray]:
    """Yield the numbers of packets, some at a time."""
    for first in range(0, count, PIECE):
        yield np.arange(first, min(first + PIECE, count))


# Runs.

def make_pairs(run_directory: Any, hosts: int, count: int, turns: int = 1) -> int:
    """Write the bundles of pairs of hosts, with about `count` records each; return how many there are in all."""
    total, each = 0, count // 6
    for pair in range(1, hosts // 2 + 1):
        long = each * PERIOD + 1
        ends = (host("hv-%02da" % pair, duration=long),
                host("hv-%02db" % pair, duration=long, skew=0.01 * pair, drift=1e-5 * pair, boot=5000.0))
        for which, bundle in enumerate(ends):
            bundle.write(run_directory, _pair_records(bundle, which, pair, each, turns))
        total += 12 * each
    return total


def _pair_records(bundle: Bundle, which: int, pair: int, count: int, turns: int) -> Iterator[np.ndarray]:
    """Yield the records of one host of a pair."""
    kinds = [templates(pair, back, turns) for back in (False, True)]
    for numbers in _pieces(count):
        there, back = (talk(kinds[way], numbers, PERIOD / 2 * way) for way in (0, 1))
        sent, came = (there, back) if which == 0 else (back, there)
        arrived = _records(bundle, came, _IN, which)
        chosen = np.tile(numbers % DROP_EVERY == DROP_EVERY - 1, len(_IN))
        chosen[:-len(numbers)] = False
        _drop(bundle, arrived, chosen)
        yield _ordered(_joined([_records(bundle, sent, _OUT, 2 + which), arrived]))


def make_flood(run_directory: Any, count: int) -> int:
    """Write the bundle of a host whose VM is flooded with SYNs, two records for each; return how many there are."""
    flows, period = count // 2, 5e-6
    bundle = host("hv-01a", duration=flows * period + 1)
    bundle.write(run_directory, (_ordered(_records(bundle, syns(numbers, period), _IN[:2], 0))
                                 for numbers in _pieces(flows)))
    return 2 * flows


def make_sites(run_directory: Any, hosts: int, sites: int, count: int) -> int:
    """Write the bundles of hosts that drop at many places of the code what comes in: `count` records in all."""
    each = count // hosts // 2
    for number in range(hosts):
        bundle = host("hv-%03d" % number, duration=each * PERIOD + 1, boot=1000.0 + number)
        for site in range(sites):
            where = bundle.symbol(0xFFFFFFFF81100000 + 4096 * site, "site_%d+0x10" % site)
            bundle.stack(site, [where, 0xFFFFFFFF81000000])
        bundle.write(run_directory, _site_records(bundle, number, sites, each))
    return 2 * each * hosts


def _site_records(bundle: Bundle, number: int, sites: int, count: int) -> Iterator[np.ndarray]:
    """Yield the records of one host: what comes in is dropped, at one place after the other."""
    kinds = templates(number % 250, False)
    for numbers in _pieces(count):
        traffic = talk(kinds, numbers + number * count, -number * count * PERIOD)
        made = _records(bundle, traffic, ((0.0, "dev.rx", ETH0), (3e-6, "skb.drop", ETH0)), number % 8)
        dropped, site = made[len(numbers):], numbers % sites
        dropped["stack_id"], dropped["reason"] = site, 2
        dropped["location"] = np.uint64(0xFFFFFFFF81100000) + site.astype("u8") * np.uint64(4096)
        yield _ordered(made)
