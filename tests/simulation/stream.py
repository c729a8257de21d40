# SPDX-License-Identifier: Apache-2.0
"""TCP: a handshake, data one way, acknowledgements; what was lost is sent again."""
from collections.abc import Sequence

from .flows import Flow
from .headers import TCP
from .machines import VM
from .packets import Packet

_SYN, _SYN_ACK, _ACK = 2, 18, 16


class Stream(Flow):
    """A connection whose first end sends."""

    def begin(self) -> None:
        world, rng = self.world, self.rng
        self.mss = int(rng.choice([536, 1000, 1448]))
        self.burst = int(rng.integers(2, 11)) if world.dice.may("gso") and rng.random() < 0.7 else 1
        self.start = [int(rng.integers(0, 1 << 32)) if rng.random() < 0.8 else (1 << 32) - 5000 for _ in range(2)]
        self.total = self.count * self.mss
        self.una = self.next = self.limit = self.dup = 0     # what is acknowledged, sent, written; equal answers
        self.have: set[int] = set()                          # what the receiver has, and up to where without a gap
        self.edge, self.progress = 0, 0.0
        self.sent: set[tuple[int, int, int, int]] = set()
        self.state, self.tries = "closed", 0
        self.fixed = (0 if rng.random() < 0.5 else 4711) if world.dice.may("fixedid") and rng.random() < 0.4 else None
        begin = float(rng.uniform(-0.05, world.duration * 0.3))
        chunks = max(1, self.count // self.burst)
        self.gap = (world.duration - begin) / chunks * float(rng.uniform(0.3, 1.0))
        world.later(begin, self.syn)

    def segment(self, way: int, size: int, offset: int, flags: int) -> Packet:
        """Make one segment; offset: of its data in the stream."""
        seq = self.start[way] + offset
        ack = self.start[1] + 1 if way == 0 else self.start[0] + 1 + (self.edge if flags != _SYN_ACK else 0)
        packet = self.world.new(self, way, TCP, size, seq=seq & 0xFFFFFFFF, flags=flags,
                                ack=0 if flags == _SYN else ack & 0xFFFFFFFF, ident=self.ident(way, self.fixed))
        what = (way, offset, size, flags & 3)
        if size or flags & 3:
            packet.resent = what in self.sent
            self.sent.add(what)
        return packet

    def syn(self) -> None:
        """Open, again and again until it is answered."""
        if self.state == "open" or self.tries > 5 or self.world.now > self.world.duration:
            return
        self.tries += 1
        self.state = "asked"
        self.world.send(self.ends[0], [self.segment(0, 0, 0, _SYN)])
        self.world.later(self.world.now + 0.25, self.syn)

    def more(self) -> None:
        """The program writes."""
        self.limit = min(self.limit + self.burst * self.mss, self.total)
        self.push()
        if self.limit < self.total and self.world.now < self.world.duration + 0.05:
            self.world.later(self.world.now + self.gap, self.more)

    def push(self) -> None:
        """Send what may be sent."""
        while self.next < self.limit and self.next - self.una < 40 * self.mss:
            end = min(self.next + self.burst * self.mss, self.limit)
            self.data(self.next, end)
            self.next = end

    def data(self, begin: int, end: int) -> None:
        """Send a stretch of data in one skb."""
        self.world.send(self.ends[0], [self.segment(0, min(self.mss, end - at), 1 + at, _ACK)
                                       for at in range(begin, end, self.mss)])

    def timer(self) -> None:
        """Send again what is not acknowledged."""
        now, last = self.world.now, self.world.duration + 0.2
        if self.una < self.next and now - self.progress > 0.19 and now < last:
            self.data(self.una, min(self.next, self.una + int(self.rng.integers(1, 4)) * self.mss))
        if now < last:
            self.world.later(now + 0.2, self.timer)

    def received(self, vm: VM, packets: Sequence[Packet], fresh: Sequence[Packet]) -> None:
        if vm is self.ends[1] and packets[0].way == 0:
            self._asked(vm, packets)
        elif vm is self.ends[0] and packets[0].way == 1:
            self._answered(vm, packets[0])

    def _asked(self, vm: VM, packets: Sequence[Packet]) -> None:
        """The receiver got segments."""
        if packets[0].flags & _SYN:
            self.world.send(vm, [self.segment(1, 0, 0, _SYN_ACK)], 2e-5)
            return
        if not packets[0].size:
            return
        self.have |= {(packet.seq - self.start[0] - 1) & 0xFFFFFFFF for packet in packets}
        while self.edge in self.have:
            self.edge += self.mss
        self.world.later(self.world.now + 2e-5, self.acknowledge)

    def _answered(self, vm: VM, packet: Packet) -> None:
        """The sender got an answer."""
        if packet.flags & _SYN:
            if self.state != "open":
                self.state, self.progress = "open", self.world.now
                self.world.later(self.world.now + 0.2, self.timer)
                self.world.later(self.world.now + 1e-4, self.more)
            self.world.send(vm, [self.segment(0, 0, 1, _ACK)], 1e-5)
            return
        acked = (packet.ack - self.start[0] - 1) & 0xFFFFFFFF
        if self.una < acked < 1 << 31:
            self.una, self.dup, self.progress = acked, 0, self.world.now
            self.push()
        elif acked == self.una and self.una < self.next:
            self.dup += 1
            if self.dup == 3:
                self.data(self.una, min(self.next, self.una + self.mss))

    def acknowledge(self) -> None:
        """The receiver says how far it got."""
        self.world.send(self.ends[1], [self.segment(1, 0, 1, _ACK)])
