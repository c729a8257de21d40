# SPDX-License-Identifier: Apache-2.0
"""Monotonic time becomes wall time through the clock pairs."""
from typing import Any

import numpy as np
import pytest
from support.bundles import WALL, Bundle

from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.clock.host import Apart, HostClock, host_clock
from fleetmerge.errors import BundleError


def clock_of(bundle: Bundle, path: Any) -> HostClock:
    return host_clock([open_bundle(bundle.write(path))])


def wall(clock: HostClock, monotonic: int) -> int:
    return int(clock.to_wall(np.array([monotonic], "u8"))[0])


def test_exact_at_and_between_pairs(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    clock = clock_of(bundle, tmp_path)
    for second in (-1, 0, 0.123456789, 5, 10, 3600):
        assert wall(clock, bundle.monotonic(second)) == bundle.realtime(second)


def test_rate_between_pairs_is_followed(tmp_path: Any) -> None:
    """The daemon slews the wall clock by 100 ppm: between two pairs the line is straight."""
    bundle = Bundle("hv-a", duration=100)
    pairs = bundle.manifest["clock"]["pairs"]
    pairs[2]["realtime_ns"] += 10_000_000
    clock = clock_of(bundle, tmp_path)
    assert wall(clock, bundle.monotonic(50)) - bundle.realtime(50) == pytest.approx(5_000_000, abs=2)
    assert clock.stepped_us == 0


def test_reading_errors_make_no_rate(tmp_path: Any) -> None:
    """Two pairs 1 ms apart that disagree by 5 us must not become a rate of 5000 ppm."""
    bundle = Bundle("hv-a")
    bundle.manifest["clock"]["pairs"] = [bundle.pair("arm", -0.001), bundle.pair("start", 0)]
    bundle.manifest["clock"]["pairs"][1]["realtime_ns"] += 5000
    clock = clock_of(bundle, tmp_path)
    assert abs(wall(clock, bundle.monotonic(10)) - bundle.realtime(10)) <= 5000


@pytest.mark.parametrize("step", [-2.5, 0.75])
def test_a_step_is_seen_and_does_no_harm(tmp_path: Any, step: float) -> None:
    bundle = Bundle("hv-a")
    bundle.manifest["clock"]["pairs"][2]["realtime_ns"] += int(step * 1e9)
    clock = clock_of(bundle, tmp_path)
    times = np.arange(bundle.monotonic(0), bundle.monotonic(10), 1_000_000)
    assert (np.diff(clock.to_wall(times)) == 1_000_000).all()
    assert clock.stepped_us == pytest.approx(step * 1e6, abs=1)
    assert wall(clock, bundle.monotonic(0)) == WALL


def test_a_step_between_two_pairs_of_one_second_is_seen(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    bundle.manifest["clock"]["pairs"] = [bundle.pair("arm", -0.1), bundle.pair("start", 0), bundle.pair("end", 0.5)]
    bundle.manifest["clock"]["pairs"][2]["realtime_ns"] += 7_200_000_000_000
    clock = clock_of(bundle, tmp_path)
    assert clock.stepped_us == pytest.approx(7.2e9, abs=1)
    assert wall(clock, bundle.monotonic(0.5)) == bundle.realtime(0.5)


def test_bound_comes_from_the_daemon(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    assert clock_of(bundle, tmp_path / "unknown").bound_us is None
    bundle.manifest["clock"].update(synchronised=True, max_error_us=1500)
    assert clock_of(bundle, tmp_path / "known").bound_us == pytest.approx(1500.2)
    bundle.manifest["clock"]["synchronised"] = False
    assert clock_of(bundle, tmp_path / "loose").bound_us is None


def test_no_clock_at_all(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    bundle.manifest["clock"]["pairs"] = []
    bundle.manifest["window"] = {}
    with pytest.raises(BundleError, match="no clock pair"):
        clock_of(bundle, tmp_path)


def test_a_daemon_may_slew_the_clock(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    assert not clock_of(bundle, tmp_path / "free").kept
    bundle.manifest["clock"]["daemon"] = "ntpd"
    assert clock_of(bundle, tmp_path / "daemon").kept
    bundle.manifest["clock"].update(daemon="", synchronised=True, max_error_us=10)
    assert clock_of(bundle, tmp_path / "synchronised").kept


def aligned(number: int, apart: Apart | None) -> HostClock:
    return HostClock(np.array([0]), np.array([0]), None, "", number=number, apart=apart)


def test_bound_between_two_hosts() -> None:
    wall = np.array([0, 10, 20, 30, 40])
    one = aligned(0, Apart(wall, np.array([[0.0] * 5, [50.0, 9.0, 5.0, 7.0, np.inf]]), slice(0, 4)))
    two = aligned(1, Apart(wall, np.array([[50.0, 9.0, 5.0, 7.0, np.inf], [0.0] * 5]), slice(1, 5)))
    assert one.bound_to(two) == two.bound_to(one) == 9.0         # in the windows of both
    assert one.bound_to(two, 20, 30) == 7.0
    assert one.bound_to(two, 12, 18) == 9.0                      # the times around it
    assert one.bound_to(two, 20, 20) == 5.0
    assert one.bound_to(two, start=25) == 7.0
    assert one.bound_to(two, end=5) == 9.0
    assert one.bound_to(two, -5, 5) == 50.0
    assert one.bound_to(two, 25, 35) is None
    assert one.bound_to(two, 90, 99) is None
    assert one.bound_to(one) == 0.0


def test_bound_to_a_host_that_was_not_aligned() -> None:
    one, two = aligned(0, None), aligned(0, None)
    assert one.bound_to(two) is None
    assert one.bound_to(one) == 0.0
