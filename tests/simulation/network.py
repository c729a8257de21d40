# SPDX-License-Identifier: Apache-2.0
"""What is between the hosts: wires that lose, delay, reorder and double, a switch that floods, and receivers' GRO."""
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .headers import TCP
from .machines import Host
from .packets import ITSELF, Loss, Packet, Skb

if TYPE_CHECKING:
    from .world import World


class Arrival(NamedTuple):
    """A packet that comes to a host."""

    when: float
    packet: Packet
    copy: str


class Network:
    """The wires from each host to each other one."""

    def __init__(self, world: "World") -> None:
        self.world, self.rng, self.fleet = world, world.rng, world.fleet

    def carry(self, host: Host, skb: Skb, device: str, target: Host | None) -> None:
        """Carry an skb from a host to another one; None: to all others."""
        for one in [target] if target else self.fleet.others(host):
            self._across(host, skb, device, one)
        if target:
            self._switch(host, skb, target)

    def _across(self, host: Host, skb: Skb, device: str, target: Host) -> None:
        """The wire from a host to another one."""
        choice = zlib.crc32(repr(skb.view).encode()) >> 8
        into = target.uplinks[choice % len(target.uplinks)]
        arrivals: list[Arrival] = []
        for number, packet in enumerate(skb.packets):
            if self._loses(host, target):
                if skb.copy in ITSELF:
                    packet.gone.append(Loss("wire", self.world.now, (host.name, device), None, (target.name, into)))
                continue
            when = (self.world.now + self.fleet.latency[host.name, target.name] + number * 1e-6
                    + float(self.rng.exponential(self.fleet.jitter)))
            if self.rng.random() < self.fleet.reordering:
                when += float(self.rng.uniform(2e-5, 1.5e-3))
            else:
                when = self.world.fifo((host.name, device, target.name, into), when)
            arrivals.append(Arrival(when, packet, skb.copy))
            if self.rng.random() < self.fleet.duplication:
                arrivals.append(Arrival(when + float(self.rng.uniform(2e-6, 3e-4)), packet, skb.copy or "dup"))
        for run in _joined(target, sorted(arrivals, key=lambda one: one.when)):
            piece = skb.part([one.packet for one in run])
            piece.copy = run[0].copy
            self.world.later(run[-1].when, self.world.datapath.from_wire, target, piece, into)

    def _loses(self, host: Host, target: Host) -> bool:
        """Whether the wire loses a packet now."""
        return any(wire.one == host.name and wire.two == target.name and wire.begin <= self.world.now < wire.end
                   and self.rng.random() < wire.share for wire in self.fleet.wires)

    def _switch(self, host: Host, skb: Skb, target: Host) -> None:
        """The switch between hosts does not know an address: copies go to all other hosts."""
        goal = skb.goals[0][1] if skb.goals else None
        if goal not in self.fleet.switch_floods or skb.copy or skb.packets[0].many:
            return
        for other in self.fleet.hosts:
            if other in (host, target):
                continue
            for number, packet in enumerate(skb.packets):
                piece = skb.part([packet])
                piece.copy = "flood"
                self.world.later(self.world.now + self.fleet.latency[host.name, other.name] + number * 1e-6,
                                 self.world.datapath.stray, other, piece)


def _joined(host: Host, arrivals: Iterable[Arrival]) -> Iterator[list[Arrival]]:
    """GRO: yield runs of segments that follow each other."""
    run: list[Arrival] = []
    for one in arrivals:
        if run and not (len(run) < host.gro and _follows(run, one)):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _follows(run: list[Arrival], one: Arrival) -> bool:
    """Whether a segment follows a run so that GRO may join it."""
    first, before, packet = run[0].packet, run[-1].packet, one.packet
    if not before.proto == packet.proto == TCP or one.copy != run[-1].copy:
        return False
    if packet.seq != before.seq + before.size or (before.flags | packet.flags) & 7:
        return False
    if before.size != first.size or not 0 < packet.size <= first.size:
        return False
    if packet.ident not in ((first.ident + len(run)) & 0xFFFF, first.ident):
        return False
    return len(run) < 2 or (packet.ident == first.ident) == (run[1].packet.ident == first.ident)
