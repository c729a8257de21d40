# SPDX-License-Identifier: Apache-2.0
"""What limits between pairs of clocks say together: around loops, and against promises."""
import numpy as np
import pytest

from fleetmerge.clock.closure import Promises, closed, judge, with_promises

LEVELS = np.array([0.0, 3e5, -2e5, 1e6, 4e5])   # ns that the clocks are ahead


def limits(pairs: dict[tuple[int, int], float], count: int = 5, times: int = 3) -> np.ndarray:
    """Return limits: true ones for each pair, loose by so many ns on both sides."""
    out = np.full((count, count, times), np.inf)
    out[np.arange(count), np.arange(count)] = 0.0
    for (one, two), loose in pairs.items():
        out[one, two] = LEVELS[two] - LEVELS[one] + loose
        out[two, one] = LEVELS[one] - LEVELS[two] + loose
    return out


def test_limits_add_up_over_all_ways() -> None:
    out, wrong = closed(limits({(0, 1): 10.0, (1, 2): 20.0, (2, 3): 30.0, (0, 3): 100.0}), np.ones((5, 5)))
    assert wrong == []
    assert out[0, 3] == pytest.approx(LEVELS[3] + 60.0)
    assert out[3, 0] == pytest.approx(-LEVELS[3] + 60.0)
    assert np.isinf(out[0, 4]).all()


@pytest.mark.parametrize("shift", [50e3, -50e3])
def test_the_pair_that_contradicts_all_loops_is_left_out(shift: float) -> None:
    pairs = {(one, two): 1e3 for one in range(5) for two in range(one + 1, 5)}
    ahead = limits(pairs)
    ahead[1, 3] += shift
    ahead[3, 1] -= shift
    evidence = np.ones((5, 5))
    evidence[1, 3] = evidence[3, 1] = 1000   # not for want of packets
    out, wrong = closed(ahead, evidence)
    assert wrong == [(1, 3)]
    assert out[1, 3] == pytest.approx(LEVELS[3] - LEVELS[1] + 2e3)


def test_in_one_loop_the_pair_with_the_fewest_packets_is_left_out() -> None:
    ahead = limits({(0, 1): 1e3, (1, 2): 1e3, (0, 2): 1e3})
    ahead[0, 2] -= 50e3
    ahead[2, 0] += 50e3
    evidence = np.full((5, 5), 100.0)
    evidence[1, 2] = evidence[2, 1] = 3
    assert closed(ahead, evidence)[1] == [(1, 2)]


def test_a_contradiction_at_one_time_is_enough() -> None:
    pairs = {(one, two): 1e3 for one in range(4) for two in range(one + 1, 4)}
    ahead = limits(pairs)
    ahead[0, 2, 1] -= 50e3
    assert closed(ahead, np.ones((5, 5)))[1] == [(0, 2)]


def test_what_clocks_are_misread_by_is_no_contradiction() -> None:
    ahead = limits({(0, 1): 0.0})
    ahead[0, 1] -= 300.0
    out, wrong = closed(ahead, np.ones((5, 5)))
    assert wrong == []
    assert (out[0, 1] + out[1, 0] >= -1e-6).all()


def promises(errors: dict[int, float], bound: float = 2e6) -> Promises:
    """Return promises of `bound`; errors: how far the clocks truly are from the true time (the axis is off by
    LEVELS)."""
    ahead, bounds = np.zeros((5, 3)), np.full((5, 3), np.inf)
    for row, error in errors.items():
        ahead[row], bounds[row] = LEVELS[row] + error, bound
    return Promises(ahead, bounds)


CHAIN = {(0, 1): 50e3, (1, 2): 50e3, (2, 3): 50e3}


def test_promises_that_hold_are_believed() -> None:
    ahead = closed(limits(CHAIN), np.ones((5, 5)))[0]
    given = promises({0: 1e6, 1: -1.5e6, 4: 0.5e6})
    believed, broken, against = judge(ahead, given)
    assert believed.tolist() == [True, True, False, False, True]
    assert not broken.any() and not against
    out = with_promises(ahead, given, believed)
    assert np.isfinite(out[3, 4]).all()   # only promises join them
    assert (out[0, 4] >= LEVELS[4] - LEVELS[0]).all() and (out[4, 0] >= LEVELS[0] - LEVELS[4]).all()
    assert (out <= ahead + 1e-6).all()


def test_the_promise_that_contradicts_several_that_agree_is_broken() -> None:
    ahead = closed(limits(CHAIN), np.ones((5, 5)))[0]
    believed, broken, against = judge(ahead, promises({0: 0.0, 1: 1e6, 2: 300e6, 3: -1e6}))
    assert believed.tolist() == [True, True, False, True, False]
    assert broken.tolist() == [False, False, True, False, False]
    assert against[2][0] > 290e6


def test_one_promise_against_one_is_not_decided() -> None:
    ahead = closed(limits({(0, 1): 50e3}), np.ones((5, 5)))[0]
    believed, broken, against = judge(ahead, promises({0: 0.0, 1: 300e6, 4: 0.0}))
    assert believed.tolist() == [False, False, False, False, True]
    assert not broken.any()
    assert against[0][1] == 1 and against[1][1] == 0


def test_two_that_a_third_contradicts_one_way_do_not_confirm_each_other() -> None:
    """Both are behind the first one, each by another error; between the two nothing is known."""
    ahead = limits({})
    for row in (1, 2):
        ahead[0, row] = LEVELS[row] - LEVELS[0] + 1e3
    believed, broken, _ = judge(ahead, promises({0: 0.0, 1: 300e6, 2: 500e6}))
    assert not believed.any() and not broken.any()
