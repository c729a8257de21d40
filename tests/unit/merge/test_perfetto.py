# SPDX-License-Identifier: Apache-2.0
"""journeys.perfetto-trace: read again as Perfetto's own format. Its trace processor is a download of its own, which is
not to be had everywhere; what it demands of a track, that slices nest, is held here."""
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from support.fleet import Fleet, merged, talking, udp_packet

from fleetmerge.products.page.chosen import Packet
from fleetmerge.products.perfetto import trace

SECOND = 10**9


def place(device: str, time: int, host: str = "hv-a") -> dict[str, Any]:
    return {"host": host, "device": device, "point": "dev.rx", "time": SECOND + time, "bound_us": None}


def packet(number: int, *places: dict[str, Any]) -> Packet:
    return Packet("%016x" % number, "healthy", "a > b", "arrived", "certain", 1, list(places), [])


def read(content: bytes) -> tuple[dict[int, str], list[Any]]:
    """Return (the name of each track, its events in the order of time)."""
    packets = Trace.FromString(content).packet
    names = {one.track_descriptor.uuid: one.track_descriptor.name or one.track_descriptor.process.process_name
             for one in packets if one.HasField("track_descriptor")}
    return names, sorted((one for one in packets if one.HasField("track_event")), key=lambda one: one.timestamp)


def slices(events: list[Any]) -> dict[int, list[tuple[str, int, int]]]:
    """Return (name, begin, end) of each track's slices; they must nest, and all end."""
    open_: dict[int, list[Any]] = {}
    out: dict[int, list[tuple[str, int, int]]] = {}
    for one in events:
        event = one.track_event
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            open_.setdefault(event.track_uuid, []).append(one)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            begun = open_[event.track_uuid].pop()
            out.setdefault(event.track_uuid, []).append((begun.track_event.name, begun.timestamp, one.timestamp))
    assert not any(open_.values())
    return out


def test_packets_that_are_at_one_place_at_once_do_not_overlap() -> None:
    some = [packet(number, place("vnet0", 100 * number), place("eth0", 100 * number + 250)) for number in range(1, 9)]
    names, events = read(trace(some, {"losses": []}, [], None))
    found = slices(events)
    assert {names[track] for track in found} == {"vnet0 dev.rx"} and len(found) == 3
    for track in found.values():
        assert all(one[2] <= two[1] for one, two in zip(track, track[1:], strict=False))
    assert sorted(end - begin for track in found.values() for _, begin, end in track) == [250] * 8


def test_a_clock_that_is_behind_makes_no_slice_that_ends_before_it_begins() -> None:
    one = packet(1, place("eth0", 500), place("eth0", 400, "hv-b"), place("vnet0", 450, "hv-b"))
    found = slices(read(trace([one], {"losses": []}, [], None))[1])
    assert sorted((begin - SECOND, end - SECOND) for track in found.values() for _, begin, end in track) == [
        (400, 450), (500, 500)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fleet: Fleet = talking()
    for number in range(50):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number % 10 == 3)
    directory = fleet.write(tmp_path_factory.mktemp("run"))
    merged(directory)
    return directory


def test_what_it_shows_is_what_the_journeys_say(run: Path) -> None:
    assert (run / "journeys.perfetto-trace").stat().st_mode & 0o777 == 0o600
    names, events = read((run / "journeys.perfetto-trace").read_bytes())
    ends = [one.track_event for one in events if one.track_event.type == TrackEvent.TYPE_INSTANT]
    lost = {end.terminating_flow_ids[0] for end in ends if end.name.startswith("vanished: ")}
    known = duckdb.sql("SELECT journey, len(places) FROM '%s' WHERE outcome = 'vanished'" % (
        run / "journeys.parquet")).fetchall()
    assert len(known) == 5 and {int(journey, 16) for journey, _ in known} == lost
    assert {names[end.track_uuid] for end in ends if end.name.startswith("vanished: ")} == {"eth0 dev.tx"}
    # as many slices lead to an end as the journey has places before its last one
    arrows = Counter(flow for one in events for flow in one.track_event.flow_ids)
    assert all(arrows[int(journey, 16)] == count - 1 for journey, count in known)
    assert {"hv-a", "hv-b"} <= set(names.values())
    assert slices(events)


def test_a_time_before_1970_is_shown_at_its_beginning() -> None:
    _names, events = read(trace([packet(1, place("vnet0", -7 * 10**18), place("eth0", 0))], {"losses": []}, [], None))
    assert [one.timestamp for one in events] == [0, SECOND, SECOND]
