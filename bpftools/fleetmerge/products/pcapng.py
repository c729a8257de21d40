# SPDX-License-Identifier: Apache-2.0
"""The blocks of capture.pcapng but those of packets: the section, an interface for each place, its statistics.

An interface is a place: a point at a device of a host, as one tracer saw it. What a tracer counted at a point is of all
devices: that has an interface of its own, without packets, whose device is `*`. All numbers are little-endian.
"""
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import TOOL_VERSION
from ..bundle.labels import Labels
from ..bundle.manifest import Bundle
from ..clock.host import HostClock
from ..journey.atlas import Atlas
from ..packet.places import Places
from ..packet.survey import Survey
from ..words import printable, settings

COMMENT = 1                                  # an option of all blocks
ALL_DEVICES = "*"
_SECTION, _INTERFACE, _STATISTICS = 0x0A0D0D0A, 1, 5
_MAGIC, _UNTIL_THE_END = 0x1A2B3C4D, (1 << 64) - 1
_APPLICATION = 4                             # an option of the section
_ETHERNET, _NO_LIMIT = 1, 0
_NAME, _DESCRIPTION, _RESOLUTION, _FILTER, _OS = 2, 3, 9, 11, 12
_NANOSECONDS, _AS_TEXT = b"\x09", b"\0"
_START, _STOP, _RECEIVED, _DROPPED, _ACCEPTED, _DELIVERED = 2, 3, 4, 5, 6, 8
_TIMES = (_START, _STOP)
_GONE = ("lost", "shed", "missed")           # counters of packets that passed and have no record
_LONGEST = 1000                              # characters of a text


@dataclass
class Interfaces:
    """The interfaces of a run, by number."""

    of_place: list[dict[tuple[int, int, int], int]] = field(default_factory=list)
    # of each bundle: netns, ifindex, point -> number
    head: bytes = b""    # the blocks with which the file begins
    end: bytes = b""     # the blocks with which it ends
    places: list[str] = field(default_factory=list)    # names of the atlas' places, by number


@dataclass
class _Interface:
    device: str
    point: str
    what: str
    counts: dict[int, int]    # options of its statistics


def interfaces(bundles: Sequence[Bundle], labels: Sequence[Labels], places: Sequence[Places],
               surveys: Sequence[Survey], clocks: Sequence[HostClock], counted: Sequence[tuple[str, str, str]],
               atlas: Atlas) -> Interfaces:
    """Return the interfaces of a run. Of each bundle: its names, its places, what reading it showed, its clock;
    counted: (host, tracer, point), of several tracers that looked at one point that which counts."""
    chosen = set(counted)
    out = Interfaces(places=["%(host)s %(device)s %(point)s" % place.short() for place in atlas.places])
    head, end = [_section(bundles[0].run_id)], list[bytes]()
    for bundle, names, here, survey, clock in zip(bundles, labels, places, surveys, clocks, strict=True):
        out.of_place.append({place: len(end) + number for place, number in survey.tables.places.items()})
        for one in (*_of_places(here, survey, clock), *_of_points(bundle, names, clock)):
            doubled = "" if (bundle.host, bundle.tracer, one.point) in chosen else " (%s)" % names.tracer
            head.append(_interface(bundle, "%s %s %s%s" % (names.host, one.device, one.point, doubled),
                                   "%s at %s, %s" % (names.tracer, names.target(one.point), one.what)))
            end.append(_statistics(len(end), one.counts))
    out.head, out.end = b"".join(head), b"".join(end)
    return out


def _of_places(here: Places, survey: Survey, clock: HostClock) -> Iterator[_Interface]:
    """Yield the interfaces of a bundle's places, in the order of its tables."""
    sums = survey.sums[:len(here.entries)]
    times = clock.to_wall(sums["first"]).tolist(), clock.to_wall(sums["last"]).tolist()
    for place, first, last, packets in zip(here.entries, *times, sums["packets"].tolist(), strict=True):
        yield _Interface(place.device, place.point, "netns=%s role=%s" % (place.netns, printable(place.role)),
                         {_START: first, _STOP: last, _DELIVERED: packets})


def _of_points(bundle: Bundle, names: Labels, clock: HostClock) -> Iterator[_Interface]:
    """Yield the interfaces of what a tracer counted."""
    window = bundle.manifest["window"]
    start, stop = clock.to_wall(np.array([min(int(window.get(name) or 0), 1 << 62) for name in (
        "start_ns", "ended_ns")])).tolist()
    for number, name in bundle.points().items():
        counts = bundle.manifest["per_point"].get(name)
        known = {key: value for key, value in (counts.items() if isinstance(counts, dict) else ())
                 if isinstance(value, int) and 0 <= value < 1 << 62}
        options = {_START: start, _STOP: stop}
        if "seen" in known:
            options[_RECEIVED] = known["seen"]
        if "lost" in known:
            options[_DROPPED] = sum(known.get(key, 0) for key in _GONE)
        if "matched" in known:
            options[_ACCEPTED] = known["matched"]
        yield _Interface(ALL_DEVICES, names.point(number), "what it counted on all devices", options)


# -- blocks

def _section(run_id: str) -> bytes:
    return _block(_SECTION, struct.pack("<IHHQ", _MAGIC, 1, 0, _UNTIL_THE_END), [
        (COMMENT, _text("skbfleet run %s" % run_id)), (_APPLICATION, _text("skbfleet %s" % TOOL_VERSION))])


def _interface(bundle: Bundle, name: str, description: str) -> bytes:
    looked_for = settings(bundle.manifest["filter"])
    kernel = bundle.manifest["kernel"].get("release")
    options = [(_NAME, _text(name)), (_DESCRIPTION, _text(description)), (_RESOLUTION, _NANOSECONDS)]
    options += [(_FILTER, _AS_TEXT + _text(looked_for))] if looked_for else []
    options += [(_OS, _text("Linux %s" % printable(kernel)))] if kernel else []
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, _NO_LIMIT), options)


def _statistics(number: int, counts: dict[int, int]) -> bytes:
    return _block(_STATISTICS, struct.pack("<I", number) + _time(counts[_STOP]), [
        (code, _time(value) if code in _TIMES else struct.pack("<Q", value)) for code, value in counts.items()])


def _time(wall: int) -> bytes:
    return struct.pack("<II", wall >> 32 & 0xFFFFFFFF, wall & 0xFFFFFFFF)


def _text(text: Any) -> bytes:
    return str(text)[:_LONGEST].encode("utf-8", "replace")


def _block(kind: int, body: bytes, options: Sequence[tuple[int, bytes]]) -> bytes:
    content = body + b"".join(option(*one) for one in options) + bytes(4)
    length = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + length + content + length


def option(code: int, value: bytes) -> bytes:
    """Return an option of a block, which ends at four bytes."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
