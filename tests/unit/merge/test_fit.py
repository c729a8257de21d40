# SPDX-License-Identifier: Apache-2.0
"""How far one clock can be ahead of another: the limits hold in every case, and are no looser than they must be."""
from collections.abc import Callable

import numpy as np
import pytest

from fleetmerge.clock.fit import STEEPEST, WANDER, Points, agreeing, fit_line, limit, pace_of

SECOND = 1e9
GRID = np.linspace(0, 10 * SECOND, 501)
Offset = Callable[[np.ndarray], np.ndarray]


def packets(offset: Offset, there: float = 40e3, back: float = 40e3, count: int = 500, start: float = 0.0,
            end: float = 10.0, seed: int = 1, jitter: float = 30e3) -> tuple[Points, Points]:
    """Return upper limits of how far the second clock is ahead, and behind, from packets that took at least `there`
    and `back` ns."""
    random = np.random.default_rng(seed)
    one, two = (np.sort(random.uniform(start, end, count)) * SECOND for _ in range(2))
    took = [least + random.exponential(jitter, count) for least in (there, back)]
    return (one, offset(one) + took[0]), (two, took[1] - offset(two))


def limits(there: Points, back: Points, kept: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most that the second clock can be ahead, over the grid."""
    pace = pace_of(there, back, kept)
    return -limit(back, GRID, pace.turned()), limit(there, GRID, pace)


def steady(skew: float, drift: float) -> Offset:
    return lambda time: skew * SECOND + drift * np.asarray(time)


@pytest.mark.parametrize("drift", [0.0, 200e-6, -200e-6, 15e-6])
@pytest.mark.parametrize("skew", [0.0, 5.0, -5.0, 0.0003])
def test_offset_and_drift_are_found(skew: float, drift: float) -> None:
    true = steady(skew, drift)
    low, high = limits(*packets(true))
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()
    assert (high - low).max() <= 2 * 60e3


@pytest.mark.parametrize(("there", "back"), [(10e3, 90e3), (500e3, 1e3), (0.0, 0.0)])
def test_ways_that_differ_are_within_the_limits(there: float, back: float) -> None:
    true = steady(0.001, 5e-5)
    low, high = limits(*packets(true, there, back))
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()
    assert (high - low).max() <= there + back + 60e3


@pytest.mark.parametrize("after", [0.0, 400e-6, -400e-6])
def test_a_rate_that_changes_after_the_last_packet_is_allowed_for(after: float) -> None:
    """A daemon slews the clock when no packets show it any more."""
    def true(time: np.ndarray) -> np.ndarray:
        return 1e-4 * time + np.maximum(time - 4.5 * SECOND, 0) * after
    there, back = packets(true, end=4.0)
    low, high = limits(there, back)
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()
    shown = GRID < 4 * SECOND
    assert (high - low)[shown].max() <= 2 * 60e3


def test_a_clock_that_nobody_slews_keeps_its_rate() -> None:
    true = steady(0.2, 1e-4)
    there, back = packets(true, end=4.0)
    kept, free = limits(there, back), limits(there, back, kept=False)
    assert (free[0] <= true(GRID)).all() and (true(GRID) <= free[1]).all()
    assert (free[1] - free[0]).max() <= 2e6 < 10e6 <= (kept[1] - kept[0]).max()
    assert (free[1] - free[0])[-1] >= 2 * WANDER * 5.5 * SECOND


def test_a_slope_that_few_packets_show_is_not_followed() -> None:
    """Two packets each way within a millisecond say nothing of the rate."""
    true = steady(0.0, 200e-6)
    times = np.array([5.0, 5.001]) * SECOND
    low, high = limits((times, true(times) + [50e3, 51e3]), (times, [50e3, 52e3] - true(times)), kept=False)
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()
    assert (high - low)[250] <= 200e3


def test_a_rate_that_changes_between_packets_is_followed() -> None:
    def true(time: np.ndarray) -> np.ndarray:
        return np.where(time < 5 * SECOND, 2e-4 * time, 2e6 - 2e-4 * time)
    low, high = limits(*packets(true, count=2000))
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()
    assert (high - low).max() <= 200e3


def test_one_way_is_a_limit_on_one_side() -> None:
    true = steady(0.3, 8e-5)
    there, _ = packets(true)
    nothing = np.zeros(0), np.zeros(0)
    low, high = limits(there, nothing)
    assert (low == -np.inf).all()
    assert (true(GRID) <= high).all()


def test_one_packet_each_way() -> None:
    pace = pace_of((np.array([1e9]), np.array([150e3])), (np.array([1.001e9]), np.array([-50e3])))
    high = limit((np.array([1e9]), np.array([150e3])), np.array([0.0, 1e9, 2e9]), pace)
    bulge = STEEPEST * 1e9 / 2   # between the times of so coarse a grid
    assert (high - bulge).tolist() == pytest.approx([150e3 + 1e6, 150e3, 150e3 + 1e6])


def test_a_line_keeps_all_limits() -> None:
    there, back = packets(steady(0.001, 1e-4), 1e3, 80e3, seed=3)
    line = fit_line(there, (back[0], -back[1]))
    assert line.fits and line.least <= 1e-4 <= line.most
    assert (there[1] - line.level - line.slope * there[0]).min() >= line.margin - 1
    assert (line.level + line.slope * back[0] + back[1]).min() >= line.margin - 1


@pytest.mark.parametrize("early", [200e6, 3e6])
def test_a_packet_that_was_taken_for_another_is_left_out(early: float) -> None:
    """One of 500 arrives, so it seems, before it was sent."""
    true = steady(0.001, 1e-4)
    there, back = packets(true)
    there[1][123] -= early
    agreed = agreeing(there, back)
    assert agreed is not None and len(agreed[0][0]) == 499 and len(agreed[1][0]) == 500
    low, high = limits(*agreed)
    assert (low <= true(GRID)).all() and (true(GRID) <= high).all()


def test_where_many_contradict_each_other_nothing_is_said() -> None:
    random = np.random.default_rng(5)
    times = np.sort(random.uniform(0, 10 * SECOND, 50))
    assert agreeing((times, random.uniform(-1e9, 1e9, 50)), (times, random.uniform(-1e9, 1e9, 50))) is None


def test_one_against_one_is_not_decided() -> None:
    one = (np.array([1e9]), np.array([-5e6])), (np.array([1e9]), np.array([1e6]))
    assert agreeing(*one) is None
