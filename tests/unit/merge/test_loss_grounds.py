# SPDX-License-Identifier: Apache-2.0
"""What a loss says of its grounds."""
from typing import Any

import pytest
from support.sights import place

from fleetmerge.findings.losses import _grounds, _holes, _merge, _missing, note_holes
from fleetmerge.journey import branches, grounds
from fleetmerge.journey.bursts import join_bursts
from fleetmerge.journey.found import OF_BRANCH, OF_COPY, OF_PACKET, OF_RECEIVER, Findings
from fleetmerge.journey.grounds import Trust

A_TX, B_RX, B_TX, ASKED = (place(words) for words in (
    "hv-a eth0 dev.tx", "hv-b eth0 dev.rx", "hv-b vnet0 dev.tx", "hv-b eth0 ovs.upcall"))
FREED = "the kernel freed the packet as a drop"
ONLY = branches.GROUNDS[branches.ONLY]
SEEN = "packets of the same flow before and after it, or its receiver's own, were seen there"


def kind(whose: int = OF_PACKET, ground: int = branches.ONLY) -> dict[str, int]:
    return {"kind": whose, "ground": ground}


def test_drops() -> None:
    def words(*of: int) -> list[str]:
        return _grounds(True, kind(*of), 0, B_TX, B_TX)
    assert words() == [FREED, ONLY]
    assert words(OF_PACKET, branches.HOME) == [FREED, "the destination's VM is there"]
    assert words(OF_BRANCH, branches.UNDECIDED) == [FREED]
    assert words(OF_COPY) == [FREED]
    assert words(OF_RECEIVER) == [FREED, "the packet was for many receivers, and this one did not get it"]


@pytest.mark.parametrize(("here", "after", "complete", "incomplete"), [
    (A_TX, B_RX, "hv-b, which was recording and lost no record, never saw what hv-a had sent",
     "hv-b never saw what hv-a had sent"),
    (B_RX, B_TX, "no record behind it, and no drop, though hv-b lost no record", "no record behind it, and no drop"),
    (ASKED, ASKED, "Open vSwitch had no flow for it in the kernel and gave it to its daemon, which sent nothing on, "
     "though hv-b lost no record",
     "Open vSwitch had no flow for it in the kernel and gave it to its daemon, which sent nothing on")])
def test_vanished(here: Any, after: Any, complete: str, incomplete: str) -> None:
    def words(gaps: int) -> list[str]:
        return _grounds(False, kind(), gaps, here, after)
    rest = [] if here == after else [SEEN, ONLY]
    assert words(0) == [complete, *rest]
    assert words(grounds.ALIKE.bit) == [complete, *rest]
    for gap in (grounds.LOSSY_HERE, grounds.LOSSY_NEXT, grounds.EARLY, grounds.LATE, grounds.CLOCKS, grounds.FILTERED,
                grounds.BLIND):
        assert words(gap.bit) == [incomplete, *rest]


@pytest.mark.parametrize(("gap", "words"), [
    (grounds.TOLD, []), (grounds.RESIDENT, []), (grounds.MOVED, [SEEN]),
    (grounds.NOT_BEFORE, ["packets of the same flow after it were seen there"]),
    (grounds.NOT_AFTER, ["packets of the same flow before it were seen there"])])
def test_what_was_seen_there(gap: grounds.Gap, words: list[str]) -> None:
    assert _grounds(False, kind(), gap.bit, A_TX, B_RX)[1:] == [*words, ONLY]


TRUSTS = {"hv-a": Trust(0, 1, 0, lossy="a lost 1 record", blind="a's point"),
          "hv-b": Trust(0, 1, 0, lossy="b lost 2 records", filtered="host b", blind="b's point")}


def test_words_for_what_is_missing() -> None:
    def words(*gaps: grounds.Gap, here: Any = A_TX, after: Any = B_RX, trusts: Any = TRUSTS) -> list[str]:
        return _missing(sum(gap.bit for gap in gaps), here, after, trusts)
    assert words() == []
    assert words(grounds.LOSSY_NEXT, grounds.LOSSY_HERE) == ["a lost 1 record", "b lost 2 records"]
    assert words(grounds.FILTERED) == ["hv-b did not look for all packets that hv-a recorded: host b"]
    assert words(grounds.BLIND) == ["a tracer did not look at a's point, b's point"]
    assert words(grounds.BLIND, here=B_RX, after=B_TX) == ["a tracer did not look at b's point"]
    assert words(grounds.EARLY) == ["hv-b stopped recording before"]
    assert words(grounds.LOSSY_HERE, grounds.LOSSY_NEXT, grounds.BLIND, trusts={}) == [
        "", "", "a tracer did not look at "]


def test_hosts_that_turned_out_to_be_lossy() -> None:
    lossy = Trust(0, 1, 0, lossy="x")
    assert _holes(A_TX, B_RX, {"hv-a": lossy}) == grounds.LOSSY_HERE.bit
    assert _holes(A_TX, B_RX, {"hv-b": lossy}) == grounds.LOSSY_NEXT.bit
    assert _holes(A_TX, B_RX, TRUSTS) == grounds.LOSSY_HERE.bit | grounds.LOSSY_NEXT.bit
    assert _holes(B_RX, B_TX, {"hv-b": lossy}) == grounds.LOSSY_HERE.bit
    assert _holes(A_TX, B_RX, {"hv-a": Trust(0, 1, 0), "hv-b": Trust(0, 1, 0)}) == 0


def test_hosts_between_two_others() -> None:
    trusts = {"hv-a": Trust(0, 1, 0, lossy="x"), "hv-b": Trust(0, 1, 0), "hv-c": Trust(0, 1, 0, late=True),
              "hv-d": Trust(0, 1, 0)}
    (words,) = _missing(grounds.BETWEEN.bit, A_TX, B_RX, trusts)
    assert words.endswith("between hv-a and hv-b that did not record everything: hv-c recorded only in part")


@pytest.mark.parametrize(("fact", "noted"), [
    ({}, True), ({"lossy": "x"}, False), ({"filtered": "x"}, False), ({"blind": "x"}, False)])
def test_holes_are_noted_where_nothing_explains_them(fact: dict[str, str], noted: bool) -> None:
    trusts = {"hv-b": Trust(0, 1, 0, **fact)}
    before = trusts["hv-b"].lossy
    note_holes(Findings(holes={0: 9, 1: 3}), ["hv-a", "hv-b"], trusts)
    wanted = "hv-b did not record 3 packets that it must have seen"
    assert trusts["hv-b"].lossy == (wanted if noted else before)


def entry(packets: int, stack: str, *, first: int = 5, last: int = 6, host: str = "hv-b") -> dict[str, Any]:
    return {"kind": "drop", "host": host, "packets": packets, "wire_packets": 2 * packets, "bytes": 100 * packets,
            "stack": stack, "at": "at " + stack, "last_seen": {}, "first_ns": first, "last_ns": last,
            "journeys": ["%016x" % (packets + number) for number in range(2)], "bursts": [(first, last, packets)],
            "squares": packets, "largest": packets}


def test_losses_that_differ_in_the_stack_only_are_one() -> None:
    out: dict[Any, Any] = {}
    for one in (entry(3, "x", first=7, last=8), entry(5, "y", first=4, last=6), entry(2, "z", first=9, last=9),
                entry(5, "w", host="hv-a"), entry(5, "v")):
        _merge(out, one, 60)
    first, other = out.values()
    assert [first[name] for name in ("packets", "wire_packets", "bytes", "first_ns", "last_ns", "stack", "at")] == [
        15, 30, 1500, 4, 9, "y", "at y"]
    assert first["bursts"] == join_bursts([(7, 8, 3), (4, 6, 5), (9, 9, 2), (5, 6, 5)])
    assert first["journeys"] == ["%016x" % number for number in (2, 3, 3)]
    assert (first["squares"], first["largest"]) == (15, 5)
    assert (other["stack"], other["packets"]) == ("w", 5)
    assert (first["share"], other["share"]) == (50.0, pytest.approx(16.7, abs=0.05))
