# SPDX-License-Identifier: Apache-2.0
"""Read a pcapng file, strictly: what a block says of its length, of its options and of its interface must be so."""
import struct
from pathlib import Path
from typing import Any, NamedTuple

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


class Interface(NamedTuple):
    """An interface, with the options of its statistics."""

    name: str
    description: str
    filter: str
    statistics: dict[int, int]


class Packet(NamedTuple):
    """A packet; None: the block does not say."""

    interface: int
    time: int              # ns
    frame: bytes
    length: int
    direction: int
    reception: int
    journey: int | None
    queue: int | None
    comments: list[str]


class Capture(NamedTuple):
    """A file."""

    comment: str
    interfaces: list[Interface]
    packets: list[Packet]

    def place(self, packet: Packet) -> str:
        """Return the name of a packet's interface."""
        return self.interfaces[packet.interface].name


def read(path: Path) -> Capture:
    """Return what is in a file; AssertionError where it is not as the format wants it."""
    data = path.read_bytes()
    kinds, at = [], 0
    comment, interfaces, packets = "", list[Interface](), list[Packet]()
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length >= 12 and length % 4 == 0 and at + length <= len(data)
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        body = data[at + 8:at + length - 4]
        if kind == SECTION:
            assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
            comment = _one(_options(body[16:]), 1).decode()
        elif kind == INTERFACE:
            interfaces.append(_interface(body))
        elif kind == PACKET:
            packets.append(_packet(body, len(interfaces)))
        else:
            assert kind == STATISTICS
            interfaces[struct.unpack_from("<I", body)[0]].statistics.update(
                {code: _time(value) if code in (2, 3) else struct.unpack("<Q", value)[0]
                 for code, value in _options(body[12:])})
        kinds.append(kind)
        at += length
    assert kinds.count(SECTION) == 1 and kinds == sorted(kinds, key=[
        SECTION, INTERFACE, PACKET, STATISTICS].index), "blocks are in another order"
    return Capture(comment, interfaces, packets)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    out, at = [], 0
    while True:
        code, length = struct.unpack_from("<HH", data, at)
        if not code:
            assert (length, at + 4) == (0, len(data))
            return out
        value = data[at + 4:at + 4 + length]
        at += 4 + length + -length % 4
        assert len(value) == length and at <= len(data)
        out.append((code, value))


def _one(options: list[tuple[int, bytes]], code: int, default: bytes = b"") -> bytes:
    found = [value for known, value in options if known == code]
    assert len(found) < 2
    return found[0] if found else default


def _time(value: bytes) -> int:
    high, low = struct.unpack("<II", value)
    return high << 32 | low


def _interface(body: bytes) -> Interface:
    assert struct.unpack_from("<HH", body) == (1, 0)
    options = _options(body[8:])
    assert _one(options, 9) == b"\x09"
    return Interface(_one(options, 2).decode(), _one(options, 3).decode(), _one(options, 11)[1:].decode(), {})


def _packet(body: bytes, interfaces: int) -> Packet:
    interface, high, low, captured, length = struct.unpack_from("<IIIII", body)
    assert interface < interfaces and captured <= length
    frame, end = body[20:20 + captured], 20 + captured + -captured % 4
    assert len(frame) == captured and not any(body[20 + captured:end])
    options = _options(body[end:])
    flags = struct.unpack("<I", _one(options, 2))[0]

    def number(code: int, kind: str) -> Any:
        value = _one(options, code)
        return struct.unpack(kind, value)[0] if value else None
    return Packet(interface, high << 32 | low, frame, length, flags & 3, flags >> 2 & 7, number(5, "<Q"),
                  number(6, "<I"), [value.decode() for code, value in options if code == 1])
