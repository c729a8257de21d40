# SPDX-License-Identifier: Apache-2.0
"""A packet is taken at every place or at none, whatever happens to it on the way: by the very C of the kernel."""
import random
import struct

import numpy as np
import pytest
from support.bundles import ethernet, geneve, icmp, ipv4, ipv6, tcp, udp, vxlan
from support.sampling import takes

COUNT = 4000
BLOCK = 1 << 16
A, B, NAT = "10.0.0.1", "10.0.0.2", "192.0.2.77"


def taken(frames: list[bytes], one_in: int = 10, salt: int = 7, **options: object) -> np.ndarray:
    return takes(frames, one_in=one_in, salt=salt, **options)


def data(rng: random.Random, size: int) -> bytes:
    return rng.randbytes(size)


def payloads(count: int = COUNT) -> list[bytes]:
    rng = random.Random(1)
    return [data(rng, rng.choice([40, 80, 400, 1400])) for _ in range(count)]


def transported(number: int, payload: bytes, kind: str, translated: bool) -> tuple[int, bytes]:
    """The same packet before and after address translation: protocol, and what is behind the IP header."""
    port, echo = (61000, 999) if translated else (40000, 17)
    if kind == "udp":
        return 17, udp(port, 53, payload)
    if kind == "sctp":
        return 132, struct.pack("!HHII", port, 9, 5, 77 if translated else 78) + payload
    if kind == "esp":
        return 50, payload
    if kind == "echo":
        return 1, icmp(8, 0, echo, number & 0xFFFF, 0) + payload
    return 6, tcp(port, 443, seq=number * 7001, ack=number * 31, flags=16 if number % 3 else 24,
                  payload=number % 3 and len(payload))


@pytest.mark.parametrize("ident", [True, False])
@pytest.mark.parametrize("kind", ["udp", "sctp", "esp", "echo", "tcp"])
def test_the_same_everywhere(kind: str, ident: bool) -> None:
    """Routed, translated, tagged, in a tunnel, in pages, padded: and one in N of them."""
    places = {name: [] for name in ("vm", "nat", "tag", "vxlan", "geneve", "padded")}
    for number, payload in enumerate(payloads()):
        marks = {"ident": number + 1 if ident else 0}
        protocol, plain = transported(number, payload, kind, False)
        packet = ipv4(A, B, plain, protocol=protocol, **marks)
        places["vm"].append(ethernet(packet))
        places["padded"].append(ethernet(packet) + b"\xAB" * 10)
        protocol, moved = transported(number, payload, kind, True)
        packet = ipv4(NAT, B, moved, protocol=protocol, ttl=61, **marks)
        places["nat"].append(ethernet(packet))
        places["tag"].append(ethernet(packet, vlan=[100]))
        places["vxlan"].append(ethernet(ipv4("1.1.1.1", "2.2.2.2", udp(number % 9999, 4789, vxlan(5, ethernet(packet))),
                                             ident=number % 333)))
        places["geneve"].append(ethernet(ipv6("fd00::1", "fd00::2", udp(5, 6081, geneve(5, ethernet(packet)))), 0x86DD))
    found = {name: taken(frames) for name, frames in places.items()}
    found["pages"] = taken(places["vm"], linear=54)
    assert all((one == found["vm"]).all() for one in found.values())
    assert COUNT / 10 * 0.8 < found["vm"].sum() < COUNT / 10 * 1.2


def test_fragments_go_with_their_datagram() -> None:
    whole, first, later, six, six_later = [], [], [], [], []
    for number, payload in enumerate(payloads()):
        marks = {"ident": number + 1}
        whole.append(ethernet(ipv4(A, B, udp(5, 53, payload), **marks)))
        first.append(ethernet(ipv4(A, B, udp(5, 53, payload)[:40], more=True, **marks)))
        later.append(ethernet(ipv4(A, B, payload, fragment=160, **marks)))
        part = struct.pack("!BBHI", 17, 0, 1, number + 1)
        six.append(ethernet(ipv6("fd00::1", "fd00::2", part + udp(5, 53, payload), protocol=44), 0x86DD))
        part = struct.pack("!BBHI", 17, 0, 160, number + 1)
        six_later.append(ethernet(ipv6("fd00::1", "fd00::2", part + payload, protocol=44), 0x86DD))
    found = taken(whole)
    assert 0 < found.sum() < COUNT
    for frames in (first, later, six, six_later):
        assert (taken(frames) == found).all()


def test_equal_datagrams_are_told_apart_by_their_ids() -> None:
    """And those that nothing tells apart are taken together."""
    assert 300 < taken([ethernet(ipv4(A, B, udp(5, 53, 64), ident=number + 1)) for number in range(COUNT)]).sum() < 500
    for salt in range(30):
        alike = taken([ethernet(ipv4(A, B, udp(5, 53, 64)))] * 50, salt=salt)
        assert alike.all() or not alike.any()


def stream(total: int, start: int, sizes: list[int], rng: random.Random) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Cut bytes into segments of some sizes; return frames and (first, behind the last) of each."""
    frames, spans, at = [], [], 0
    while at < total:
        size = min(rng.choice(sizes), total - at)
        packet = ipv4(A, B, tcp(5, 443, seq=start + at, ack=1), protocol=6, length=40 + size,
                      ident=rng.getrandbits(16))
        frames.append(ethernet(packet))
        spans.append((at, at + size))
        at += size
    return frames, spans


@pytest.mark.parametrize("start", [0, 12345, (1 << 32) - 3 * BLOCK - 77])
def test_all_of_a_block_is_taken_however_it_is_cut(start: int) -> None:
    """A block that is taken at one place is taken whole at all; and few segments are taken but for those."""
    total, one_in = 400 * BLOCK, 10
    whole = {}
    for name, sizes in {"gso": [64000, 20000, 1448], "segments": [1448], "smaller": [1398, 536]}.items():
        frames, spans = stream(total, start, sizes, random.Random(name))
        got = np.zeros(total, bool)
        found = taken(frames, one_in)
        for (first, end), one in zip(spans, found, strict=True):
            got[first:end] |= one
        edges = list(range(-start % BLOCK, total + 1, BLOCK))
        whole[name] = [bool(got[low:low + BLOCK].all()) for low in edges[:-1]]
        if name == "segments":
            assert total / one_in * 0.6 < got.sum() < total / one_in * 1.5
    # a segment at the edge is taken with its neighbour: no more than that
    assert whole["segments"] == whole["smaller"]
    assert 15 < sum(whole["segments"]) < 70
    assert all(big or not small for big, small in zip(whole["gso"], whole["segments"], strict=True))


def test_acknowledgements_are_drawn_one_by_one() -> None:
    """All of one direction have one sequence number."""
    frames = [ethernet(ipv4(B, A, tcp(443, 5, seq=99, ack=2896 * number), protocol=6)) for number in range(COUNT)]
    assert 300 < taken(frames).sum() < 500


def test_what_will_be_cut_is_taken() -> None:
    frame = [ethernet(ipv4(A, B, udp(5, 53, 1000), ident=1))]
    assert not all(taken(frame, 1000, salt).any() for salt in range(5))
    assert all(taken(frame, 1000, salt, gso_sizes=[500]).all() for salt in range(5))


def test_another_salt_takes_others() -> None:
    frames = [ethernet(ipv4(A, B, udp(5, 53, 64), ident=number + 1)) for number in range(COUNT)]
    one, two = taken(frames, salt=1), taken(frames, salt=2)
    assert 10 < (one & two).sum() < 80
