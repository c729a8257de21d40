# SPDX-License-Identifier: Apache-2.0
"""What was seen of the same kind before a moment, and after it."""
from pathlib import Path

import numpy as np
import pytest

from fleetmerge.clock.host import HostClock
from fleetmerge.journey.chains import HOME, Chained
from fleetmerge.journey.evidence import NOWHERE, Homes, around, homes_of, onward_of
from fleetmerge.packet.identity import FLOW, mix

KEYS = np.array([3, 3, 3, 7], "u8")
TIMES = np.array([100, 200, 300, 250], "i8") + 10**18
VALUES = np.array([1, 2, 3, 4], "i4")


@pytest.mark.parametrize(("key", "time", "wanted"), [
    (3, 150, (1, 2)), (3, 250, (2, 3)), (3, 99, (NOWHERE, 1)), (3, 301, (3, NOWHERE)), (3, 200, (2, 3)),
    (7, 250, (4, NOWHERE)), (7, 249, (NOWHERE, 4)), (7, 251, (4, NOWHERE)), (5, 150, (NOWHERE, NOWHERE)),
    (1, 150, (NOWHERE, NOWHERE)), (9, 400, (NOWHERE, NOWHERE))])
def test_around_a_moment(key: int, time: int, wanted: tuple[int, int]) -> None:
    moments = np.array([time], "i8") + 10**18
    assert tuple(int(found[0]) for found in around(KEYS, TIMES, VALUES, np.array([key], "u8"), moments)) == wanted


@pytest.mark.parametrize("some", [(0, 1, 2, 3, 4, 5), (1, 4), (0, 3, 5)])
def test_around_many_moments(some: tuple[int, ...]) -> None:
    """As it is for each by itself."""
    random = np.random.default_rng(3)
    keys, times = random.integers(0, 5, 300).astype("u8"), random.integers(0, 1000, 300)
    order = np.lexsort((times, keys))
    keys, times, values = keys[order], times[order], np.arange(300, dtype="i4")
    asked, when = random.choice(some, 200).astype("u8"), random.integers(-10, 1010, 200)
    before, after = around(keys, times, values, asked, when)
    for key, time, one, two in zip(asked, when, before, after, strict=True):
        earlier, later = (values[(keys == key) & found] for found in (times <= time, times > time))
        assert one == (earlier[-1] if len(earlier) else NOWHERE)
        assert two == (later[0] if len(later) else NOWHERE)


def test_around_nothing() -> None:
    none = np.zeros(0, "i8")
    assert [len(found) for found in around(KEYS, TIMES, VALUES, none.astype("u8"), none)] == [0, 0]
    found = around(none.astype("u8"), none, none, KEYS, TIMES)
    assert [one.tolist() for one in found] == [[NOWHERE] * 4] * 2


def test_homes() -> None:
    homes = Homes(KEYS, TIMES, VALUES)
    before, after = homes.at(np.array([3], "u8"), TIMES[:1] + 1)
    assert (before[0], after[0]) == (1, 2)


def test_homes_are_as_if_all_that_was_sent_were_kept(tmp_path: Path) -> None:
    """Whether an address moved or not, and from which flows and hosts it is known."""
    random = np.random.default_rng(4)
    flows = np.zeros(6, FLOW)
    flows["flow"], flows["from"] = np.arange(6), (10, 10, 11, 12, 13, 13)
    machines, all_of_it = [], []
    for number in range(2):
        sent = np.zeros(400, HOME)
        sent["flow"], sent["time"] = random.integers(0, 6, 400), np.sort(random.integers(0, 1000, 400))
        moves = np.isin(sent["flow"], (0, 2, 5))    # the others stay: address 12 at one device of each host
        sent["device"] = 10 * number + np.where(moves, random.integers(0, 3, 400), 5)
        if number:
            sent = sent[sent["flow"] != 3]
        sent.tofile(tmp_path / str(number))
        none = np.zeros(0)
        machines.append(Chained("", 0, 0, none, str(tmp_path / str(number)), none, none, none))
        sent["time"] += 7 * number
        all_of_it.append(sent)
    kept = homes_of(machines, [HostClock(np.array([0]), np.array([late]), None, "") for late in (0, 7)], flows)
    sent = np.concatenate(all_of_it)
    address = flows["from"][sent["flow"].astype(int)]
    order = np.lexsort((sent["time"], address))
    everything = Homes(address[order], sent["time"][order], sent["device"][order])
    asked = np.repeat(np.array([10, 11, 12, 13, 14], "u8"), 1020)
    when = np.tile(np.arange(-5, 1015), 5)
    for one, two in zip(kept.at(asked, when), everything.at(asked, when), strict=True):
        assert (one == two).all()
    assert (kept.address == 12).sum() == 2 < (everything.address == 12).sum()
    assert len(homes_of([], [], flows[:0]).time) == 0


def test_where_packets_went_on_to() -> None:
    stream, place = np.array([5, 5], "u8"), np.array([2, 2], "u8")
    onward = onward_of([(mix(stream, place), np.array([30, 10], "i8"), np.array([8, 9], "i4")),
                        (mix(stream[:1], place[:1]), np.array([20], "i8"), np.array([7], "i4"))])
    before, after = onward.at(stream, place.astype("i4"), np.array([15, 25], "i8"))
    assert (before.tolist(), after.tolist()) == ([9, 7], [7, 8])
    assert onward_of([]).at(stream, place.astype("i4"), np.array([15, 25], "i8"))[0].tolist() == [NOWHERE, NOWHERE]
