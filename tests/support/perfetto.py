# SPDX-License-Identifier: Apache-2.0
"""A trace in Perfetto's format, imported by the rules of its trace processor, which counts what breaks one of them.

    imported = Imported(content)
    assert not imported.flaws
    imported.slices, imported.arrows, imported.counters

The rules are those of Perfetto's documentation of TrackEvent and of its importer (track_event_tokenizer, slice_tracker,
flow_tracker): descriptors are read in the order of the file, events in that of time.
"""
from collections import Counter
from dataclasses import dataclass
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import BUILTIN_CLOCK_BOOTTIME, Trace, TracePacket, TrackEvent

CLEARED = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
MOST = (1 << 63) - 1     # of a time, in ns


@dataclass
class Slice:
    """What is one row of the table `slice`."""

    track: int
    name: str
    begin: int
    end: int | None = None


class Imported:
    """A trace as the trace processor's tables have it, and what it would complain of."""

    def __init__(self, content: bytes) -> None:
        self.flaws: Counter[str] = Counter()
        self.tracks: dict[int, Any] = {}
        self.slices: list[Slice] = []
        self.arrows: list[tuple[int, Slice, Slice]] = []              # flow, from, to
        self.counters: dict[int, list[tuple[int, int]]] = {}          # track -> (time, value)
        self._open: dict[int, list[Slice]] = {}
        self._flows: dict[int, Slice] = {}
        self._flaw("it does not begin as a trace does", content[:1] != b"\x0a")
        packets = list(Trace.FromString(content).packet)
        self._flaw("something in it is unknown", Trace.FromString(content).SerializeToString() != content)
        self._read(packets)
        for packet in sorted((one for one in packets if one.HasField("track_event")), key=lambda one: one.timestamp):
            self._event(packet.timestamp, packet.track_event)
        self._flaw("a slice does not end", any(self._open.values()))

    def name(self, track: int) -> str:
        """Return the name of a track, or of its process."""
        return self.tracks[track].name or self.tracks[track].process.process_name

    def process(self, track: int) -> str:
        """Return the name of the process that a track belongs to, "" if it belongs to none."""
        parent = self.tracks[track].parent_uuid
        return self.name(parent) if parent else ""

    def _flaw(self, what: str, there: bool) -> None:
        if there:
            self.flaws[what] += 1

    def _read(self, packets: list[Any]) -> None:
        """Take descriptors, and look at the packets of events as they come."""
        cleared, clocks = set(), set()
        for packet in packets:
            cleared |= {packet.trusted_packet_sequence_id} if packet.sequence_flags & CLEARED else set()
            clocks |= {clock.clock_id for clock in packet.clock_snapshot.clocks}
            if packet.HasField("track_descriptor"):
                self._describe(packet.track_descriptor)
            elif packet.HasField("track_event"):
                known = packet.track_event.track_uuid in self.tracks
                self._flaw("an event has no time", not packet.HasField("timestamp") or packet.timestamp > MOST)
                self._flaw("an event has no sequence", not packet.trusted_packet_sequence_id)
                self._flaw("a sequence has no beginning", packet.trusted_packet_sequence_id not in cleared)
                self._flaw("a track is not described before it is used", not known)
        self._flaw("the trace's own clock is unknown", BUILTIN_CLOCK_BOOTTIME not in clocks)

    def _describe(self, track: Any) -> None:
        self._flaw("a track has no number", not track.uuid)
        self._flaw("a track is described twice", track.uuid in self.tracks)
        self._flaw("a parent is not described", bool(track.parent_uuid) and track.parent_uuid not in self.tracks)
        self._flaw("a track has no name", not (track.name or track.process.process_name))
        pids = {one.process.pid for one in self.tracks.values() if one.HasField("process")}
        self._flaw("two processes have one number", track.HasField("process") and track.process.pid in pids | {0})
        self.tracks[track.uuid] = track

    def _event(self, time: int, event: Any) -> None:
        track = self.tracks.get(event.track_uuid)
        counts = event.type == TrackEvent.TYPE_COUNTER
        self._flaw("a track is of another kind", not track or track.HasField("counter") != counts)
        stack = self._open.setdefault(event.track_uuid, [])
        if counts:
            self._flaw("a counter has no value", not event.HasField("counter_value"))
            self.counters.setdefault(event.track_uuid, []).append((time, event.counter_value))
        elif event.type == TrackEvent.TYPE_SLICE_END:
            self._flaw("a slice ends that has not begun", not stack)
            if stack:
                stack.pop().end = time
        else:
            self._begin(time, event, stack)

    def _begin(self, time: int, event: Any, stack: list[Slice]) -> None:
        self._flaw("slices of one track overlap", bool(stack))     # they could nest; ours never do
        self._flaw("a slice has no name", not event.name)
        one = Slice(event.track_uuid, event.name, time, time if event.type == TrackEvent.TYPE_INSTANT else None)
        self.slices.append(one)
        if one.end is None:
            stack.append(one)
        for flow in [*event.flow_ids, *event.terminating_flow_ids]:
            if flow in self._flows:
                self.arrows.append((flow, self._flows[flow], one))
            self._flaw("a flow ends that has not begun", flow in event.terminating_flow_ids and flow not in self._flows)
            self._flows[flow] = one
        for flow in event.terminating_flow_ids:
            self._flows.pop(flow)
