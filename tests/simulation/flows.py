# SPDX-License-Identifier: Apache-2.0
"""What VMs exchange: datagrams, echoes, ARP and fragments. TCP is in stream.py."""
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .headers import ARP, ICMP, ICMP6, UDP
from .machines import VM, Host
from .packets import Packet, View

if TYPE_CHECKING:
    from .world import World


class Nat(NamedTuple):
    """Address translation of a flow."""

    kind: str              # snat, dnat
    host: Host
    end: tuple[str, int]   # address and port that it puts there

    def __str__(self) -> str:
        return "%s on %s to %s:%d" % (self.kind, self.host.name, *self.end)


class Flow:
    """Packets that two VMs exchange. Ways: 0 from the first one to the second one, 1 back."""

    def __init__(self, world: "World", number: int, kind: str, one: VM, two: VM) -> None:
        self.world, self.number, self.kind, self.ends = world, number, kind, (one, two)
        self.rng = np.random.default_rng([world.seed, 1000 + number])
        self.version = 6 if world.dice.may("ipv6") and self.rng.random() < 0.25 and kind != "arp" else 4
        # by ports, wires are chosen: two flows of ARP between the same VMs are one, and go one way
        self.ports = (40000 + number, 5000 + number) if kind != "arp" else (0, 0)
        self.nat: Nat | None = None
        self.goals: dict[int, list[tuple[str, Any]]] = {0: [("vm", two)], 1: [("vm", one)]}   # by way
        self.router_loses = 0.0
        self.idents = [int(self.rng.integers(1, 65536)), int(self.rng.integers(1, 65536))]
        self.count = int(self.rng.integers(20, 150))
        self.size = int(self.rng.integers(8, 1200))

    def plain(self, way: int) -> View:
        """Return (source, port, target, port), as they are before any translation."""
        one, two = ((vm.v6 if self.version == 6 else vm.v4) for vm in self.ends)
        return (one, self.ports[0], two, self.ports[1]) if way == 0 else (two, self.ports[1], one, self.ports[0])

    def view(self, way: int) -> View:
        """Return the addresses that the sender uses."""
        view = self.plain(way)
        if self.nat and (self.nat.kind, way) in (("dnat", 0), ("snat", 1)):
            return view[0], view[1], *self.nat.end
        return view

    def ident(self, way: int, fixed: int | None = None) -> int:
        """Return the next IP id."""
        if self.version == 6:
            return 0
        if fixed is not None:
            return fixed
        self.idents[way] = (self.idents[way] + 1) & 0xFFFF
        return self.idents[way]

    def times(self, count: int) -> np.ndarray:
        """Return when packets are sent: evenly, in bursts, or at random."""
        reach = self.world.duration + 0.1
        dice = self.rng.random()
        if dice < 0.4:
            return np.sort(self.rng.uniform(-0.05, reach, count))
        if dice < 0.7:
            return np.linspace(-0.05, reach, count) + self.rng.uniform(0, 1e-3, count)
        starts = self.rng.uniform(0, reach * 0.9, max(1, count // 10))
        return np.sort(np.concatenate([start + np.arange(10) * float(self.rng.choice([2e-6, 1e-4]))
                                       for start in starts]))

    def begin(self) -> None:
        """Plan the first packets."""

    def received(self, vm: VM, packets: Sequence[Packet], fresh: Sequence[Packet]) -> None:
        """A VM got packets; fresh: those that it did not have yet."""

    def __str__(self) -> str:
        extra = [str(self.nat)] if self.nat else []
        for way, goals in self.goals.items():
            extra += ["way %d through %s %s" % (way, kind, goal.name) for kind, goal in goals[:-1]]
        if self.router_loses:
            extra.append("the router loses %.0f %%" % (100 * self.router_loses))
        return "flow %d %s%s %s (%s) > %s (%s) %s" % (
            self.number, self.kind, "6" if self.version == 6 else "", self.ends[0].name, self.ends[0].at(0)[0].name,
            self.ends[1].name, self.ends[1].at(0)[0].name, ", ".join(extra))


class Datagrams(Flow):
    """UDP: with IP ids (udp), without (noid), without and all alike (identical), or encrypted without ids (quic)."""

    def begin(self) -> None:
        self.answers = self.rng.random() < 0.7
        self.fixed_id = 0 if self.kind in ("noid", "identical", "quic") else None
        for when in self.times(self.count):
            self.world.later(float(when), self.one, 0)

    def one(self, way: int) -> None:
        """Send one."""
        alike = self.kind == "identical"
        size = int(self.rng.integers(20, 1200)) if self.kind == "quic" else self.size
        payload = 7 if alike else int(self.rng.integers(1, 1 << 62)) | 1
        packet = self.world.new(self, way, UDP, size, ident=self.ident(way, self.fixed_id), payload=payload)
        packet.twins = alike
        self.world.send(self.ends[way], [packet])

    def received(self, vm: VM, packets: Sequence[Packet], fresh: Sequence[Packet]) -> None:
        if vm is self.ends[1] and self.answers and fresh and fresh[0].way == 0:
            self.world.later(self.world.now + float(self.rng.uniform(1e-5, 5e-4)), self.one, 1)


class Echo(Flow):
    """ping."""

    def begin(self) -> None:
        for number, when in enumerate(self.times(self.count)):
            self.world.later(float(when), self.one, 0, number + 1)

    def one(self, way: int, number: int) -> None:
        """Send a request (0) or an answer (1)."""
        proto, kinds = (ICMP6, (128, 129)) if self.version == 6 else (ICMP, (8, 0))
        self.world.send(self.ends[way], [self.world.new(self, way, proto, 56, seq=number, ack=100 + self.number,
                                                        flags=kinds[way], ident=self.ident(way), payload=99)])

    def received(self, vm: VM, packets: Sequence[Packet], fresh: Sequence[Packet]) -> None:
        if vm is self.ends[1] and fresh and fresh[0].way == 0:
            self.world.later(self.world.now + 3e-5, self.one, 1, fresh[0].seq)


class Arp(Flow):
    """Who has an address? The request goes to everybody, the answer to one."""

    def begin(self) -> None:
        self.answered: set[Packet] = set()
        self.count = min(self.count, 12)
        for when in self.times(self.count):
            self.world.later(float(when), self.ask)

    def ask(self) -> None:
        """Send a request."""
        packet = self.world.new(self, 0, ARP, 0, flags=1)
        packet.many = packet.twins = True
        self.world.send(self.ends[0], [packet])

    def received(self, vm: VM, packets: Sequence[Packet], fresh: Sequence[Packet]) -> None:
        if vm is self.ends[1] and packets[0].way == 0 and packets[0] not in self.answered:
            self.answered.add(packets[0])
            packet = self.world.new(self, 1, ARP, 0, flags=2)
            packet.twins = True
            self.world.send(vm, [packet], 2e-5)


class Fragments(Flow):
    """Datagrams larger than the MTU, cut by the VM, or by a host on the way."""

    def begin(self) -> None:
        self.version = 4
        self.by_host = self.world.dice.may("cut") and self.rng.random() < 0.5
        self.count = min(self.count, 60)
        self.size = int(self.rng.integers(1500, 4000))
        for when in self.times(self.count):
            self.world.later(float(when), self.one)

    def one(self) -> None:
        """Send one datagram."""
        ident, payload = self.ident(0), int(self.rng.integers(1, 1 << 62)) | 1
        if self.by_host:
            self.world.send(self.ends[0], [self.world.new(self, 0, UDP, self.size, ident=ident, payload=payload)])
            return
        for offset in range(0, self.size + 8, 1480):
            size = min(1480, self.size + 8 - offset)
            piece = self.world.new(self, 0, UDP, size - (8 if not offset else 0), ident=ident, offset=offset,
                                   more=offset + size < self.size + 8, payload=payload + 2 * offset)
            self.world.send(self.ends[0], [piece], offset * 1e-9)
