# SPDX-License-Identifier: Apache-2.0
"""Monotonic time becomes wall time through the clock pairs."""
from typing import Any

import numpy as np
import pytest
from support.bundles import WALL, Bundle

from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.clock.host import HostClock, host_clock
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
