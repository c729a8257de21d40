# SPDX-License-Identifier: Apache-2.0
"""What a tracer counted at its points, beyond what it recorded there."""
from collections.abc import Sequence

from skbtrace.programs import points

from ..bundle.labels import DROP_POINTS
from ..bundle.manifest import Bundle
from ..words import clean

_MOST = 1 << 62
_DEVICES = ("dev.rx", "dev.tx")
_FREED = "skb.free"     # what passes there is at its end, whether that is recorded or not


def count(bundle: Bundle, point: str, counter: str) -> int:
    """Return a counter of a point; 0 if the manifest does not say it, or says nonsense."""
    row = bundle.manifest["per_point"].get(point)
    value = row.get(counter) if isinstance(row, dict) else None
    return value if isinstance(value, int) and 0 <= value < _MOST else 0


def unmatched(bundle: Bundle) -> dict[str, int]:
    """Return the points that saw packets (how many), and none that fits the filter, though others did."""
    looking = [point for point in bundle.points().values() if point not in bundle.only_followed()]
    return points.unmatched({point: {name: count(bundle, point, name) for name in ("seen", *points.FITTED)}
                             for point in looking})


def dropped_unrecorded(bundle: Bundle) -> int:
    """Return how many packets that fit the filter were dropped, and not recorded: the filter names devices, or a
    namespace, and the kernel does not say where they were.
    """
    return sum(count(bundle, point, "no_device") for point in set(bundle.points().values()) & set(DROP_POINTS))


def without_device(bundle: Bundle) -> dict[str, int]:
    """Return how many packets other points did not record for the same reason, those where that matters."""
    found = {point: count(bundle, point, "no_device") for point in bundle.points().values()
             if point not in (*DROP_POINTS, _FREED)}
    return {point: number for point, number in found.items() if number}


def nothing_matched(name: str, bundles: Sequence[Bundle]) -> str:
    """Say that a host recorded nothing, and whether there was anything else to be seen at its devices."""
    came = {point: max(count(bundle, point, "seen") for bundle in bundles) for point in _DEVICES}
    others = ", though other packets came to %s" % _listed({
        point: number for point, number in came.items() if number}) if any(came.values()) else ""
    looked = set(_DEVICES).issubset(point for bundle in bundles for point in bundle.points().values())
    return "No packet that matches the filter was seen on %s%s." % (
        name, others or (", nor any other at a device" if looked else ""))


def doubts(name: str, bundle: Bundle) -> list[str]:
    """Return what limits trust in a host's data, a sentence each."""
    out = []
    drops, others, none = dropped_unrecorded(bundle), without_device(bundle), unmatched(bundle)
    if drops:
        out.append("%d packets that fit the filter were dropped on %s and not recorded by its %s: the kernel does not "
                   "say at which device or in which namespace, as of what is dropped at a socket. They may be among "
                   "those that were asked for, and lost." % (drops, name, bundle.tracer))
    if others:
        out.append("Packets that fit the filter were not recorded on %s by its %s at %s: there the kernel does not say "
                   "at which device or in which namespace they are, and the filter asks for that." % (
                       name, bundle.tracer, _listed(others)))
    none = {point: number for point, number in none.items() if point not in (*points.IF_AMISS, _FREED)}
    if none:
        out.append("No packet that fits the filter was seen on %s by its %s at %s, though others were there, and some "
                   "that fit were seen elsewhere: either none came there, or it cannot be read there." % (
                       name, bundle.tracer, _listed(none)))
    return out


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join("%s (%d)" % (clean(point), number) for point, number in sorted(numbers.items()))
