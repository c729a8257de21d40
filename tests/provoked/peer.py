# SPDX-License-Identifier: Apache-2.0
"""A TCP on `a` that does what it is told, against a real one on `b`: nobody else knows its address."""
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from support import bundles

from .cases import Me
from .packets import frame, ip, summed
from .pair import B4, DEVICE, MAC_A, Pair

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SEQ = 1_000_000
MD5, STAMP = 19, 8    # kinds of options


class Segment(NamedTuple):
    """What `b` sent."""

    seq: int
    ack: int
    flags: int
    window: int
    stamp: int    # its time stamp, 0 for none


class Peer:
    """The told end of one connection to `port`; it sends nothing by itself."""

    def __init__(self, pair: Pair, me: Me, port: int, sport: int = 5000) -> None:
        self.pair, self.me, self.port, self.sport = pair, me, port, sport
        self.seq, self.ack, self.window = SEQ, 0, 0
        self.stamp = 0      # of the other end; with it, own time stamps are sent
        self.now = 0        # the own time stamp, none if 0
        pair.b.run(f"ip neigh replace {me.v4} lladdr {MAC_A} dev {DEVICE}")
        self.heard = pair.a.open(socket.AF_PACKET, socket.SOCK_DGRAM)
        self.heard.bind((DEVICE, 0x0800))

    def segment(self, flags: int, payload: int = 0, *, seq: int | None = None, ack: int | None = None,
                options: bytes = b"", window: int = 60000, wrong: int = 0) -> bytes:
        """Return a frame with a segment; wrong: added to its checksum."""
        if self.now and not options:
            options = b"\1\1" + struct.pack("!BBII", STAMP, 10, self.now, self.stamp & 0xFFFFFFFF)
        made = bundles.tcp(self.sport, self.port, seq=self.seq if seq is None else seq,
                           ack=self.ack if ack is None else ack, flags=flags, payload=payload, options=options,
                           window=window)
        whole = bytearray(summed(made, 16, self.me.v4, B4, 6))
        whole[17] ^= wrong
        return frame(ip(self.me.v4, bytes(whole), 6))

    def send(self, flags: int, payload: int = 0, **options: int | bytes | None) -> None:
        """Send one segment."""
        self.pair.send(self.segment(flags, payload, **options))

    def hear(self, flags: int = ACK) -> Segment:
        """Return the next segment of `b` that has all these flags."""
        while True:
            packet = self.heard.recv(2000)
            if packet[9] != 6 or packet[16:20] != socket.inet_aton(self.me.v4):
                continue
            _sport, dport, seq, ack, offset, seen, window = struct.unpack_from("!HHIIBBH", packet, 20)
            if dport == self.sport and seen & flags == flags:
                found = packet[40:20 + (offset >> 4) * 4].find(b"\1\1\x08\x0a")
                return Segment(seq, ack, seen, window, *struct.unpack_from("!I", packet, 44 + found)
                               if found >= 0 else (0,))

    def connect(self) -> None:
        """Do the handshake."""
        self.begin()
        self.send(ACK)

    def begin(self) -> None:
        """Do the handshake but for its last segment."""
        self.send(SYN)
        answer = self.hear(SYN | ACK)
        self.seq, self.ack, self.window, self.stamp = self.seq + 1, answer.seq + 1, answer.window, answer.stamp

    def give(self, size: int) -> None:
        """Send data, and wait until it is confirmed."""
        self.send(ACK | PSH, size)
        self.seq += size
        while self.hear().ack != self.seq:
            pass


@contextmanager
def listening(pair: Pair, me: Me) -> Iterator[socket.socket]:
    """A listening socket on `b` at the case's port."""
    with pair.b.open(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((B4, me.port))
        server.listen()
        yield server


@contextmanager
def connected(pair: Pair, me: Me, stamps: bool = False) -> Iterator[tuple[Peer, socket.socket]]:
    """A connection: the told end, and the real one on `b`."""
    with listening(pair, me) as server:
        peer = Peer(pair, me, me.port)
        peer.now = 1000 if stamps else 0
        peer.connect()
        accepted, _address = server.accept()
        with accepted, peer.heard:
            yield peer, accepted
            if accepted.fileno() >= 0:    # it ends without farewell, for which nobody would wait
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
