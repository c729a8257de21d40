# SPDX-License-Identifier: Apache-2.0
"""What the numbers in records mean: names of points, devices, namespaces, functions, reasons, from each manifest."""
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..words import clean, printable
from .manifest import Bundle

DROP_POINT = "skb.drop"
# the second is for kernels that do not call it a drop when Open vSwitch throws a packet away
DROP_POINTS = (DROP_POINT, "ovs.drop")
NO_DEVICE = "-"


class Queue(NamedTuple):
    """A kind of queue: what its lengths count, what has one each, and the drop reasons that mean that it was full, or
    that it did not take the packet, perhaps in spite of room.
    """

    name: str
    unit: str
    of: str
    full: frozenset[str]
    refused: frozenset[str]


class Labels:
    """The names of one bundle; unknown numbers are shown as numbers, never left out."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.fields = bundle.fields
        self.host, self.tracer = clean(bundle.host), clean(bundle.tracer)
        self._targets = {clean(point["name"]): clean(point.get("target") or point["name"])
                         for point in manifest["points"]["attached"]}
        self._points = {number: clean(name) for number, name in bundle.points().items()}
        self._devices = device_names(bundle)
        self._netns = {str(inode): clean(name) for inode, name in manifest["netns"].items()}
        self._symbols = {_address(key): printable(value) for key, value in manifest["symbols"].items()}
        self._stacks = manifest["stacks"]
        self._frames: dict[int, list[str]] = {}    # of the stacks that were asked for
        self.queues = {number: _queue(kind) for number, kind in manifest["queues"]["kinds"].items()}
        self._reasons = {str(number): clean(name) for number, name in manifest["drop_reasons"].items()}

    def point(self, number: int) -> str:
        """Return a point's name."""
        return self._points.get(number) or "point-%d" % number

    def target(self, point: str) -> str:
        """Return the function or tracepoint that a point is at."""
        return self._targets.get(point, point)

    def device(self, netns: int, ifindex: int) -> str:
        """Return a device's name."""
        return self._devices.get((netns, ifindex)) or ("if%d" % ifindex if ifindex else NO_DEVICE)

    def netns(self, inode: int) -> str:
        """Return a network namespace's name."""
        return self._netns.get(str(inode)) or str(inode)

    def symbol(self, address: int) -> str | None:
        """Return function+offset of a code address; None for 0."""
        return (self._symbols.get(address) or "0x%x" % address) if address else None

    def addresses_in(self, function: str) -> list[int]:
        """Return the code addresses in a function, of those that are known by name."""
        return [address for address, name in self._symbols.items() if name.partition("+")[0] == function]

    def reason(self, number: int) -> str:
        """Return the name of a drop reason."""
        return self._reasons.get(str(number)) or str(number)

    def queue(self, number: int) -> str | None:
        """Return the name of a kind of queue; None for 0."""
        return (self.queues[str(number)].name if str(number) in self.queues else str(number)) if number else None

    def stack(self, number: int) -> list[str]:
        """Return the frames of a stack, innermost first; empty if none was taken or it is not there."""
        if number not in self._frames:
            frames = self._stacks.get(str(number)) if number >= 0 else None
            self._frames[number] = [self.symbol(_address(frame)) or "0x0" for frame in frames] if isinstance(
                frames, list) else []
        return self._frames[number]


def device_names(bundle: Bundle) -> dict[tuple[int, int], str]:
    """Return (netns inode, ifindex) -> name of a bundle's devices. Every pod has an eth0: one in a namespace with a
    name that is not alone is eth0@NAMESPACE."""
    names = {(int(device.get("netns") or 0), int(device["ifindex"])): clean(
        device.get("name") or "if%(ifindex)d" % device) for device in bundle.manifest["devices"]}
    often = Counter(names.values())
    spaces = bundle.manifest["netns"]
    return {key: "%s@%s" % (name, clean(spaces[str(key[0])])) if often[name] > 1 and str(key[0]) in spaces else name
            for key, name in names.items()}


def bare(device: str, netns: str) -> str:
    """Return a device's name as its own namespace has it."""
    return device.removesuffix("@" + netns)


def _queue(kind: Mapping[str, Any]) -> Queue:
    return Queue(clean(kind["name"]), clean(str(kind.get("unit") or "")), clean(str(kind.get("of") or "")),
                 *(frozenset(clean(reason) for reason in kind.get(name, [])) for name in ("full", "refused")))


def _address(text: Any) -> int:
    try:
        return int(str(text), 16)
    except ValueError:
        return 0


def labels_of(bundles: Sequence[Bundle]) -> list[Labels]:
    """Return the labels of each bundle, in order."""
    return [Labels(bundle) for bundle in bundles]
