# SPDX-License-Identifier: Apache-2.0
"""Places: where on which host a record was made, and what that place is in a packet's way."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..bundle.labels import DROP_POINTS, Labels
from ..bundle.manifest import Bundle
from .identity import Tables

RECEIVE = ("dev.rx", "dev.backlog", "gro.rx", "gro.frags")
SEND = ("dev.tx", "dev.queue", "qdisc.enqueue", "qdisc.dequeue")
DELIVER = ("sock.deliver",)
ASKING = ("ovs.upcall", "ovs.userspace")   # the packet is with a daemon, which may send it on
TAKEN = ("dev.tx", "tun.xmit")   # a device has the packet; it may still throw it away
# marks beside the way, not steps of it
NO_STEP = (*DROP_POINTS, "skb.free", "qdisc.drop", "sock.full", "udp.full", "tcp.retransmit")
STACKED = ("tunnel", "bond", "vlan", "bridge", "internal")   # devices with another one below them
# to which comes what came to another device before; out of a tunnel, it was in another frame
AGAIN = ("bond", "vlan", "bridge", "internal")
OWN = ("bridge", "internal", "loopback")   # devices by which a host itself takes part
NEAR, FAR = 1, 2
Named = tuple[str, str, str]   # host, netns, device
LOCAL = ("vnet",)                                          # leads to a VM
_PHYSICAL = ("phy", "bond", "vlan")
_UPLINK = ("tunnel", *_PHYSICAL)                            # leads to other hosts, if anything physical is there


@dataclass(frozen=True)
class Place:
    """One point at one device of one host."""

    host: str
    netns: str
    device: str
    point: str
    role: str       # of the device
    uplink: bool    # the device leads to other hosts

    def __str__(self) -> str:
        return "%s %s (%s)" % (self.host, self.device, self.point)

    @property
    def step(self) -> bool:
        """Whether the place is a step of a packet's way."""
        return self.point not in NO_STEP

    @property
    def local(self) -> bool:
        """Whether the device leads to a VM."""
        return self.role in LOCAL

    @property
    def leaving(self) -> bool:
        """Whether a packet seen here is on its way to another host."""
        return self.point in SEND and self.uplink

    @property
    def asks(self) -> bool:
        """Whether a daemon of this host decides about a packet seen here."""
        return self.point in ASKING

    @property
    def end(self) -> bool:
        """Whether a packet seen here has arrived, as far as a host can see: at a VM's device or at a reader."""
        return self.point in DELIVER or (self.point in TAKEN and self.local)

    @property
    def drop(self) -> bool:
        """Whether a packet seen here was dropped."""
        return self.point in DROP_POINTS

    def short(self) -> dict[str, str]:
        """Return the place as summary.json has it."""
        return {"host": self.host, "device": self.device, "point": self.point}


@dataclass
class Places:
    """The places of one bundle, by their numbers in its rows."""

    entries: list[Place]
    entering: np.ndarray   # u1: a packet comes in: FAR from another host, NEAR from a VM (or into one); 0: neither
    leaving: np.ndarray    # u1: a packet goes out, likewise
    peers: dict[Named, Named] = field(default_factory=dict)   # of veths that stay on the host: the other end


def places_of(bundle: Bundle, labels: Labels, tables: Tables) -> Places:
    """Return the places that a bundle's rows are at."""
    roles = {key_of(device): str(device.get("role") or "other") for device in bundle.manifest["devices"]}
    lead = leading(list(roles.values()))
    ends = ends_here(bundle.manifest["devices"])
    entries = []
    for netns, ifindex, point in tables.places:
        role = roles.get((netns, ifindex), "other")
        entries.append(Place(bundle.host, labels.netns(netns), labels.device(netns, ifindex), labels.point(point), role,
                             bool(ifindex) and lead(role) and (netns, ifindex) not in ends))
    where = [FAR if place.uplink else NEAR if place.local else 0 for place in entries]
    entering = [way if place.point == "dev.rx" else 0 for way, place in zip(where, entries, strict=True)]
    leaving = [way if place.point == "dev.tx" else 0 for way, place in zip(where, entries, strict=True)]

    def named(key: tuple[int, int]) -> Named:
        return bundle.host, labels.netns(key[0]), labels.device(*key)
    peers = {named(one): named(other) for one, other in ends.items() if other}
    return Places(entries, np.array(entering or [0], "u1"), np.array(leaving or [0], "u1"), peers)


def outward(devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices of a manifest that lead to other hosts."""
    lead, ends = leading([str(device.get("role") or "other") for device in devices]), ends_here(devices)
    return [device for device in devices if lead(str(device.get("role") or "other")) and key_of(device) not in ends]


def key_of(device: Mapping[str, Any]) -> tuple[int, int]:
    """Return the (netns, ifindex) of a manifest's device."""
    return int(device.get("netns") or 0), int(device["ifindex"])


def ends_here(devices: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], tuple[int, int] | None]:
    """Return the veths of which a manifest lists both ends: they stay on the host. (netns, ifindex) of an end -> of the
    other one; None if several might be it.

    An end says the ifindex of the other one, not its namespace: where several fit, all have to have their match.
    """
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for device in devices:
        if device.get("role") == "veth" and device.get("link"):
            found.setdefault((int(device["ifindex"]), int(device["link"])), []).append(key_of(device))
    out: dict[tuple[int, int], tuple[int, int] | None] = {}
    for (one, other), keys in found.items():
        across = found.get((other, one), []) if one != other else keys[::-1] if len(keys) == 2 else []
        if len(across) == len(keys):
            alone = len(keys) == 1 or one == other
            out.update((key, end if alone else None) for key, end in zip(keys, across, strict=True))
    return out


def leading(roles: Sequence[str]) -> Callable[[str], bool]:
    """Return which roles of devices lead to other hosts: all but a VM's where there are VMs; where there are none,
    physical ones and tunnels, and where nothing is physical either, all."""
    if any(role in LOCAL for role in roles):
        return lambda role: role not in LOCAL and role not in ("loopback", "bridge", "internal")
    if any(role in _PHYSICAL for role in roles):
        return lambda role: role in _UPLINK
    return lambda role: role not in ("loopback", "bridge", "internal")
