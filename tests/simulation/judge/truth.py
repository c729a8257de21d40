# SPDX-License-Identifier: Apache-2.0
"""The truth about a world, as a summary would have to name it."""
import collections
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..limits import NIC
from ..machines import PACKET_MAX, Host
from ..packets import ITSELF, Loss, Packet, Place, Sight
from ..world import World


class Finding(NamedTuple):
    """Something that is wrong with a summary."""

    kind: str
    text: str


class Truth:
    """Packets by the names of their flows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts = {host.name: host for host in world.fleet.hosts}
        self.observed = {host.name for host in world.observed}
        self.by_key: dict[str, list[Packet]] = collections.defaultdict(list)
        self._share_names()
        for packet in world.packets:
            for key in packet.keys:
                self.by_key[key].append(packet)

    def _share_names(self) -> None:
        """Give packets the names that they may be given: those before and after translation, of other fragments."""
        translated: dict[Any, set[str]] = collections.defaultdict(set)
        datagrams: dict[Any, set[str]] = collections.defaultdict(set)
        for packet in self.world.packets:
            if packet.flow.nat:
                translated[packet.flow, packet.way] |= packet.keys
            if packet.flow.kind == "frag":
                datagrams[packet.flow, packet.way, packet.ident] |= packet.keys
        for packet in self.world.packets:
            for names in translated.values():   # without ports, several flows have one name
                if packet.keys & names:
                    packet.keys |= names
            if packet.flow.kind == "frag" and packet.keys:
                packet.keys |= datagrams[packet.flow, packet.way, packet.ident]

    def lost(self, packet: Packet, key: str) -> int:
        """Return how many losses of a packet there were, for those who know it under a name.

        A packet to everybody has an outcome for each receiver. What the wire doubled before anybody looked was sent
        twice for all that can be known, and one of the two may be lost.
        """
        if packet.many:
            return len(packet.gone)
        shown = packet.shown(key)
        if packet.lost:
            return max(1, min(len(packet.gone), shown))
        return min(len(packet.gone), shown - 1)

    @staticmethod
    def whole(packet: Packet) -> list[Packet]:
        """Return a packet and the fragments that a host cut it into: they are its branches."""
        return [packet, *packet.children]

    def sights(self, packet: Packet) -> list[Sight]:
        """Return all sights of a packet and of its fragments."""
        return [sight for part in self.whole(packet) for sight in part.sights]

    def missing(self, packet: Packet, one: Place, two: Place) -> bool:
        """Whether a packet, or a part of it, passed a place more often than another one: it may pass both twice."""
        for part in self.whole(packet):
            passed = [sight.place for sight in part.sights if sight.copy in ITSELF]
            if passed.count(one) > passed.count(two):
                return True
        return False

    @staticmethod
    def is_its_end(packet: Packet, sight: Sight) -> bool:
        """Whether a packet for one, of which there was no double, was lost by a drop that was seen."""
        return (packet.lost and not packet.many and sight.copy == "" and len(packet.gone) == 1
                and packet.gone[0].sight is sight)

    def complete(self, host: Host) -> bool:
        """Whether a host recorded everything, all of its window."""
        tracing = host.tracing
        return (host.name in self.observed and not tracing.lossy and not tracing.only and tracing.short >= PACKET_MAX
                and set(NIC) <= set(tracing.points) and not tracing.late and not tracing.early)

    def words(self, key: str) -> str:
        """Return where packets of a flow were lost."""
        lost = collections.Counter(str(loss) for packet in self.by_key[key] if packet.lost for loss in packet.gone[-1:])
        return "lost: " + ("; ".join("%d %s" % (many, what) for what, many in lost.most_common()) or "none")


def certain(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the losses that are called certain, of flows that are followed; those of copies too."""
    return [loss for loss in summary["losses"] if loss["certainty"] == "certain"
            and not loss["flow"].startswith("ethertype ")]


def of_packets(losses: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that are of packets, not of copies."""
    return [loss for loss in losses if not loss.get("copies")]


def place(end: Mapping[str, Any]) -> Place:
    """Return a place that a summary names."""
    return end["host"], end["device"], end["point"]


def is_recorded_drop(loss: Loss) -> bool:
    """Whether the drop that a loss was is in somebody's records."""
    return loss.sight is not None and loss.sight.recorded
