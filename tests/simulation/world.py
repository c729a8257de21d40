# SPDX-License-Identifier: Apache-2.0
"""One seed: its fleet, its traffic, and, after run(), what happened. A discrete event simulation."""
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .datapath import Datapath
from .features import Dice
from .fleet import Fleet
from .flows import Flow
from .limits import look
from .machines import VM, Host
from .network import Network
from .packets import Loss, Packet, Skb
from .traffic import make_flows


class World:
    """The machinery. Times are seconds, from the start of the window; it may end later."""

    def __init__(self, seed: int, features: Iterable[str]) -> None:
        """features: as of features.features_of()."""
        Skb.numbers = itertools.count(1)
        self.seed, self.dice = seed, Dice(seed, list(features))
        self.rng = np.random.default_rng([seed, 1])        # what happens
        self.duration = float(self.dice.stream("duration").uniform(2.5, 5.0))
        self.now = 0.0
        self.packets: list[Packet] = []
        self.flows: list[Flow] = []
        self._queue: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._last: dict[tuple[str, ...], float] = {}      # first in, first out, by path
        self.fleet = Fleet(self.dice, self.duration)
        self.outlook = look(self.dice, self.fleet)
        self.network = Network(self)
        self.datapath = Datapath(self)
        self.flows = make_flows(self)
        for flow in self.flows:
            flow.begin()

    def run(self) -> None:
        """Let everything happen."""
        while self._queue:
            self.now, _, function, arguments = heapq.heappop(self._queue)
            function(*arguments)
        for packet in self.packets:
            self._end(packet)
        for packet in self.packets:
            if not packet.many and not packet.arrived and not packet.gone:
                raise AssertionError("the simulator lost track of a packet of flow %d (%s)" % (
                    packet.flow.number, [sight.place for sight in packet.sights]))

    def _end(self, packet: Packet) -> None:
        """Say what became of a fragment, and of what was cut."""
        if packet.held:   # the others never came
            packet.arrived = False
            packet.gone.append(Loss("silent", self.now, (packet.held, "-")))
        if packet.children and not packet.arrived and not packet.joined:
            packet.arrived = all(child.arrived and not child.held for child in packet.children)
            if not packet.arrived:
                packet.gone += [loss for child in packet.children for loss in child.gone]
                packet.gone += [Loss("silent", self.now, (child.held, "-")) for child in packet.children if child.held]

    def later(self, when: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Do something at a time."""
        heapq.heappush(self._queue, (when, next(self._order), function, arguments))

    def fifo(self, path: tuple[str, ...], when: float, apart: float = 30e-9) -> float:
        """Return the time, not before that of the one before on this path."""
        self._last[path] = when = max(when, self._last.get(path, -1e9) + apart)
        return when

    def new(self, flow: Flow, way: int, proto: int, size: int, **fields: Any) -> Packet:
        """Make a packet that a VM sends."""
        packet = Packet(flow, way, proto, size, **fields)
        packet.born = self.now
        self.packets.append(packet)
        return packet

    def send(self, vm: VM, packets: list[Packet], delay: float = 0.0) -> None:
        """A VM sends packets, several in one skb."""
        flow, way = packets[0].flow, packets[0].way
        skb = Skb(packets, flow.view(way), flow.goals[way])
        self.later(self.fifo((vm.name, "sends"), self.now + delay, 1e-6), self.datapath.from_tap, vm, skb)

    @property
    def observed(self) -> list[Host]:
        """The hosts from which a bundle came."""
        return [host for host in self.fleet.hosts if host.tracing.is_observed]
