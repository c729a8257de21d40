# SPDX-License-Identifier: Apache-2.0
"""All places, drops and flows of all bundles under one numbering each, so that rows of several bundles compare."""
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle.manifest import Bundle
from ..packet.identity import FLOW, united
from ..packet.places import DELIVER, FAR, NEAR, OWN, RECEIVE, SEND, STACKED, TAKEN, Place, Places
from ..packet.survey import Survey
from ..packet.uplinks import to_vms

OWNED = np.dtype([("device", "<i4"), ("mac", "<u4")])    # a VM's device, and an address that it sent from
ANSWERING = np.dtype([("group", "<u8"), ("back", "<u8")])
BRIDGE, CLOSED = 1, 2    # drops that may be no loss, as the packet was not wanted there


@dataclass
class Layout:
    """What a place is, by its number, as columns."""

    host: np.ndarray        # i4
    device: np.ndarray      # i4: number of (host, netns, device); places of one device share it
    arrives: np.ndarray     # u1: a packet comes in to its host there: NEAR from a VM, FAR from another host; else 0
    receives: np.ndarray    # bool: one of the points at which a device hands a packet to the stack
    step: np.ndarray        # bool: a step of the way
    drop: np.ndarray        # bool: a drop
    free: np.ndarray        # bool: the end of an skb that is no drop
    leaves: np.ndarray      # bool: on its way to another host
    taken: np.ndarray       # bool: a device has taken the packet
    local: np.ndarray       # bool: of a device that leads to a VM
    final: np.ndarray       # bool: a device without another one below it has taken the packet
    stacked: np.ndarray     # bool: of a device with another one below it
    inner: np.ndarray       # bool: of a device that is the host's own
    ends: np.ndarray        # bool: a packet that was seen here has arrived, as far as a host can see
    vm: np.ndarray          # bool by host: a VM, traced as a host of its own
    asks: np.ndarray        # bool: a daemon of the host decides about the packet
    forked: np.ndarray      # bool by host: several devices lead to other hosts, each by itself
    narrow: np.ndarray      # bool by host: it looked at some devices only, so packets may leave by others, unseen
    netns: np.ndarray       # i4: number of (host, netns)
    peer: np.ndarray        # i4: number of the device at the other end of a veth that stays on the host; else -1
    sends: np.ndarray       # bool: one of the points at which the stack hands a packet to a device


@dataclass
class Atlas:
    """What the numbers in the bundles' rows become."""

    places: list[Place]
    layout: Layout
    devices: list[tuple[str, str, str]]      # host, netns, device
    hosts: list[str]
    of_bundle: list[np.ndarray]              # a bundle's place -> place
    counts: list[np.ndarray]                 # bool by a bundle's place: the bundle's records of this point count
    drops: list[tuple[int, int, int, int]]   # bundle, reason, location, stack; the first is none
    drop_of_bundle: list[np.ndarray]         # a bundle's drop -> drop
    flows: np.ndarray                        # identity.FLOW, sorted by flow
    answers: np.ndarray                      # ANSWERING, sorted by group
    broadcast: np.ndarray                    # u8, sorted: flows of IPv4 of which frames went to all
    owned: np.ndarray                        # OWNED

    def without_flows(self) -> "Atlas":
        """Return what chains need of it."""
        return replace(self, flows=self.flows[:0], broadcast=self.broadcast[:0])


def make_atlas(bundles: Sequence[Bundle], surveys: Sequence[Survey], places: Sequence[Places],
               counting: Iterable[tuple[str, str, str]], entrances: Iterable[Place] = ()) -> Atlas:
    """Number everything. counting: (host, tracer, point) whose records count; entrances: places that are there whether
    or not a packet came."""
    numbers: dict[Place, int] = {}
    chosen = set(counting)
    of_bundle, counts, drop_of_bundle = [], [], []
    drops: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]
    for bundle, here, survey in zip(bundles, places, surveys, strict=True):
        of_bundle.append(np.array([numbers.setdefault(place, len(numbers)) for place in here.entries] or [0], "u4"))
        counts.append(np.array([(bundle.host, bundle.tracer, place.point) in chosen for place in here.entries]
                               or [False]))
        drop_of_bundle.append(np.array([0, *range(len(drops), len(drops) + len(survey.tables.drops))], "u4"))
        drops += [(len(of_bundle) - 1, *drop) for drop in survey.tables.drops]
    peers: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for bundle, here in zip(bundles, places, strict=True):
        _expect_receivers(numbers, bundle)
        peers.update(here.peers)
    for place in entrances:
        numbers.setdefault(place, len(numbers))
    listed = list(numbers)
    hosts = list(dict.fromkeys([bundle.host for bundle in bundles] + [place.host for place in listed]))
    devices = list(dict.fromkeys((place.host, place.netns, place.device) for place in listed))
    flows = united([survey.tables.flows for survey in surveys]) if surveys else np.zeros(0, FLOW)
    layout = _layout(listed, hosts, devices, _vms(bundles, listed), _forked(bundles), _narrow(bundles),
                     peers)
    broadcast = np.unique(np.concatenate([np.zeros(0, "u8"), *(survey.tables.broadcast for survey in surveys)]))
    return Atlas(listed, layout, devices, hosts, of_bundle, counts, drops, drop_of_bundle, flows, answers_of(flows),
                 broadcast, _owned(surveys, of_bundle, layout))


def _owned(surveys: Sequence[Survey], of_bundle: Sequence[np.ndarray], layout: Layout) -> np.ndarray:
    """Return OWNED of all bundles."""
    out = [np.zeros(0, OWNED)]
    for survey, numbers in zip(surveys, of_bundle, strict=True):
        devices = {place[:2]: int(layout.device[number]) for place, number in zip(
            survey.tables.places, numbers.tolist(), strict=False)}
        some = np.zeros(len(survey.tables.owners), OWNED)
        some["device"] = [devices[one, two] for one, two in survey.tables.owners[["netns", "ifindex"]].tolist()]
        some["mac"] = survey.tables.owners["mac"]
        out.append(some)
    return np.unique(np.concatenate(out))


def answers_of(flows: np.ndarray) -> np.ndarray:
    """Return ANSWERING: which group answers which, of those that are there both. flows: FLOW."""
    found = flows[np.isin(flows["back"], flows["group"])]
    out = np.zeros(len(found), ANSWERING)
    out["group"], out["back"] = found["group"], found["back"]
    return np.unique(out)


def _vms(bundles: Sequence[Bundle], places: Sequence[Place]) -> set[str]:
    """Return the hosts that are VMs, traced as hosts: no device of theirs leads anywhere but to their hypervisor."""
    seen = {place.host for place in places if place.local and place.point in (*RECEIVE, *SEND)}
    others = {bundle.host for bundle in bundles for device in bundle.manifest["devices"]
              if device.get("role") not in ("vnet", "loopback")}
    return seen - others


def _forked(bundles: Sequence[Bundle]) -> set[str]:
    """Return the hosts with several devices that lead to other hosts."""
    return {bundle.host for bundle in bundles
            if sum(device.get("role") not in STACKED for device in to_vms(bundle.manifest["devices"])) > 1}


def _narrow(bundles: Sequence[Bundle]) -> set[str]:
    """Return the hosts that looked at some devices only."""
    return {bundle.host for bundle in bundles if bundle.manifest["filter"].get("interfaces")}


def _layout(places: Sequence[Place], hosts: Sequence[str], devices: Sequence[tuple[str, str, str]],
            vms: Collection[str], forked: Collection[str] = (), narrow: Collection[str] = (),
            peers: Mapping[tuple[str, str, str], tuple[str, str, str]] | None = None) -> Layout:
    host_number = {name: number for number, name in enumerate(hosts)}
    device_number = {device: number for number, device in enumerate(devices)}
    spaces = {space: number for number, space in enumerate(dict.fromkeys(device[:2] for device in devices))}
    ends = [(peers or {}).get((place.host, place.netns, place.device)) for place in places]

    def truth(values: Iterable[bool]) -> np.ndarray:
        return np.array(list(values) or [False], bool)

    def arrives(place: Place) -> int:
        outside = place.uplink or place.host in vms
        return 0 if place.point not in RECEIVE or not (place.local or outside) else FAR if outside else NEAR
    local = truth(place.local and place.host not in vms for place in places)
    return Layout(
        np.array([host_number[place.host] for place in places] or [0], "i4"),
        np.array([device_number[place.host, place.netns, place.device] for place in places] or [0], "i4"),
        np.array([arrives(place) for place in places] or [0], "u1"),
        truth(place.point in RECEIVE for place in places), truth(place.step for place in places),
        truth(place.drop for place in places), truth(place.point == "skb.free" for place in places),
        truth(place.leaving or (place.point in TAKEN and place.local and place.host in vms) for place in places),
        truth(place.point in TAKEN for place in places), local,
        truth(place.point in TAKEN and place.role not in STACKED for place in places),
        truth(place.role in STACKED for place in places), truth(place.role in OWN for place in places),
        truth(place.point in DELIVER or (place.point in TAKEN and own) for place, own in zip(
            places, local.tolist(), strict=False)),
        truth(host in vms for host in hosts), truth(place.asks for place in places),
        truth(host in forked for host in hosts), truth(host in narrow for host in hosts),
        np.array([spaces[place.host, place.netns] for place in places] or [0], "i4"),
        np.array([device_number.get(end, -1) if end else -1 for end in ends] or [-1], "i4"),
        truth(place.point in SEND for place in places))


def _expect_receivers(numbers: dict[Place, int], bundle: Bundle) -> None:
    """A device that sent to other hosts may be where packets should have come in, though none ever did."""
    if "dev.rx" in bundle.points().values():
        for place in list(numbers):
            if place.host == bundle.host and place.point == "dev.tx" and place.uplink:
                receiver = Place(place.host, place.netns, place.device, "dev.rx", place.role, True)
                numbers.setdefault(receiver, len(numbers))
