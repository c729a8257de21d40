# SPDX-License-Identifier: Apache-2.0
"""journeys.perfetto-trace: journeys on one axis of time, for Perfetto's viewer. Hosts are its processes, places its
tracks; a packet's time from one place to the next is a slice, arrows lead from slice to slice, queues are counters.

Format: perfetto.protos.Trace of the package `perfetto`; times are ns since 1970 on the one clock.
"""
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import BUILTIN_CLOCK_BOOTTIME, BUILTIN_CLOCK_REALTIME, TrackEvent
from perfetto.trace_builder.proto_builder import TraceProtoBuilder

from .page.chosen import Packet
from .page.series import Axis

LOST, EACH = 200, 100     # journeys that are shown: of those that were lost, of each other kind
_SEQUENCE = 1             # one writer wrote it all
_CLEARED = 1              # SEQ_INCREMENTAL_STATE_CLEARED
_COUNTERS = 1 << 32       # tracks from here on are counters
Place = tuple[str, str, str]


@dataclass
class _Tracks:
    """Tracks that were described so far. Slices of one track must not overlap, so a place has as many as it needs, all
    of one name, which the viewer shows as one."""

    trace: TraceProtoBuilder
    hosts: dict[str, int] = field(default_factory=dict)
    lanes: dict[Place, list[tuple[int, int]]] = field(default_factory=dict)     # (track, end of its last slice)
    count: int = 0

    def at(self, place: Place, begin: int, end: int) -> int:
        """Return a track of a place that is free from begin to end."""
        lanes = self.lanes.setdefault(place, [])
        for number, (track, until) in enumerate(lanes):
            if until <= begin:
                lanes[number] = track, end
                return track
        self.count += 1
        track = self._describe(self.count, "%s %s" % place[1:], self._host(place[0]))
        lanes.append((track, end))
        return track

    def _host(self, name: str) -> int:
        if name not in self.hosts:
            self.count += 1
            self.hosts[name] = self.count
            described = self.trace.add_packet().track_descriptor
            described.uuid, described.process.pid, described.process.process_name = self.count, self.count, name
        return self.hosts[name]

    def _describe(self, track: int, name: str, parent: int) -> int:
        described = self.trace.add_packet().track_descriptor
        described.uuid, described.name, described.parent_uuid = track, name, parent
        return track


def trace(chosen: Sequence[Packet], summary: Mapping[str, Any], fill: Sequence[Mapping[str, Any]],
          along: Axis | None) -> bytes:
    """Return the file. fill, along: queues over time, as series.of_queues() has them."""
    out = TraceProtoBuilder()
    first = min((place["time"] for packet in chosen for place in packet.places), default=along.start if along else 0)
    _clocks(out, max(first, 0))
    why = {journey: ", ".join(filter(None, (loss.get("reason"), loss.get("function"), loss["why"])))
           for loss in summary["losses"] for journey in loss["journeys"]}
    tracks = _Tracks(out)
    for packet in sorted(chosen, key=lambda packet: packet.places[0]["time"] if packet.places else 0):
        _journey(out, tracks, packet, why.get(packet.journey, ""))
    for number, queue in enumerate(fill):
        _counter(out, _COUNTERS + number, queue, along)
    return bytes(out.serialize())


def _clocks(out: TraceProtoBuilder, now: int) -> None:
    """Say that the trace's own clock is the wall clock, so that the viewer shows the time of day."""
    packet = out.add_packet()
    packet.trusted_packet_sequence_id, packet.sequence_flags = _SEQUENCE, _CLEARED
    for clock in (BUILTIN_CLOCK_BOOTTIME, BUILTIN_CLOCK_REALTIME):
        packet.clock_snapshot.clocks.add(clock_id=clock, timestamp=now)


def _steps(packet: Packet) -> Iterator[tuple[Place, int, int]]:
    """Yield each place with the time when the packet was there, and when it was at the next one; where clocks put that
    earlier, at once. Of the last place both are the same."""
    times = [place["time"] for place in packet.places]
    for place, begin, end in zip(packet.places, times, [*times[1:], times[-1]], strict=True):
        yield (place["host"], place["device"], place["point"]), begin, max(begin, end)


def _journey(out: TraceProtoBuilder, tracks: _Tracks, packet: Packet, why: str) -> None:
    steps = list(_steps(packet)) if packet.places else []
    flow = int(packet.journey, 16)
    for number, (place, begin, end) in enumerate(steps):
        track, last = tracks.at(place, begin, end + 1), number == len(steps) - 1
        event = _event(out, begin, track, TrackEvent.TYPE_INSTANT if last else TrackEvent.TYPE_SLICE_BEGIN)
        event.name = "%s: %s" % (packet.outcome.replace("_", " "), packet.flow) if last else packet.flow
        event.categories.append(packet.kind)
        if len(steps) > 1:    # an arrow has two ends
            (event.terminating_flow_ids if last else event.flow_ids).append(flow)
        bound = packet.places[number]["bound_us"]
        for name, value in (("journey", packet.journey), ("certainty", packet.certainty), ("why", why if last else ""),
                            ("bound_us", "" if bound is None else "%.1f" % bound)):
            if value:
                event.debug_annotations.add(name=name, string_value=value)
        if not last:
            _event(out, end, track, TrackEvent.TYPE_SLICE_END)


def _counter(out: TraceProtoBuilder, track: int, queue: Mapping[str, Any], along: Axis | None) -> None:
    described = out.add_packet().track_descriptor
    described.uuid, described.name, described.counter.unit_name = track, "queue " + queue["name"], queue["unit"]
    for part, length in enumerate(queue["fill"]):
        if along and length is not None:
            event = _event(out, along.start + part * along.width, track, TrackEvent.TYPE_COUNTER)
            event.counter_value = length


def _event(out: TraceProtoBuilder, when: int, track: int, kind: "TrackEvent.Type") -> TrackEvent:
    packet = out.add_packet()
    packet.timestamp, packet.trusted_packet_sequence_id = max(when, 0), _SEQUENCE   # hosts may say any time
    packet.track_event.track_uuid, packet.track_event.type = track, kind
    return packet.track_event
