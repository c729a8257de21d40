# SPDX-License-Identifier: Apache-2.0
"""journeys.perfetto-trace: imported by the rules of Perfetto's trace processor, and held against the journeys.

The trace processor itself is a download of its own, which is not to be had everywhere.
"""
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from support.fleet import Fleet, merged, talking, udp_packet
from support.perfetto import Imported

from fleetmerge.products.page.chosen import Packet
from fleetmerge.products.page.series import Axis
from fleetmerge.products.perfetto import trace

SECOND = 10**9
NO_LOSS: dict[str, Any] = {"losses": []}


def place(device: str, time: int, host: str = "hv-a") -> dict[str, Any]:
    return {"host": host, "device": device, "point": "dev.rx", "time": SECOND + time, "bound_us": None}


def packet(number: int, *places: dict[str, Any]) -> Packet:
    return Packet("%016x" % number, "healthy", "a > b", "arrived", "certain", 1, list(places), [])


def ways(imported: Imported) -> dict[int, list[tuple[str, str]]]:
    """Return (host, place) of each flow, as its arrows lead."""
    found: dict[int, list[tuple[str, str]]] = {}
    for flow, one, two in imported.arrows:
        way = found.setdefault(flow, [(imported.process(one.track), imported.name(one.track))])
        assert way[-1] == (imported.process(one.track), imported.name(one.track))
        way.append((imported.process(two.track), imported.name(two.track)))
    return found


def test_packets_that_are_at_one_place_at_once_do_not_overlap() -> None:
    some = [packet(number, place("vnet0", 100 * number), place("eth0", 100 * number + 250)) for number in range(1, 9)]
    imported = Imported(trace(some, NO_LOSS, [], None))
    assert not imported.flaws
    lasting = [one for one in imported.slices if one.end != one.begin]
    assert {imported.name(one.track) for one in lasting} == {"vnet0 dev.rx"}
    assert len({one.track for one in lasting}) == 3
    assert [one.end - one.begin for one in lasting if one.end] == [250] * 8


def test_a_clock_that_is_behind_makes_no_slice_that_ends_before_it_begins() -> None:
    one = packet(1, place("eth0", 500), place("eth0", 400, "hv-b"), place("vnet0", 450, "hv-b"))
    imported = Imported(trace([one], NO_LOSS, [], None))
    assert not imported.flaws
    assert sorted((one.begin - SECOND, one.end - SECOND) for one in imported.slices if one.end) == [
        (400, 450), (450, 450), (500, 500)]


def test_where_a_packet_was_seen_once_no_arrow_leads() -> None:
    imported = Imported(trace([packet(1, place("eth0", 500))], NO_LOSS, [], None))
    assert not imported.flaws
    assert [one.name for one in imported.slices] == ["arrived: a > b"]


def test_queues_are_counters() -> None:
    fill = [{"name": "hv-b vnet0 tap 0", "unit": "packets", "limit": 9, "fill": [None, 3, 0, None, 9]},
            {"name": "hv-b eth0 qdisc 0", "unit": "bytes", "limit": 0, "fill": [1, None, None, None, None]}]
    imported = Imported(trace([], NO_LOSS, fill, Axis(5 * SECOND, 1000)))
    assert not imported.flaws
    assert {imported.name(track): [(time - 5 * SECOND, value) for time, value in values]
            for track, values in imported.counters.items()} == {
        "queue hv-b vnet0 tap 0": [(1000, 3), (2000, 0), (4000, 9)], "queue hv-b eth0 qdisc 0": [(0, 1)]}
    assert {imported.tracks[track].counter.unit_name for track in imported.counters} == {"packets", "bytes"}


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
    imported = Imported((run / "journeys.perfetto-trace").read_bytes())
    assert not imported.flaws
    known = {int(journey, 16): (outcome, places) for journey, outcome, places in duckdb.sql(
        "SELECT journey, outcome, [(one.host, one.device || ' ' || one.point) FOR one IN places] FROM '%s'"
        % (run / "journeys.parquet")).fetchall()}
    shown = ways(imported)
    assert {flow: [tuple(one) for one in known[flow][1]] for flow in shown} == shown
    assert len(imported.slices) == sum(map(len, shown.values()))
    lost = {flow for flow, (outcome, _places) in known.items() if outcome == "vanished"}
    assert len(lost) == 5 and lost < set(shown)
    ends = [imported.name(one.track) for one in imported.slices if one.name.startswith("vanished: ")]
    assert ends == ["eth0 dev.tx"] * 5


def test_a_time_before_1970_is_shown_at_its_beginning() -> None:
    imported = Imported(trace([packet(1, place("vnet0", -7 * 10**18), place("eth0", 0))], NO_LOSS, [], None))
    assert not imported.flaws
    assert [(one.begin, one.end) for one in imported.slices] == [(0, SECOND), (SECOND, SECOND)]


def _first(kind: "TrackEvent.Type") -> Callable[[Any], Any]:
    return lambda packets: next(one for one in packets if one.HasField("track_event") and one.track_event.type == kind)


BEGIN, END, INSTANT, COUNTER = map(_first, (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END,
                                            TrackEvent.TYPE_INSTANT, TrackEvent.TYPE_COUNTER))


@pytest.mark.parametrize(("flaw", "spoil"), [
    ("an event has no time", lambda all_: BEGIN(all_).ClearField("timestamp")),
    ("an event has no sequence", lambda all_: BEGIN(all_).ClearField("trusted_packet_sequence_id")),
    ("a sequence has no beginning", lambda all_: all_[0].ClearField("sequence_flags")),
    ("the trace's own clock is unknown", lambda all_: all_[0].ClearField("clock_snapshot")),
    ("a track is not described before it is used", lambda all_: all_.pop(2)),
    ("a parent is not described", lambda all_: all_.pop(1)),
    ("a track is described twice", lambda all_: all_.append(all_[2])),
    ("a track has no name", lambda all_: all_[2].track_descriptor.ClearField("name")),
    ("a track is of another kind", lambda all_: setattr(COUNTER(all_).track_event, "track_uuid", 2)),
    ("a counter has no value", lambda all_: COUNTER(all_).track_event.ClearField("counter_value")),
    ("a slice ends that has not begun", lambda all_: all_.remove(BEGIN(all_))),
    ("a slice does not end", lambda all_: all_.remove(END(all_))),
    ("slices of one track overlap", lambda all_: setattr(END(all_), "timestamp", 9 * SECOND)),
    ("a slice has no name", lambda all_: BEGIN(all_).track_event.ClearField("name")),
    ("a flow ends that has not begun", lambda all_: BEGIN(all_).track_event.ClearField("flow_ids"))])
def test_whoever_imports_finds_what_is_wrong(flaw: str, spoil: Callable[[Any], Any]) -> None:
    some = [packet(number, place("vnet0", 1000 * number), place("eth0", 1000 * number + 250)) for number in range(2)]
    fill = [{"name": "q", "unit": "packets", "limit": 9, "fill": [3]}]
    good = trace(some, NO_LOSS, fill, Axis(SECOND, 1000))
    assert not Imported(good).flaws
    packets = list(Trace.FromString(good).packet)
    spoil(packets)
    assert flaw in Imported(Trace(packet=packets).SerializeToString()).flaws
