# SPDX-License-Identifier: Apache-2.0
"""The offset between two clocks, from packets both ways: within its bound in every case."""
import numpy as np
import pytest

from fleetmerge.clock.fit import Offset, chain, fit

SECOND = 1e9


def packets(random: np.random.Generator, offset, there: float, back: float, count: int = 500, duration: float = 10.0,
            jitter: float = 30e3) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return upper and lower limits on offset(time), from packets that took at least `there` and `back` ns."""
    one, two = (np.sort(random.uniform(0, duration * SECOND, count)) for _ in range(2))
    took = [least + random.exponential(jitter, count) for least in (there, back)]
    return (one, offset(one) + took[0]), (two, offset(two) - took[1])


@pytest.mark.parametrize("drift", [0.0, 200e-6, -200e-6, 15e-6])
@pytest.mark.parametrize("skew", [0.0, 5.0, -5.0, 0.0003])
def test_recovers_offset_and_drift(skew: float, drift: float) -> None:
    def true(time: np.ndarray) -> np.ndarray:
        return skew * SECOND + drift * time
    found = fit(*packets(np.random.default_rng(1), true, 40e3, 40e3))
    assert found is not None
    times = np.linspace(0.1, 9.9, 50) * SECOND
    assert np.abs(found.at(times) - true(times)).max() <= found.bound
    assert found.bound <= 60e3


@pytest.mark.parametrize(("there", "back"), [(10e3, 90e3), (500e3, 1e3), (0.0, 0.0)])
def test_ways_that_differ_are_within_the_bound(there: float, back: float) -> None:
    found = fit(*packets(np.random.default_rng(2), lambda time: 1e6 + 5e-5 * time, there, back))
    assert found is not None
    times = np.linspace(0.1, 9.9, 50) * SECOND
    assert np.abs(found.at(times) - (1e6 + 5e-5 * times)).max() <= found.bound
    assert found.bound <= (there + back) / 2 + 30e3


def test_no_packet_arrives_before_it_was_sent() -> None:
    upper, lower = packets(np.random.default_rng(3), lambda time: 1e6 + 1e-4 * time, 1e3, 80e3)
    found = fit(upper, lower)
    assert found is not None
    assert (upper[1] - found.at(upper[0])).min() >= -1
    assert (found.at(lower[0]) - lower[1]).min() >= -1


def test_a_rate_that_changes_is_followed_in_pieces() -> None:
    def true(time: np.ndarray) -> np.ndarray:
        return np.where(time < 5 * SECOND, 2e-4 * time, 1e6 - 2e-4 * (time - 5 * SECOND))
    found = fit(*packets(np.random.default_rng(4), true, 30e3, 30e3, count=2000))
    assert found is not None
    times = np.linspace(0.1, 9.9, 99) * SECOND
    assert np.abs(found.at(times) - true(times)).max() <= found.bound
    assert found.bound <= 200e3


def test_points_that_contradict_each_other_give_nothing() -> None:
    random = np.random.default_rng(5)
    times = np.sort(random.uniform(0, 10 * SECOND, 50))
    assert fit((times, random.uniform(-1e9, 1e9, 50)), (times, random.uniform(-1e9, 1e9, 50))) is None


def test_one_packet_each_way() -> None:
    found = fit((np.array([1e9]), np.array([150e3])), (np.array([1.001e9]), np.array([50e3])))
    assert found is not None
    assert found.at(np.array([1e9]))[0] == pytest.approx(100e3, abs=600)
    assert 49e3 <= found.bound <= 52e3


def test_chains_and_turns() -> None:
    """The third clock against the first, over the second; clocks far apart, and drifting."""
    times = np.array([0.0, 10.0]) * SECOND
    one = Offset(times, np.array([5.0, 5.002]) * SECOND, 10.0)
    two = Offset(times + 5 * SECOND, np.array([-3.0, -3.001]) * SECOND, 20.0)
    both = chain(one, two)
    assert both.bound == 30.0
    middle = 4 * SECOND
    second = middle + one.at(np.array([middle]))[0]
    third = second + two.at(np.array([second]))[0]
    assert middle + both.at(np.array([middle]))[0] == pytest.approx(third, abs=1)
    assert both.first_time(np.array([third]))[0] == pytest.approx(middle, abs=1)
