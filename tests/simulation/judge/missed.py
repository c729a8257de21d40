# SPDX-License-Identifier: Apache-2.0
"""Which losses could be known for sure, and were they told?"""
import collections
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..headers import TCP, UDP
from ..machines import VM
from ..packets import ITSELF, Loss, Packet, Place, Sight
from .truth import Finding, Truth, certain, of_packets

MISSED = "missed"
_MARGIN = 0.3        # s: so near to the ends of a window nothing must be said
_ADDRESSES = {"4": 34, "6": 54}   # header bytes with a sender's address
_REFUSES = "br_handle_frame_finish"
_COMPARED = 20_000   # µs: clocks that are closer than this are compared well
_SETTLED = 6e-3      # s: what was sent so long before shows where it went then; later, it may have come late
_APART = 2e-3        # s: sendings of the same bytes that are closer than this may be taken for each other


@dataclass
class Untold:
    """What could be known, and what was told of it."""

    decidable: int = 0
    told: int = 0
    found: list[Finding] = field(default_factory=list)


def judge(truth: Truth, summary: Mapping[str, Any]) -> Untold:
    """Count the losses that could be known, and those that were told, for flows that share names."""
    sure = _Sure(truth, summary)
    known = [packet for packet in truth.world.packets if sure(packet)]
    out = Untold(len(known))
    family = _families(truth)
    said: collections.Counter[str] = collections.Counter()
    true: collections.Counter[str] = collections.Counter()
    for loss in of_packets(certain(summary)):
        said[family.get(loss["flow"], loss["flow"])] += loss["wire_packets"]
    names = {}
    for packet in known:
        name = min(packet.keys)
        true[family[name]] += 1
        names[family[name]] = name
    for key, count in true.items():
        out.told += min(count, said[key])
        if said[key] < count:
            out.found.append(Finding(MISSED, "%s: %d certain losses, %d could be known (%s)" % (
                names[key], said[key], count, truth.words(names[key]))))
    return out


def _families(truth: Truth) -> dict[str, str]:
    """Return name of a flow -> one name for all flows that share packets."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for packet in truth.world.packets:
        first, *rest = sorted(packet.keys) or [""]
        root(first)
        for key in rest:
            parent[root(key)] = root(first)
    return {key: root(key) for key in parent}


def _family(packet: Packet, sight: Sight | None = None) -> str:
    """Return which of a VM's addresses a packet has: it has another one for IPv6, which nobody can know for its own."""
    return "6" if any(one.data[12:14] == b"\x86\xdd" for one in ([sight] if sight else packet.sights)) else "4"


def _bare(packet: Packet) -> tuple[object, ...]:
    """Return all that tells a segment without a byte from others."""
    return packet.flow, packet.way, packet.seq, packet.ack, packet.flags, packet.size, packet.ident


def _is_translated(packet: Packet) -> bool:
    """Whether a host recorded a packet under two names."""
    names = collections.defaultdict(set)
    for sight in packet.sights:
        if sight.copy in ITSELF:
            names[sight.place[0]].update(sight.keys)
    return any(len(keys) > 1 for keys in names.values())


class _Sure:
    """Whether everybody can know from the records that a packet was lost."""

    def __init__(self, truth: Truth, summary: Mapping[str, Any]) -> None:
        self.truth, self.summary, self.world = truth, summary, truth.world
        self.some_nonlinear = any(host.tracing.nonlinear for host in self.world.observed)
        self.bare: dict[tuple[object, ...], list[Packet]] = collections.defaultdict(list)
        for packet in self.world.packets:
            self.bare[_bare(packet)].append(packet)
        self.sent: dict[tuple[str, str, str], list[float]] = collections.defaultdict(list)   # host, tap, address: when
        self.linked = {packet.flow for packet in self.world.packets if packet.flow.nat and _is_translated(packet)}
        for packet in self.world.packets:
            homes = {(host.name, tap) for _, host, tap in packet.flow.ends[packet.way].home}
            for sight in packet.sights:     # what a VM routes is not from its own address
                begins = sight.place[:2] in homes and sight.place[2] == "dev.rx" and sight.copy in ITSELF
                if begins and sight.recorded and self.truth.hosts[sight.place[0]].tracing.short >= _ADDRESSES[
                        _family(packet, sight)]:
                    self.sent[(*sight.place[:2], _family(packet, sight))].append(sight.time)

    def __call__(self, packet: Packet) -> bool:
        if not packet.lost or packet.many or packet.twins or not packet.keys or len(packet.gone) != 1:
            return False
        if packet.flow.kind == "frag" or (not packet.ident and packet.proto == UDP and self.some_nonlinear):
            return False
        if packet.proto == TCP and not packet.size and len(self.bare[_bare(packet)]) > 1:
            return False
        if packet.proto == TCP and self.world.fleet.duplication and not self._is_timed(packet):
            return False      # one that was sent again may have come twice, or been dropped beside its double
        if not self._is_told_from_copies(packet):
            return False
        loss = packet.gone[0]
        if loss.sight is not None and loss.sight.recorded:
            return self._is_its_own(packet, loss)
        return loss.kind in ("wire", "silent") and self._vanished(packet, loss)

    def _is_timed(self, packet: Packet) -> bool:
        """Whether, of those that look the same, clocks tell which of them a packet is that another host saw."""
        others = [abs(other.born - packet.born) for other in self.bare[_bare(packet)] if other is not packet]
        names = {packet.flow.ends[packet.way].at(packet.born)[0].name} | packet.gone[0].hosts
        if not others or len(names) == 1:
            return True
        clocks = [self.summary["hosts"][name]["clock"] for name in names if name in self.truth.observed]
        bounds = [clock["bound_us"] for clock in clocks if not clock["method"].startswith("reference")]
        return None not in bounds and min(others) > 2e-6 * sum(bounds) + _APART

    def _is_told_from_copies(self, packet: Packet) -> bool:
        """Whether it is known which branch is the packet: there are no copies, or its receiver's home is known."""
        if not any(sight.recorded and sight.copy not in ITSELF for sight in packet.sights):
            return True
        receiver: VM = packet.flow.ends[1 - packet.way]
        return self._is_named(packet) and all(
            (host.name, tap, _family(packet)) in self.sent for _, host, tap in receiver.home)

    def _is_named(self, packet: Packet) -> bool:
        """Whether whose the address is that it was sent to is known: it is translated, if at all, where somebody saw
        others of the flow under both of its names."""
        nat = packet.flow.nat
        return not nat or (nat.kind, packet.way) not in (("dnat", 0), ("snat", 1)) or packet.flow in self.linked

    def _is_its_own(self, packet: Packet, loss: Loss) -> bool:
        """Whether what was dropped is known to be the packet, not a copy that a host made without its being recorded:
        the host recorded everything, or the same skb as it came."""
        drop = loss.sight
        assert drop is not None
        host = self.truth.hosts[loss.place[0]]
        outside = any(sight.recorded and sight.place == (*loss.place, "dev.rx") and loss.place[1] not in host.taps
                      for sight in packet.sights)
        if outside and loss.function == _REFUSES and not self._is_wanted(packet, loss):
            return False
        if not self._is_for(packet, loss):
            return False      # what was flooded to it on the way to another router, say, is dropped there, too
        if len(drop.data) > host.tracing.short and not self._came_from_a_vm(packet, drop):
            return False      # nothing tells it from a double that got on
        return self.truth.complete(self.truth.hosts[loss.place[0]]) or any(
            sight.recorded and sight.place[0] == loss.place[0] and sight.place[2] == "dev.rx"
            and (sight.skb, sight.head) == (drop.skb, drop.head) for sight in packet.sights)

    def _is_for(self, packet: Packet, loss: Loss) -> bool:
        """Whether the VM at whose tap a packet was dropped is known to get such packets: it is the receiver's, or sent
        others of the flow on."""
        receiver: VM = packet.flow.ends[1 - packet.way]
        if loss.function != "tun_net_xmit" or any((host.name, tap) == loss.place for _, host, tap in receiver.home):
            return True
        into, out = ((*loss.place, point) for point in ("dev.tx", "dev.rx"))
        for other in self.truth.by_key[min(packet.keys)]:
            if other.flow is packet.flow and other.way == packet.way:
                places = [sight.place for sight in other.sights if sight.recorded and sight.copy == ""]
                if into in places and out in places[places.index(into):]:
                    return True
        return False

    def _is_wanted(self, packet: Packet, loss: Loss) -> bool:
        """Whether it is known that a frame was for the host that refused it, as it refuses flooded ones: before and
        after, its receiver sent from there, or others of its flow went on there."""
        times = self._heard(packet, {loss.place[0]})
        for other in self.truth.by_key[min(packet.keys)]:
            if (other.flow, other.way) == (packet.flow, packet.way):
                came = {(sight.skb, sight.head) for sight in other.sights
                        if sight.recorded and sight.copy == "" and sight.place == (*loss.place, "dev.rx")}
                times += [sight.time for sight in other.sights if sight.recorded and sight.place[0] == loss.place[0]
                          and sight.place[2] == "dev.tx" and (sight.skb, sight.head) in came]
        return min(times, default=loss.time) < loss.time < max(times, default=loss.time)

    def _came_from_a_vm(self, packet: Packet, drop: Sight) -> bool:
        """Whether what was dropped is an skb that was seen to come out of a VM."""
        host = self.truth.hosts[drop.place[0]]
        return any(sight.recorded and sight.place[0] == host.name and sight.place[1] in host.taps
                   and sight.place[2] == "dev.rx" and (sight.skb, sight.head) == (drop.skb, drop.head)
                   for sight in packet.sights)

    def _vanished(self, packet: Packet, loss: Loss) -> bool:
        """Whether all that could have seen it go on looked, and others of its flow show where that is."""
        steps = packet.steps()
        if not steps or not steps[-1].recorded:
            return False
        hosts = [self.truth.hosts[name] for name in loss.hosts]
        if not all(self.truth.complete(host) for host in hosts):
            return False
        if not all(host.tracing.opens + _MARGIN < loss.time < host.tracing.opens + self.world.duration - _MARGIN
                   for host in hosts):
            return False
        if len(hosts) == 1:
            return self._did_not_end(packet, loss) and self._is_shown(packet, steps[-1].place, loss)
        clocks = [self.summary["hosts"][host.name]["clock"] for host in hosts]
        if any(clock["bound_us"] is None or clock["bound_us"] > _COMPARED for clock in clocks
               if not clock["method"].startswith("reference")):
            return False
        return self._is_shown(packet, steps[-1].place, loss)

    def _did_not_end(self, packet: Packet, loss: Loss) -> bool:
        """Whether it is known that the host did not take a packet for itself: frees are recorded, and it has none."""
        host = self.truth.hosts[loss.place[0]]
        return "skb.free" in host.tracing.points and not any(
            sight.place[0] == host.name and sight.place[2] == "skb.free" for sight in packet.sights)

    def _heard(self, packet: Packet, hosts: set[str]) -> list[float]:
        """Return when a packet's receiver was seen to send from hosts, if whose the packet's address is is known."""
        receiver: VM = packet.flow.ends[1 - packet.way]
        return [time for _, host, tap in receiver.home if host.name in hosts and self._is_named(packet)
                for time in self.sent.get((host.name, tap, _family(packet)), ())]

    def _resides(self, packet: Packet, loss: Loss) -> bool:
        """Whether a packet's receiver was seen before and after to send from a host where the packet was, or should
        have come."""
        times = self._heard(packet, loss.hosts)
        return min(times, default=loss.time) < loss.time < max(times, default=loss.time)

    def _is_shown(self, packet: Packet, last: Place, loss: Loss) -> bool:
        """Whether other packets of the same flow, before and after it, show where it should have been seen next."""
        before = after = False
        for other in self.truth.by_key[min(packet.keys)]:
            if other is packet or (other.flow, other.way) != (packet.flow, packet.way):
                continue
            steps = [sight for sight in other.sights if sight.recorded and sight.copy == ""
                     and sight.place[2] not in ("skb.free", "skb.drop")]
            places = [sight.place for sight in steps]
            if last not in places:
                continue
            at = places.index(last)
            if any(place[:2] == loss.then if loss.then else place[0] == last[0] for place in places[at + 1:]):
                before |= steps[at].time < loss.time - (0 if self._resides(packet, loss) else _SETTLED)
                after |= steps[at].time > loss.time
        return before and after
