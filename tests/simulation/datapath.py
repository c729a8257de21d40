# SPDX-License-Identifier: Apache-2.0
"""The way of a packet on a host: from a VM or the wire, by the bridge, to a VM or the wire."""
import struct
import zlib
from typing import TYPE_CHECKING, Any

from .headers import UNDERLAY, network, wrapped
from .machines import VM, Host
from .packets import ITSELF, Loss, Packet, Sight, Skb

if TYPE_CHECKING:
    from .world import World

_FROM_OUTSIDE = ("eth", "vxlan", "geneve")


class Datapath:
    """What hosts do with packets."""

    def __init__(self, world: "World") -> None:
        self.world, self.rng, self.fleet, self.outlook = world, world.rng, world.fleet, world.outlook
        self._there: dict[tuple[str, Packet], set[Packet]] = {}   # fragments that wait for others, by host and whole
        self._joined: set[tuple[str, Packet]] = set()

    def see(self, host: Host, skb: Skb, device: str, point: str, **extra: Any) -> Sight:
        """An skb is at a point: everybody who looks there may record it. Return the sight."""
        size = sum(packet.size for packet in skb.packets)
        lead = skb.packets[0]
        ethertype, data, length = network(lead, skb.view, skb.ttl, size)
        macs = skb.macs
        if skb.outer:
            ethertype, data, length = wrapped(skb.outer, macs, ethertype, data, length)
            macs = UNDERLAY
        if skb.nonlinear:
            extra["nonlinear"] = True
        if len(skb.packets) > 1:
            extra.update(gso_size=lead.size, gso_segs=len(skb.packets), gso_type=(16 if ":" in skb.view[0] else 1) | (
                8 if lead.ident == skb.packets[1].ident else 0))
        sight = Sight((host.name, device, point), self.world.now, skb, macs + struct.pack("!H", ethertype) + data,
                      length, extra)
        host.log.append(sight)
        for packet in skb.packets:
            packet.sights.append(sight)
        return sight

    def ends(self, host: Host, skb: Skb, stage: str, device: str) -> bool:
        """Whether a fault ends an skb here."""
        for fault in self.fleet.faults:
            if (fault.host, fault.stage, fault.device) != (host.name, stage, device):
                continue
            if not fault.begin <= self.world.now < fault.end or self.rng.random() >= fault.share:
                continue
            if fault.flows and skb.packets[0].flow.number not in fault.flows:
                continue
            self.drop(host, skb, device, fault.function, fault.reason, fault.kind)
            return True
        return False

    def drop(self, host: Host, skb: Skb, device: str, function: str, reason: int, kind: str = "drop") -> None:
        """An skb ends on a host."""
        sight = None
        if kind == "drop":
            sight = self.see(host, skb, device, "skb.drop", function=function, reason=reason)
        elif self.rng.random() < 0.5:
            self.see(host, skb, device, "skb.free")
        if skb.copy in ITSELF:
            for packet in skb.packets:
                packet.gone.append(Loss(kind, self.world.now, (host.name, device), sight, None, function))

    def spike(self) -> float:
        """Return how much longer than usual something takes."""
        dice = self.rng.random()
        return float(self.rng.exponential(1e-6)) + (float(self.rng.uniform(5e-5, 2e-3)) if dice < 0.003 else 0.0)

    def from_tap(self, vm: VM, skb: Skb) -> None:
        """An skb comes out of a VM."""
        host, tap = vm.at(self.world.now)
        skb.sender = vm
        self.see(host, skb, tap, "dev.rx")
        self._mirrored(host, tap, skb)
        if not self.ends(host, skb, "rx", tap):
            self._to_bridge(host, skb, tap)

    def from_wire(self, host: Host, skb: Skb, device: str) -> None:
        """An skb comes in."""
        self.see(host, skb, device, "dev.rx")
        if self.ends(host, skb, "rx", device):
            return
        if skb.outer:
            skb.outer = None
            self.world.now += 5e-7
            device = self.fleet.tunnel_device
            self.see(host, skb, device, "dev.rx")
        self._to_bridge(host, skb, device)

    def stray(self, host: Host, skb: Skb) -> None:
        """A copy that is for nobody on this host comes in."""
        device = host.uplinks[0]
        self.see(host, skb, device, "dev.rx")
        if host.refuses:
            self.drop(host, skb, device, "br_handle_frame_finish", 2)
        else:
            for tap in host.taps:
                self.world.later(self.world.now + host.delay, self.into_tap, host, skb.clone("flood"), tap,
                                 host.taps[tap])

    def _mirrored(self, host: Host, tap: str, skb: Skb) -> None:
        """A mirror port gets a copy of what passes a tap."""
        if host.mirror and host.mirror[0] == tap:
            self.see(host, skb.clone("mirror"), host.mirror[1], "dev.tx")

    def _to_bridge(self, host: Host, skb: Skb, came: str) -> None:
        when = self.world.fifo((host.name, came, "in"), self.world.now + host.delay + self.spike())
        self.world.later(when, self.forward, host, skb, came)

    def forward(self, host: Host, skb: Skb, came: str) -> None:
        """A host decides where an skb goes."""
        _translate(host, skb)
        if skb.packets[0].many:
            self._flood(host, skb, came, list(host.taps), not came.startswith(_FROM_OUTSIDE))
            return
        kind, goal = skb.goals[0]
        if kind == "host" and goal is host:
            skb.goals.pop(0)
            skb.sender = host
            skb.ttl -= 1
            kind, goal = skb.goals[0]
        target, tap = (goal, "") if kind == "host" else goal.at(self.world.now)
        if goal in host.floods and not skb.copy and kind != "host":
            self._flood(host, skb.clone("flood"), came, [name for name in host.taps if name not in (tap, came)], False)
        if target is host:
            self.to_tap(host, skb, tap)
        else:
            self.to_uplink(host, skb, target)

    def _flood(self, host: Host, skb: Skb, came: str, taps: list[str], out: bool) -> None:
        """Copies go to taps, and out if it came from one."""
        for tap in taps:
            if tap != came:
                self.to_tap(host, skb.clone("flood" if not skb.packets[0].many else ""), tap)
        others = self.fleet.others(host)
        if out and self.fleet.tunnel:   # a tunnel has one receiver: each gets one of its own
            for other in others:
                self.to_uplink(host, skb.clone(""), other)
        elif out and others:
            self.to_uplink(host, skb.clone(""), None)

    def to_tap(self, host: Host, skb: Skb, tap: str) -> None:
        """A host gives an skb to a VM."""
        vm = host.taps[tap]
        if host.reassembles and skb.packets[0].flow.kind == "frag" and skb.copy in ITSELF:
            whole = self._reassembled(host, skb)
            if whole is None:
                return
            skb = whole
        if self.outlook.more:
            self.see(host, skb, tap, "br.forward")
        when = self.world.fifo((host.name, tap, "out"), self.world.now + host.delay / 2 + 2e-7)
        self.world.later(when, self.into_tap, host, skb, tap, vm)

    def into_tap(self, host: Host, skb: Skb, tap: str, vm: VM) -> None:
        """The tap's driver takes it, or not."""
        self.see(host, skb, tap, "dev.tx")
        self._mirrored(host, tap, skb)
        kind, goal = skb.goals[0] if skb.goals else ("all", None)
        at_host, at_tap = vm.at(self.world.now)
        if at_tap != tap or at_host is not host:   # not there yet, or no longer
            self.drop(host, skb, tap, "tun_net_xmit", 79)
        elif not self.ends(host, skb, "tun", tap):
            when = self.world.fifo((host.name, tap, "read"), self.world.now + 3e-6 + self.spike())
            self.world.later(when, self.taken, host, skb, tap, vm, kind, goal)

    def taken(self, host: Host, skb: Skb, tap: str, vm: VM, kind: str, goal: VM | Host | None) -> None:
        """A VM takes an skb from its tap."""
        self.see(host, skb, tap, "sock.deliver")
        self.world.now += 2e-7
        self.see(host, skb, tap, "skb.free")
        if skb.copy not in ITSELF or (kind != "all" and goal is not vm and not skb.packets[0].many):
            return
        for packet in skb.packets:
            packet.reached += 1
        if kind == "router":
            self._routed(host, skb, tap, vm)
            return
        fresh = [packet for packet in skb.packets if not packet.arrived]
        for packet in skb.packets:
            packet.arrived = True
            for child in packet.children:
                child.arrived = True
        skb.packets[0].flow.received(vm, skb.packets, fresh)

    def _routed(self, host: Host, skb: Skb, tap: str, vm: VM) -> None:
        """A router VM sends an skb on, or loses it."""
        skb.goals.pop(0)
        onward = Skb(skb.packets, skb.view, skb.goals, skb.ttl - 1, skb.copy)
        onward.translated = skb.translated
        if self.rng.random() < skb.packets[0].flow.router_loses:
            for packet in skb.packets:
                packet.gone.append(Loss("vm", self.world.now, (host.name, tap)))
            return
        when = self.world.fifo((vm.name, "routed"), self.world.now + 15e-6 + self.spike())
        self.world.later(when, self.from_tap, vm, onward)

    def to_uplink(self, host: Host, skb: Skb, target: Host | None) -> None:
        """A host sends an skb to another one; None: to all, the switch makes copies."""
        choice = zlib.crc32(repr((skb.view[0], skb.view[2], skb.view[1] ^ skb.view[3])).encode())
        device = host.uplinks[choice % len(host.uplinks)]
        if self.outlook.more:
            self.see(host, skb, device, "br.forward")
        if self.fleet.tunnel:
            assert target is not None
            tunnel = self.fleet.tunnel_device
            self.see(host, skb, tunnel, "dev.tx")
            if self.ends(host, skb, "tunnel", tunnel):
                return
            skb.outer = (self.fleet.tunnel, host.underlay, target.underlay, 49152 + choice % 16384, 42)
        elif host.bond:
            self.see(host, skb, "bond0", "dev.tx")
        if self.outlook.more:
            self.see(host, skb, device, "dev.queue")
        if self.ends(host, skb, "qdisc", device):
            return
        for piece in self._pieces(host, skb):
            when = self.world.fifo((host.name, device, "out"), self.world.now + 1e-6)
            self.world.later(when, self.onto_wire, host, piece, device, target)

    def onto_wire(self, host: Host, skb: Skb, device: str, target: Host | None) -> None:
        """An skb leaves its host."""
        self.see(host, skb, device, "dev.tx")
        if self.outlook.free_uplinks:
            self.world.now += 1e-6
            self.see(host, skb, device, "skb.free")
        self.world.network.carry(host, skb, device, target)

    def _pieces(self, host: Host, skb: Skb) -> list[Skb]:
        """Return what a host makes of an skb that is too large for the wire."""
        lead = skb.packets[0]
        if host.cuts and lead.flow.kind == "frag" and lead.size > 1400 and not (lead.more or lead.offset):
            return self._cut(skb)
        if host.software_gso and len(skb.packets) > 1:
            return [skb.part([packet]) for packet in skb.packets]
        return [skb]

    def _cut(self, skb: Skb) -> list[Skb]:
        """A host cuts a datagram into fragments."""
        whole, pieces = skb.packets[0], []
        if whole.children:   # it, or a copy of it, was cut already
            if whole.joined and skb.copy in ITSELF:
                whole.joined = False
                for child in whole.children:
                    child.arrived = False
            return [skb.part([child]) for child in whole.children]
        for offset in range(0, whole.size + 8, 1400):
            size = min(1400, whole.size + 8 - offset)
            child = self.world.new(whole.flow, whole.way, whole.proto, size - (8 if not offset else 0),
                                   ident=whole.ident, offset=offset, more=offset + size < whole.size + 8,
                                   payload=whole.payload)
            child.twins = whole.twins
            child.whole = whole
            whole.children.append(child)
            pieces.append(skb.part([child]))
        return pieces

    def _reassembled(self, host: Host, skb: Skb) -> Skb | None:
        """A host joins fragments; return the whole, once all are there."""
        packet = skb.packets[0]
        whole = packet.whole
        if whole is None:
            return skb
        key = (host.name, whole)
        there = self._there.setdefault(key, set())
        there.add(packet)
        packet.arrived = True      # as far as it can, by itself
        packet.held = host.name
        if len(there) < len(whole.children) or key in self._joined:
            return None
        self._joined.add(key)
        out = skb.part([whole])
        out.nonlinear = True
        whole.joined = True
        for child in whole.children:
            child.held = ""
        return out


def _translate(host: Host, skb: Skb) -> None:
    """Source or destination address change, of the same skb."""
    flow, way = skb.packets[0].flow, skb.packets[0].way
    if not flow.nat or flow.nat.host is not host or skb.translated:
        return
    source, target = skb.view[:2], skb.view[2:]
    if flow.nat.kind == "snat":
        skb.view = (*flow.nat.end, *target) if way == 0 else (*source, *flow.plain(0)[:2])
    else:
        skb.view = (*source, *flow.plain(0)[2:]) if way == 0 else (*flow.nat.end, *target)
    skb.translated = True
