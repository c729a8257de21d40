# SPDX-License-Identifier: Apache-2.0
"""Packets, the sk_buffs that carry them, and what is true about them."""
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .flows import Flow

Place = tuple[str, str, str]        # host, device, point
View = tuple[str, int, str, int]    # source, port, target, port: as a packet shows them
ITSELF = ("", "dup")                # what Skb.copy says of a packet itself, and of its double from the wire


class Packet:
    """One packet as it is on the wire, sent once; a segment that TCP sends again is another packet."""

    def __init__(self, flow: "Flow", way: int, proto: int, size: int, *, seq: int = 0, ack: int = 0, flags: int = 0,
                 ident: int = 0, offset: int = 0, more: bool = False, payload: int = 0) -> None:
        """size: bytes of payload; payload: its hash, 0: it has none; offset, more: of a fragment."""
        self.flow, self.way, self.proto, self.size = flow, way, proto, size
        self.seq, self.ack, self.flags, self.ident = seq, ack, flags, ident
        self.offset, self.more, self.payload = offset, more, payload
        self.resent = False      # its bytes were sent before
        self.twins = False       # others look exactly the same
        self.many = False        # it goes to everybody
        self.born = 0.0
        self.sights: list[Sight] = []      # all of them, recorded or not
        self.arrived = False     # where it should go; or at anybody, if it goes to everybody
        self.reached = 0         # taps that took it, of its own way
        self.gone: list[Loss] = []         # of itself, not of copies
        self.keys: set[str] = set()        # names of its flow under which somebody recorded it
        self.children: list[Packet] = []   # fragments that a host cut it into
        self.whole: Packet | None = None   # what it is a fragment of
        self.held = ""           # host where it waits for the other fragments
        self.joined = False      # a host joined its fragments, and it went on as a whole

    @property
    def lost(self) -> bool:
        """Whether it is lost, after all."""
        if self.many:
            return bool(self.gone)
        return not self.arrived

    @property
    def recorded(self) -> bool:
        """Whether any record of it exists."""
        return any(sight.recorded for sight in self.sights)

    def shown(self, key: str) -> int:
        """Return how often it came to the first place that recorded it under a name.

        What the wire doubled before was sent twice, for all that anybody can see from there on.
        """
        own = [sight.place for sight in self.steps() if sight.recorded and (self.flow.nat or key in sight.keys)]
        if self.flow.nat:   # where names begin and end depends on what can be linked
            return max([own.count(place) for place in set(own)] or [1])
        return max(1, own.count(own[0])) if own else 1

    def steps(self) -> list["Sight"]:
        """Return the sights of itself, not of its copies, on its way."""
        return [sight for sight in self.sights if sight.copy in ITSELF
                and sight.place[2] not in ("skb.free", "skb.drop")]


class Skb:
    """What moves: one packet or several in one sk_buff."""

    numbers = itertools.count(1)

    def __init__(self, packets: Iterable[Packet], view: View, goals: Iterable[tuple[str, Any]], ttl: int = 64,
                 copy: str = "", head: int = 0) -> None:
        """goals: (kind, VM or host) where it goes, one after the other; copy: why it is not the packet itself."""
        self.packets, self.view, self.goals, self.ttl, self.copy = list(packets), view, list(goals), ttl, copy
        self.address = 0xFFFF888100000000 + 256 * (next(Skb.numbers) % 997)   # slabs use addresses again
        self.head = head or 0xFFFF888200000000 + 1024 * next(Skb.numbers)
        self.outer: tuple[str, str, str, int, int] | None = None   # tunnel: kind, source, target, port, VNI
        self.sender: Any = None      # VM or host whose frame it is in
        self.translated = False
        self.nonlinear = False

    @property
    def macs(self) -> bytes:
        """The frame's addresses: for whom it is, and whose."""
        target = bytes(6 * [255]) if self.packets[0].many else self.goals[0][1].mac if self.goals else bytes(6)
        return target + (self.sender.mac if self.sender else bytes(6))

    def clone(self, copy: str) -> "Skb":
        """Return a copy; copy: why, it is not the packet itself."""
        return self._like(Skb(self.packets, self.view, self.goals, self.ttl, self.copy or copy, self.head))

    def part(self, packets: Iterable[Packet]) -> "Skb":
        """Return an skb with some of the packets."""
        return self._like(Skb(packets, self.view, self.goals, self.ttl, self.copy))

    def _like(self, other: "Skb") -> "Skb":
        other.translated, other.outer, other.sender = self.translated, self.outer, self.sender
        return other


class Sight:
    """One skb at one point."""

    __slots__ = ("copy", "data", "extra", "head", "keys", "length", "packets", "place", "recorded", "skb", "time")

    def __init__(self, place: Place, when: float, skb: Skb, data: bytes, length: int, extra: dict[str, Any]) -> None:
        """data: the frame's headers; length: of the frame without its Ethernet header."""
        self.place, self.time, self.packets, self.copy, self.recorded = place, when, list(skb.packets), skb.copy, False
        self.keys: list[str] = []      # names of its flow, if it was recorded
        self.skb, self.head, self.data, self.length, self.extra = skb.address, skb.head, data, length, extra


class Loss:
    """A packet's end that was not its goal."""

    def __init__(self, kind: str, when: float, place: tuple[str, str], sight: Sight | None = None,
                 then: tuple[str, str] | None = None, function: str = "") -> None:
        """kind: drop, silent, wire or vm; place: where it was last or dropped; then: where it would have gone on."""
        self.kind, self.time, self.place, self.then = kind, when, place, then
        self.sight, self.function = sight, function

    @property
    def hosts(self) -> set[str]:
        """The hosts between which, or in which, it happened."""
        return {self.place[0]} | ({self.then[0]} if self.then else set())

    def __str__(self) -> str:
        return "%s at %s %s" % (self.kind, " ".join(self.place),
                                "> " + " ".join(self.then) if self.then else self.function)
