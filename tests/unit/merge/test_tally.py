# SPDX-License-Identifier: Apache-2.0
"""From what became of each packet to what a part shows."""
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from support.sights import layout_of, sight

from fleetmerge.journey.atlas import Layout
from fleetmerge.journey.found import (
    ARRIVED,
    CONTINUED,
    DROPPED,
    ENDED,
    IN_FLIGHT,
    LEFT,
    OF_COPY,
    OF_PACKET,
    UNKNOWN,
    VANISHED,
    Findings,
)
from fleetmerge.journey.holes import _told, unrecorded
from fleetmerge.journey.outcomes import Facts
from fleetmerge.journey.packets import Packets
from fleetmerge.journey.shapes import Shape
from fleetmerge.journey.tally import (
    Extra,
    Results,
    _continue,
    _doubt_arrivals,
    _join_pieces,
    bytes_of,
    finish,
    tally,
)
from fleetmerge.journey.trees import make_tree
from fleetmerge.packet.identity import IS_FRAGMENT, IS_OTHER, IS_TCP, ROW

PLACES = ("hv-a vnet0 dev.rx", "hv-a eth0 dev.tx", "hv-b eth0 dev.rx", "hv-b vnet0 dev.tx", "hv-b vnet0 skb.drop")
A_RX, A_TX, B_RX, B_TX, B_DROP = range(len(PLACES))
LAYOUT = layout_of(PLACES)
SACK = 16
SECOND = 10 ** 9


def facts(start: float = -SECOND, end: float = SECOND) -> Facts:
    """Return what is known of both hosts; start, end: of hv-b's window, in ns."""
    return cast(Facts, SimpleNamespace(start=np.array([-SECOND, start]), end=np.array([SECOND, end])))


def packets_of(*units: dict[str, Any]) -> Packets:
    """Return packets; of each unit what differs: `packet`, `row` (the first of its record), and fields of the row."""
    rows = np.zeros(len(units), ROW)
    rows["time"], rows["kind"], rows["flow"], rows["ttl"] = np.arange(len(units)), IS_OTHER, 1, 64
    columns: dict[str, Any] = {"row": np.arange(len(units)), "packet": np.arange(len(units), dtype="u8")}
    for name, default in (("number", 0), ("size", 0), ("ident", 0), ("key", 0), ("lead", True), ("unsure", False),
                          ("twins", False), ("stray", False), ("loose", False), ("double", False)):
        columns[name] = np.array([unit.get(name, default) for unit in units])
    for number, unit in enumerate(units):
        for name, value in unit.items():
            if name in ("row", "packet"):
                columns[name][number] = value
            elif name in (ROW.names or ()):
                rows[name][number] = value
    starts = np.flatnonzero(np.append(True, columns["packet"][1:] != columns["packet"][:-1]))

    class Units(SimpleNamespace):
        draw = beside = None

        def __len__(self) -> int:
            return len(self.row)
    return cast(Packets, SimpleNamespace(units=Units(rows=rows, **columns), starts=starts, **columns))


def told(packets: Packets, results: Results, extras: Sequence[Extra] = (), shapes: Sequence[Shape] = ()) -> Findings:
    return tally(finish(packets, packets.starts, results, extras, shapes, [], LAYOUT, facts()), {}, LAYOUT)


def results_of(packets: Packets, *outcomes: int, **columns: Any) -> Results:
    """Return results: each packet was seen last where it was seen first, if nothing else is said."""
    out = Results.empty(len(outcomes))
    out.outcome[:] = outcomes
    out.unit[:] = packets.starts
    for name, column in columns.items():
        getattr(out, name)[:] = column
    return out


def pieces(*outcomes: int, lead: tuple[bool, ...]) -> tuple[list[int], list[int], list[bool]]:
    """Return (outcomes, units, whether each counts) of pieces of one record."""
    packets = packets_of(*({"row": 0, "number": 0} for _ in outcomes))
    packets.units.row[:] = 0
    results, counts = results_of(packets, *outcomes), np.array(lead)
    _join_pieces(packets, packets.starts, results, counts)
    return results.outcome.tolist(), results.unit.tolist(), counts.tolist()


@pytest.mark.parametrize(("worse", "better"), [
    (DROPPED, VANISHED), (VANISHED, UNKNOWN), (UNKNOWN, IN_FLIGHT), (IN_FLIGHT, LEFT), (LEFT, ENDED), (ENDED, ARRIVED)])
def test_of_pieces_the_worst_counts(worse: int, better: int) -> None:
    assert pieces(better, worse, lead=(True, False)) == ([worse, worse], [1, 1], [True, False])
    assert pieces(worse, better, lead=(True, False)) == ([worse, better], [0, 1], [True, False])


def test_the_first_of_the_worst_pieces_counts() -> None:
    assert pieces(ARRIVED, LEFT, LEFT, ARRIVED, lead=(True, False, False, False))[1] == [1, 1, 2, 3]


def test_pieces_whose_lead_was_not_seen_count_once() -> None:
    assert pieces(ARRIVED, VANISHED, lead=(False, False)) == ([VANISHED, VANISHED], [1, 1], [True, False])


def test_a_packet_that_was_not_cut_stays_as_it_is() -> None:
    packets = packets_of({}, {}, {})
    results, counts = results_of(packets, ARRIVED, VANISHED, LEFT), np.array([True, False, True])
    _join_pieces(packets, packets.starts, results, counts)
    assert results.outcome.tolist() == [ARRIVED, VANISHED, LEFT] and counts.tolist() == [True, True, True]


def continued(one: dict[str, Any], two: dict[str, Any], outcome: int = VANISHED) -> list[int]:
    plain = {"ident": 5, "group": 9}
    packets = packets_of({**plain, **one}, {**plain, **two})
    results = results_of(packets, outcome, ARRIVED)
    _continue(packets, packets.starts, results)
    return results.outcome.tolist()


@pytest.mark.parametrize(("one", "two"), [(IS_OTHER, IS_FRAGMENT), (IS_FRAGMENT, IS_OTHER)])
def test_packets_go_on_as_fragments_and_fragments_as_a_packet(one: int, two: int) -> None:
    for outcome in (VANISHED, UNKNOWN, ENDED):
        assert continued({"kind": one}, {"kind": two}, outcome) == [CONTINUED, ARRIVED]
    for outcome in (DROPPED, LEFT, ARRIVED, IN_FLIGHT):
        assert continued({"kind": one}, {"kind": two}, outcome)[0] == outcome
    assert continued({"kind": one, "time": 9}, {"kind": two, "time": 9})[0] == VANISHED     # that was not after it
    assert continued({"kind": one}, {"kind": two, "ident": 6})[0] == VANISHED
    assert continued({"kind": one}, {"kind": two, "group": 6})[0] == VANISHED
    assert continued({"kind": one, "ident": 0}, {"kind": two, "ident": 0})[0] == VANISHED
    assert continued({"kind": one}, {"kind": one})[0] == VANISHED


def test_the_latest_fragment_tells_whether_it_went_on() -> None:
    packets = packets_of({"kind": IS_OTHER, "ident": 5, "time": 10}, {"kind": IS_FRAGMENT, "ident": 5, "time": 20},
                         {"kind": IS_FRAGMENT, "ident": 5, "time": 5}, {"kind": IS_FRAGMENT, "ident": 4, "time": 30},
                         {"kind": IS_FRAGMENT, "ident": 6, "time": 3})
    results = results_of(packets, VANISHED, ARRIVED, ARRIVED, ARRIVED, ARRIVED)
    _continue(packets, packets.starts, results)
    assert results.outcome.tolist() == [CONTINUED, ARRIVED, ARRIVED, ARRIVED, ARRIVED]


def test_what_arrived_may_be_something_else() -> None:
    packets = packets_of({}, {"twins": True}, {"stray": True}, {"twins": True, "stray": True}, {"twins": True})
    outcomes = (ARRIVED, ARRIVED, ARRIVED, ARRIVED, DROPPED)

    def doubted(doubles: bool) -> list[int]:
        results = results_of(packets, *outcomes)
        shape = SimpleNamespace(starts=packets.starts[:1])
        _doubt_arrivals(packets, packets.starts, results, LAYOUT, [shape] if doubles else [])  # type: ignore[list-item]
        return results.outcome.tolist()
    assert doubted(False) == [ARRIVED, ARRIVED, ENDED, ENDED, DROPPED]
    assert doubted(True) == [ARRIVED, UNKNOWN, ENDED, ENDED, DROPPED]


def flooded(*hops: int, flows: tuple[int, ...] | None = None, layout: Layout = LAYOUT) -> list[int]:
    """Return what becomes of packets that came to a VM's tap, with so many hops left."""
    packets = packets_of(*({"packet": number // 2, "place": (A_TX, B_TX)[number % 2], "flow": flow,
                            "ttl": (64, hop)[number % 2]} for number, (hop, flow) in enumerate(
        (hop, flow) for hop, flow in zip(hops, flows or (1,) * len(hops), strict=True) for _ in range(2))))
    results = results_of(packets, *(ARRIVED for _ in hops), unit=packets.starts + 1)
    _doubt_arrivals(packets, packets.starts, results, layout, [])
    return results.outcome.tolist()


def test_what_was_flooded_to_a_vm_before_its_router_sent_it() -> None:
    assert flooded(63, 63, 64) == [ARRIVED, ARRIVED, ENDED]
    assert flooded(63, 64) == [ARRIVED, ARRIVED]              # half of them are not most
    assert flooded(63, 64, 64) == [ARRIVED, ARRIVED, ARRIVED]
    assert flooded(1, 1, 64) == [ARRIVED, ARRIVED, ENDED]
    assert flooded(63, 63, 0) == [ARRIVED, ARRIVED, ENDED]
    assert flooded(0, 0, 64) == [ARRIVED, ARRIVED, ARRIVED]
    assert flooded(63, 63, 64, flows=(1, 1, 2)) == [ARRIVED, ARRIVED, ARRIVED]


def test_hops_that_were_spent_elsewhere_are_no_router_before_the_vm() -> None:
    packets = packets_of(*({"packet": number // 2, "place": (A_TX, B_TX)[number % 2], "ttl": hops}
                           for number, hops in enumerate((63, 64, 63, 64, 64, 64))))
    results = results_of(packets, ARRIVED, ARRIVED, ARRIVED, unit=packets.starts + 1)
    _doubt_arrivals(packets, packets.starts, results, LAYOUT, [])
    assert results.outcome.tolist() == [ARRIVED] * 3


def test_bytes_from_the_network_header_on() -> None:
    packets = packets_of({"bytes": 3052, "size": 1400}, {"number": 1, "bytes": 3052, "size": 1400})
    packets.units.rows["size"] = 3000
    assert bytes_of(packets, np.array([0, 1])).tolist() == [1452, 1400]


def shape_of(packets: Packets, *sights: Any) -> Shape:
    numbers = np.arange(len(packets.starts))
    return Shape(list(sights), make_tree(sights, LAYOUT, np.zeros((2, 2))), numbers, packets.starts)


def test_flows_and_losses() -> None:
    packets = packets_of(
        {"kind": IS_TCP, "size": 100, "packet": 1, "key": 1, "bytes": 140, "seq": 0, "time": 10, "flags": SACK},
        {"kind": IS_TCP, "size": 100, "packet": 2, "key": 2, "bytes": 140, "seq": 100, "time": 20, "flags": SACK,
         "place": A_TX, "unsure": True},
        {"kind": IS_TCP, "size": 100, "packet": 3, "key": 1, "bytes": 140, "seq": 0, "time": 30, "flags": SACK,
         "place": A_TX},
        {"kind": IS_TCP, "size": 0, "packet": 4, "key": 9, "bytes": 40, "seq": 199, "time": 40, "flags": SACK},
        {"kind": IS_TCP, "size": 0, "packet": 5, "key": 9, "bytes": 40, "seq": 200, "time": 50, "flags": SACK,
         "place": B_DROP, "drop": 3},
        {"kind": IS_TCP, "size": 50, "packet": 6, "key": 6, "bytes": 1, "number": 1, "seq": 200, "time": 60,
         "flags": SACK, "place": A_TX})
    packets.units.rows["size"] = packets.units.size
    results = results_of(packets, ARRIVED, VANISHED, VANISHED, ARRIVED, DROPPED, UNKNOWN,
                         after=[-1, B_RX, B_RX, -1, -1, -1], last=[B_TX, A_TX, A_TX, B_TX, B_RX, A_TX])
    extra = Extra(OF_COPY, np.array([0, 3]), np.array([0, 3]), B_RX, 8)
    found = told(packets, results, [extra])
    (flow,) = found.flows
    assert [int(flow[name]) for name in ("packets", "skbs", "bytes", "first", "last", "unsure", "again", "asks")] == [
        6, 5, 140 * 3 + 40 * 2 + 50, 10, 60, 1, 1, 1]
    assert flow["became"].tolist() == [2, 0, 0, 1, 2, 1, 0, 0]
    losses = {(kind[0], kind[1], kind[5], kind[6], kind[7]): lost for kind, lost in found.losses.items()}
    assert set(losses) == {(VANISHED, OF_PACKET, A_TX, B_RX, 0), (DROPPED, OF_PACKET, B_DROP, -1, 3),
                           (DROPPED, OF_COPY, A_RX, -1, 0)}
    vanished = losses[VANISHED, OF_PACKET, A_TX, B_RX, 0]
    assert (vanished.packets, vanished.skbs, vanished.bytes, vanished.first, vanished.last, vanished.journeys) == (
        2, 2, 280, 20, 30, [2, 3])
    copies = losses[DROPPED, OF_COPY, A_RX, -1, 0]
    assert (copies.packets, copies.journeys, copies.first, copies.last) == (2, [1, 4], 10, 40)


def test_only_some_journeys_of_a_loss_are_named() -> None:
    packets = packets_of(*({"packet": 10 - number, "place": A_TX} for number in range(5)))
    results = results_of(packets, *(VANISHED,) * 5, after=B_RX)
    (lost,) = told(packets, results).losses.values()
    assert (lost.packets, lost.journeys) == (5, [8, 9, 10])


def holes(*sights: Any, **window: float) -> dict[int, int]:
    each = len(sights)
    packets = packets_of(*({"packet": number // each} for number in range(2 * each)))
    seen = shape_of(packets, *sights)
    return unrecorded(packets, packets.starts, [seen], LAYOUT, facts(**window))


def test_packets_that_a_host_must_have_seen() -> None:
    sent = [sight(A_RX, 0, leg=0, when=0), sight(A_TX, 0, leg=0, when=5)]
    came = [sight(B_RX, 2, leg=0, when=50), sight(B_TX, 2, leg=0, when=55)]
    assert holes(*sent, *came) == {}
    assert holes(*sent, sight(B_TX, 2, leg=0, when=55)) == {1: 2}       # it came in unseen
    assert holes(sent[0], sight(B_RX, 1, leg=0, when=50), sight(B_TX, 1, leg=0, when=55)) == {0: 2}   # it left unseen
    assert holes(sent[0]) == {}
    assert holes(*came) == {}


def test_what_came_or_went_outside_a_window_is_no_hole() -> None:
    unseen = [sight(A_RX, 0, leg=0, when=0), sight(A_TX, 0, leg=0, when=5), sight(B_TX, 2, leg=0, when=55)]
    assert holes(*unseen, start=-0.21 * SECOND, end=0.21 * SECOND) == {1: 2}
    assert holes(*unseen, start=-0.19 * SECOND) == {}
    assert holes(*unseen, end=0.19 * SECOND) == {}


@pytest.mark.parametrize("doubt", ["twins", "unsure", "stray"])
def test_what_may_be_of_another_packet_is_no_hole(doubt: str) -> None:
    packets = packets_of({}, {doubt: True}, {doubt: True})
    assert _told(packets, packets.starts).tolist() == [True, False, False]


def test_what_was_joined_from_fragments_came_in_as_these() -> None:
    packets = packets_of({"ident": 5}, {"ident": 5, "kind": IS_FRAGMENT}, {"ident": 6}, {"ident": 5, "group": 2})
    assert _told(packets, packets.starts).tolist() == [False, False, True, True]


def test_loops_and_doubles_are_counted() -> None:
    packets = packets_of({}, {})
    loop = [sight(B_RX, number, leg=number, when=100 * number, hops=2 * number) for number in range(3)]
    found = told(packets, results_of(packets, ENDED, ENDED), shapes=[shape_of(packets, *loop)] * 2)
    assert (found.loops, found.doubled) == ({B_RX: 4}, {})
    double = [sight(B_RX, number, leg=number, when=number) for number in range(2)]
    found = told(packets, results_of(packets, ENDED, ENDED), shapes=[shape_of(packets, *double)] * 2)
    assert (found.loops, found.doubled) == ({}, {B_RX: 4})
