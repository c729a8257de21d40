# SPDX-License-Identifier: Apache-2.0
"""What was seen of the same kind before a moment, and after it."""
import numpy as np
import pytest

from fleetmerge.journey.evidence import NOWHERE, Homes, around, onward_of
from fleetmerge.packet.identity import mix

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


def test_where_packets_went_on_to() -> None:
    stream, place = np.array([5, 5], "u8"), np.array([2, 2], "u8")
    onward = onward_of([(mix(stream, place), np.array([30, 10], "i8"), np.array([8, 9], "i4")),
                        (mix(stream[:1], place[:1]), np.array([20], "i8"), np.array([7], "i4"))])
    before, after = onward.at(stream, place.astype("i4"), np.array([15, 25], "i8"))
    assert (before.tolist(), after.tolist()) == ([9, 7], [7, 8])
    assert onward_of([]).at(stream, place.astype("i4"), np.array([15, 25], "i8"))[0].tolist() == [NOWHERE, NOWHERE]
