# SPDX-License-Identifier: Apache-2.0
"""What became of a packet that was seen last somewhere, and what is missing for that to be certain."""
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.sights import layout_of

from fleetmerge.journey import grounds
from fleetmerge.journey.evidence import NOWHERE, onward_of
from fleetmerge.journey.found import ENDED, IN_FLIGHT, LEFT, UNKNOWN, VANISHED
from fleetmerge.journey.grounds import GAPS, Trust
from fleetmerge.journey.outcomes import (
    BY_FREED,
    BY_OPEN,
    BY_OUT,
    BY_VM,
    Entrances,
    Judge,
    Pending,
    facts_of,
    routed_key,
)
from fleetmerge.packet.identity import mix

PLACES = ("hv-a vnet0 dev.rx", "hv-a eth0 dev.tx", "hv-b eth0 dev.rx", "hv-b vnet0 dev.tx", "hv-b eth1 dev.rx",
          "hv-c eth0 dev.rx", "hv-b eth0 dev.tx", "hv-a br0 ovs.upcall", "hv-a vnet1 tun.xmit", "hv-b vnet1 dev.tx",
          "hv-b eth1 dev.tx")
A_RX, A_TX, B_RX, B_TX, B_RX1, C_RX, B_OUT, A_ASK, A_VM, B_VM1, B_FROM1 = range(len(PLACES))
HOSTS = ("hv-a", "hv-b", "hv-c")
LAYOUT = layout_of(PLACES)
SECOND, MS = 1_000_000_000, 1_000_000
STREAM = 7
TRUST = Trust(0.0, 10.0 * SECOND, 1000.0)
NO_HOME = {"home": NOWHERE, "stays": False}


def went(*others: tuple[float, int], place: int = A_TX) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return evidence of packets of the stream: when (s) they were at the place, and where they went on to."""
    return [(mix(np.array([STREAM], "u8"), np.array([place], "u8")), np.array([time * SECOND], "i8"),
             np.array([after], "i4")) for time, after in others]


def judge(others: list[Any], *, trusts: dict[str, Trust] | None = None, bound: float = 1000.0,
          slowest: dict[tuple[int, int], float] | None = None, crossed: tuple[tuple[int, int, int], ...] = (),
          routed: tuple[int, ...] = (), **fields: Any) -> tuple[int, int, set[str]]:
    """Return (outcome, where it should have been seen next, words of the gaps) of one packet."""
    pending = {"packet": 0, "unit": 0, "place": A_TX, "how": BY_OUT, "gaps": 0, "stream": STREAM, "time": 5 * SECOND,
               "first": fields.get("time", 5 * SECOND), "last": fields.get("time", 5 * SECOND),
               "home": LAYOUT.device[B_TX], "stays": True, "told": NOWHERE, "fragment": False, "unsure": False,
               "strange": False, "followed": False, "aside": False}
    types = {"gaps": "u4", "stream": "u8", "place": "i4", "how": "u1", "home": "i4", "told": "i4"}
    columns = {name: np.array([value], types.get(name)) for name, value in {**pending, **fields}.items()}
    entrances = Entrances(LAYOUT)
    for step in crossed:
        entrances.add(*step)
    facts = facts_of({**dict.fromkeys(HOSTS, TRUST), **(trusts or {})}, list(HOSTS))
    bounds = np.full((3, 3), bound)
    keys = [routed_key(*np.array([[STREAM], [A_TX], [after]], "u8")) for after in routed]
    judged = Judge(LAYOUT, facts, bounds, onward_of(others), slowest or {}, entrances,
                   np.unique(np.concatenate([np.zeros(0, "u8"), *keys]))).judge(Pending(**columns))
    gaps = int(judged.gaps[0])
    names = {name for name, gap in vars(grounds).items() if gap in GAPS and gaps & gap.bit}
    return int(judged.outcome[0]), int(judged.after[0]), names


BOTH = went((4, B_RX), (6, B_RX))


def test_seen_before_and_after_at_the_same_place() -> None:
    assert judge(BOTH, **NO_HOME) == (VANISHED, B_RX, set())


@pytest.mark.parametrize(("others", "missing"), [(went((4, B_RX)), "NOT_AFTER"), (went((6, B_RX)), "NOT_BEFORE")])
def test_seen_before_or_after_only(others: list[Any], missing: str) -> None:
    assert judge(others, **NO_HOME) == (UNKNOWN, B_RX, {missing})
    # a receiver that was there before and after is as good
    assert judge(others) == (VANISHED, B_RX, set())
    assert judge(others, stays=False) == (UNKNOWN, B_RX, {missing})
    assert judge(others, home=LAYOUT.device[A_VM]) == (UNKNOWN, B_RX, {missing})


def test_what_was_sent_just_before_may_have_come_late_and_another_way() -> None:
    assert judge(went((4.996, B_RX), (6, B_RX)), **NO_HOME) == (UNKNOWN, B_RX, {"NOT_BEFORE"})
    assert judge(went((4.995, B_RX), (6, B_RX)), **NO_HOME) == (VANISHED, B_RX, set())


@pytest.mark.parametrize("partly", [{"lossy": "x"}, {"filtered": "x"}, {"blind": "x"}, {"late": True}, {"early": True}])
def test_a_hop_spent_on_the_way_may_be_on_a_host_that_did_not_record_everything(partly: dict[str, Any]) -> None:
    between = {"hv-c": replace(TRUST, **partly)}
    assert judge(BOTH, routed=(B_RX,), trusts=between, **NO_HOME) == (UNKNOWN, B_RX, {"BETWEEN"})
    assert judge(BOTH, trusts=between, **NO_HOME) == (VANISHED, B_RX, set())              # no hop was spent
    assert judge(BOTH, routed=(B_RX1,), trusts=between, **NO_HOME) == (VANISHED, B_RX, set())     # nor on this way
    assert judge(BOTH, routed=(B_RX,), **NO_HOME) == (VANISHED, B_RX, set())              # by a router of no host
    # where its receiver lives does not tell by which way it goes there
    assert judge([], crossed=((A_TX, B_RX, 3),), trusts=between) == (UNKNOWN, B_RX, {"BETWEEN"})
    ends = {name: replace(TRUST, lossy="x") for name in ("hv-a", "hv-b")}
    assert judge(BOTH, routed=(B_RX,), trusts=ends, **NO_HOME) == (UNKNOWN, B_RX, {"LOSSY_HERE", "LOSSY_NEXT"})


def test_other_streams_places_and_times_show_nothing() -> None:
    assert judge(BOTH, stream=STREAM + 1, **NO_HOME)[0] == LEFT
    assert judge(BOTH, place=B_OUT, **NO_HOME)[0] == LEFT


def test_packets_before_and_after_it_went_to_different_hosts() -> None:
    moved = went((4, B_RX), (6, C_RX))
    assert judge(moved, **NO_HOME) == (UNKNOWN, B_RX, {"MOVED"})
    assert judge(moved) == (VANISHED, B_RX, set())                            # its receiver was on the first
    assert judge(went((4, C_RX), (6, B_RX))) == (VANISHED, B_RX, set())       # on the second
    assert judge(moved, stays=False) == (UNKNOWN, B_RX, {"MOVED"})


def test_another_device_of_the_same_host_matters_inside_it_only() -> None:
    assert judge(went((4, B_RX), (6, B_RX1)), **NO_HOME) == (VANISHED, B_RX, set())
    inside = {"place": B_RX, "how": BY_OPEN, **NO_HOME}
    assert judge(went((4, B_TX), (6, B_VM1), place=B_RX), **inside) == (UNKNOWN, B_TX, {"MOVED"})
    assert judge(went((4, B_TX), (6, B_TX), place=B_RX), **inside) == (VANISHED, B_TX, set())


def test_nobody_knows_where_it_went() -> None:
    assert judge([], **NO_HOME) == (LEFT, NOWHERE, set())
    assert judge([], how=BY_OPEN, **NO_HOME) == (ENDED, NOWHERE, set())
    assert judge([], unsure=True, **NO_HOME) == (LEFT, NOWHERE, set())
    assert judge([]) == (LEFT, NOWHERE, set())     # where it lives is known, but no way from here to there


def test_where_its_receiver_lives_shows_the_way() -> None:
    crossed = ((A_TX, B_RX, 3),)
    assert judge([], crossed=crossed) == (VANISHED, B_RX, set())
    assert judge([], crossed=crossed, stays=False) == (UNKNOWN, B_RX, {"RESIDENT"})
    assert judge([], crossed=crossed, aside=True) == (UNKNOWN, B_RX, {"ASIDE"})
    assert judge(BOTH, aside=True) == (VANISHED, B_RX, set())     # the flow's own packets show the way
    # packets came back that way only
    assert judge([], crossed=((B_OUT, A_VM, 3), (B_OUT, A_TX, 5))) == (VANISHED, B_RX, set())
    # what did not leave the host, and what is for the host itself, went no way between hosts
    assert judge([], crossed=crossed, how=BY_OPEN) == (ENDED, NOWHERE, set())
    assert judge([], crossed=((A_TX, A_VM, 3),), home=LAYOUT.device[A_VM]) == (LEFT, NOWHERE, set())


def test_most_packets_show_the_entrance() -> None:
    entrances = Entrances(LAYOUT)
    for one, two, packets in ((A_TX, B_RX1, 3), (A_TX, B_RX, 2), (A_TX, C_RX, 9), (A_TX, B_RX, 2)):
        entrances.add(one, two, packets)
    assert entrances.to(A_TX, 1) == (B_RX, True)
    entrances.add(A_TX, B_RX1, 1)
    assert entrances.to(A_TX, 1) == (B_RX, True)     # as many: the one with the lower number
    entrances.add(A_TX, B_RX1, 1)
    assert entrances.to(A_TX, 1) == (B_RX1, True)
    assert entrances.to(A_VM, 1) == (NOWHERE, False)


def test_packets_that_came_back_show_the_device() -> None:
    entrances = Entrances(LAYOUT)
    entrances.add(B_OUT, A_TX, 1)
    assert entrances.to(A_TX, 1) == (B_RX, True)
    entrances.add(B_TX, A_TX, 2)                     # more came back from a device at which nothing comes in
    assert entrances.to(A_TX, 1) == (NOWHERE, False)
    entrances.add(B_OUT, A_TX, 2)
    assert entrances.to(A_TX, 1) == (B_RX, True)
    entrances.add(B_FROM1, A_TX, 3)                  # as many: the one with the lower number
    assert entrances.to(A_TX, 1) == (B_RX, True)
    entrances.add(B_FROM1, A_TX, 1)
    assert entrances.to(A_TX, 1) == (B_RX1, True)


def test_to_a_host_with_several_uplinks_others_show_no_way() -> None:
    entrances = Entrances(replace(LAYOUT, forked=np.arange(len(LAYOUT.vm)) == 1))
    entrances.add(B_OUT, A_TX, 1)
    assert entrances.to(A_TX, 1) == (B_RX, False)
    entrances.add(A_TX, B_RX, 1)
    assert entrances.to(A_TX, 1) == (B_RX, False)    # a bond takes each flow's by a device of its own choice


def test_where_a_host_sends_on_what_comes_others_show_no_way() -> None:
    for between, shown in (({0, 1}, True), ({2}, False)):
        entrances = Entrances(LAYOUT, between)
        entrances.add(A_TX, B_RX, 1)
        assert entrances.to(A_TX, 1) == (B_RX, shown)


def test_as_the_topology_says() -> None:
    assert judge([], told=B_RX, **NO_HOME) == (UNKNOWN, B_RX, {"TOLD"})
    assert judge([], told=0, place=B_OUT, **NO_HOME) == (UNKNOWN, 0, {"TOLD"})
    assert judge([], told=A_RX, **NO_HOME) == (LEFT, NOWHERE, set())          # it is there already
    assert judge([], told=B_RX, how=BY_OPEN, **NO_HOME) == (ENDED, NOWHERE, set())
    assert judge(BOTH, told=C_RX, **NO_HOME) == (VANISHED, B_RX, set())       # what packets show goes before


def test_how_it_was_seen_last() -> None:
    inside = {"place": B_RX, **NO_HOME}
    both, before = went((4, B_TX), (6, B_TX), place=B_RX), went((4, B_TX), place=B_RX)
    assert judge(both, how=BY_FREED, **inside) == (VANISHED, B_TX, set())
    assert judge(before, how=BY_FREED, **inside) == (UNKNOWN, B_TX, {"FREED", "NOT_AFTER"})
    assert judge(went((6, B_TX), place=B_RX), how=BY_FREED, **inside) == (UNKNOWN, B_TX, {"FREED", "NOT_BEFORE"})
    assert judge(both, how=BY_VM, **inside) == (UNKNOWN, B_TX, {"IN_VM"})
    assert judge(both, how=BY_OUT, **inside) == (UNKNOWN, B_TX, {"ELSEWHERE"})
    assert judge(both, how=BY_OPEN, fragment=True, **inside) == (UNKNOWN, B_TX, {"WAITS"})
    assert judge(BOTH, fragment=True, **NO_HOME) == (VANISHED, B_RX, set())
    assert judge(BOTH, unsure=True, **NO_HOME) == (UNKNOWN, B_RX, {"ALIKE"})
    assert judge(BOTH, gaps=grounds.BRANCHES.bit, **NO_HOME) == (UNKNOWN, B_RX, {"BRANCHES"})


def test_a_daemon_that_sent_nothing_on() -> None:
    asked = {"place": A_ASK, "how": BY_OPEN, **NO_HOME}
    assert judge([], **asked) == (VANISHED, A_ASK, set())
    assert judge(went((4, A_TX), (6, A_TX), place=A_ASK), **asked) == (VANISHED, A_TX, set())


@pytest.mark.parametrize(("fact", "here", "after", "inside"), [
    ({"lossy": "x"}, {"LOSSY_HERE"}, {"LOSSY_NEXT"}, {"LOSSY_HERE"}), ({"blind": "x"}, {"BLIND"}, {"BLIND"}, {"BLIND"}),
    ({"filtered": "x"}, set(), {"FILTERED"}, {"FILTERED"}), ({"counted": "x"}, set(), {"COUNTERS"}, set())])
def test_what_is_known_of_hosts(fact: dict[str, Any], here: set[str], after: set[str], inside: set[str]) -> None:
    def found(host: str, others: list[Any], **fields: Any) -> set[str]:
        return judge(others, trusts={host: replace(TRUST, **fact)}, **NO_HOME, **fields)[2]
    assert found("hv-a", BOTH) == here
    assert found("hv-b", BOTH) == after
    assert found("hv-c", BOTH) == set()
    assert found("hv-b", went((4, B_TX), (6, B_TX), place=B_RX), place=B_RX, how=BY_OPEN) == inside


END = 10 * SECOND


@pytest.mark.parametrize(("time", "outcome"), [
    (END - 20 * MS - 1000, VANISHED), (END - 20 * MS - 999, IN_FLIGHT), (END - 1, IN_FLIGHT), (1000, VANISHED),
    (999, IN_FLIGHT)])
def test_under_way_at_the_ends_of_the_window(time: int, outcome: int) -> None:
    others = went((-1, B_RX), (11, B_RX))
    assert judge(others, time=time, **NO_HOME) == (outcome, B_RX, set())


@pytest.mark.parametrize(("slowest", "patience"), [(1.0 * MS, 5 * MS), (3.0 * MS, 12 * MS), (0.0, 5 * MS)])
def test_patience_is_what_others_took(slowest: float, patience: int) -> None:
    others = went((-1, B_RX), (11, B_RX))
    for early, outcome in ((0, VANISHED), (1, IN_FLIGHT)):
        time = END - 1000 - patience + early
        assert judge(others, time=time, slowest={(A_TX, B_RX): slowest}, **NO_HOME)[0] == outcome


def test_inside_a_host_its_clock_is_one() -> None:
    others = went((0, B_TX), (11, B_TX), place=B_RX)
    inside = {"place": B_RX, "how": BY_OPEN, "bound": 50.0 * MS, **NO_HOME}
    assert judge(others, time=0, **inside)[0] == VANISHED
    assert judge(others, time=END - 20 * MS, **inside)[0] == VANISHED


@pytest.mark.parametrize(("fact", "near_start", "near_end"), [
    ({"early": True}, (IN_FLIGHT, set()), (UNKNOWN, {"EARLY"})),
    ({"late": True}, (UNKNOWN, {"LATE"}), (IN_FLIGHT, set()))])
def test_hosts_that_began_late_or_ended_early(fact: dict[str, bool], near_start: Any, near_end: Any) -> None:
    others, trusts = went((-1, B_RX), (11, B_RX)), {"hv-b": replace(TRUST, **fact)}
    for time, (outcome, gaps) in ((500, near_start), (END - 500, near_end), (5 * SECOND, (VANISHED, set()))):
        assert judge(others, time=time, trusts=trusts, **NO_HOME) == (outcome, B_RX, gaps)


@pytest.mark.parametrize("time", [100 * MS, END - 100 * MS])
def test_clocks_that_are_far_apart(time: int) -> None:
    others = went((0, B_RX), (11, B_RX))
    assert judge(others, time=time, bound=0.5 * SECOND, **NO_HOME) == (IN_FLIGHT, B_RX, set())   # a twentieth of it
    assert judge(others, time=time, bound=0.5 * SECOND + 1, **NO_HOME) == (UNKNOWN, B_RX, {"CLOCKS"})
    assert judge(others, time=time, bound=np.inf, **NO_HOME) == (UNKNOWN, B_RX, {"CLOCKS"})


def test_clocks_of_which_nothing_is_known_are_no_further_apart_than_the_capture_allows() -> None:
    others = went((0, B_RX), (11, B_RX))
    assert judge(others, bound=np.inf, **NO_HOME) == (VANISHED, B_RX, set())
    assert judge(others, bound=np.inf, time=2 * SECOND, **NO_HOME)[2] == set()
    assert judge(others, bound=np.inf, time=2 * SECOND - 1, **NO_HOME)[2] == {"CLOCKS"}


def test_a_host_without_records_was_on_no_way() -> None:
    facts = facts_of({}, ["hv-x"])
    assert (facts.start[0], facts.end[0]) == (np.inf, -np.inf)
    assert not facts.late[0] and not facts.early[0] and not facts.next[0] and not facts.inside[0]


def test_nobody_looks_elsewhere_for_what_does_not_match_any_more() -> None:
    """After address translation another host, with the same filter, cannot know the packet."""
    assert judge(BOTH, strange=True, followed=True) == (LEFT, NOWHERE, set())
    assert judge([], strange=True, followed=True, crossed=((A_TX, B_RX, 5),)) == (LEFT, NOWHERE, set())
    # where it was seen last it matched, and it should have come to the next host like the others
    assert judge(BOTH, followed=True) == (VANISHED, B_RX, set())


def test_what_is_followed_may_have_gone_on_as_a_copy() -> None:
    others = went((4, A_TX), (6, A_TX), place=A_RX)
    here = {"place": A_RX, "how": BY_OPEN, **NO_HOME}
    assert judge(others, **here) == (VANISHED, A_TX, set())
    assert judge(others, followed=True, **here) == (UNKNOWN, A_TX, {"COPIED"})
    crowded = {"hv-a": replace(TRUST, forgotten="hv-a had no room")}
    assert judge(others, followed=True, trusts=crowded, **here) == (UNKNOWN, A_TX, {"COPIED", "FORGOTTEN"})
    assert judge(others, trusts=crowded, **here) == (VANISHED, A_TX, set())
