# SPDX-License-Identifier: Apache-2.0
"""One clock: each host's monotonic time becomes wall time through the clock pairs in its manifests.

A host's clock is a broken line through knots (monotonic, wall). Both of a host's tracers share it.
"""
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bundle.manifest import Bundle
from ..errors import BundleError

_SLEW = 600e-6      # a clock daemon slews by at most 500 ppm; more than this between two pairs is a step
_STEP_FLOOR = 1e6   # ns: what reading the two clocks may be apart without being a step


@dataclass
class HostClock:
    """How a host's monotonic time maps to wall time."""

    monotonic: np.ndarray        # s8 knots, ascending
    wall: np.ndarray             # s8
    bound_us: float | None       # how far the wall time may be off; None: nobody knows
    method: str
    stepped_us: float = 0.0      # the wall clock was stepped by this much between two pairs
    offset_us: float = 0.0       # added to the host's own wall clock, to agree with the other hosts
    drift_ppm: float = 0.0       # by how much it is then made to run faster
    reference: bool = False      # the other hosts were aligned to this one

    def to_wall(self, monotonic: np.ndarray) -> np.ndarray:
        """Convert monotonic ns (any integer array) to wall ns (s8). Beyond the knots time runs at the nominal rate."""
        time = monotonic.astype("i8")
        if len(self.monotonic) == 1:
            return time + (self.wall[0] - self.monotonic[0])
        piece = np.clip(np.searchsorted(self.monotonic, time, "right") - 1, 0, len(self.monotonic) - 1)
        since = time - self.monotonic[piece]
        spans = np.diff(self.monotonic)
        rates = np.append((np.diff(self.wall) - spans) / spans, 0.0)
        rate = np.where(since < 0, 0.0, rates[piece])
        return self.wall[piece] + since + (since * rate).astype("i8")


def host_clock(bundles: Iterable[Bundle]) -> HostClock:
    """Return the clock of one host from all its bundles (of one boot); BundleError if it has none."""
    pairs = sorted((int(pair["monotonic_ns"]), int(pair["realtime_ns"]), int(pair.get("error_ns") or 0))
                    for bundle in bundles for pair in _pairs(bundle))
    if not pairs:
        raise BundleError("its manifest has no clock pair, so its records have no wall time")
    knots: list[tuple[int, int, int]] = []
    step = 0
    for monotonic, wall, error in pairs:
        if knots and monotonic - knots[-1][0] < 1_000_000_000:
            # two readings close together would make a steep rate from their reading errors: keep the better one
            if error < knots[-1][2] and len(knots) > 1:
                knots[-1] = (monotonic, wall, error)
            continue
        if knots:
            span = monotonic - knots[-1][0]
            gap = (wall - knots[-1][1]) - span
            if abs(gap) > _STEP_FLOOR + span * _SLEW + error + knots[-1][2]:
                step = gap
                continue  # where in between it was stepped nobody knows: time runs on from before
        knots.append((monotonic, wall, error))
    return HostClock(np.array([knot[0] for knot in knots], "i8"), np.array([knot[1] for knot in knots], "i8"),
                     _bound_us(bundles, knots), "wall clock", step / 1000)


def _pairs(bundle: Bundle) -> list[dict[str, Any]]:
    pairs = bundle.manifest["clock"]["pairs"]
    window = bundle.manifest["window"]
    if not pairs and window.get("start_ns") and window.get("start_realtime_ns"):
        return [{"monotonic_ns": window["start_ns"], "realtime_ns": window["start_realtime_ns"]}]
    return list(pairs)


def _bound_us(bundles: Iterable[Bundle], knots: list[tuple[int, int, int]]) -> float | None:
    """A clock that a daemon keeps is as good as the daemon says; one that nobody keeps has no bound."""
    daemon = []
    for bundle in bundles:
        clock = bundle.manifest["clock"]
        if not clock.get("synchronised") or not isinstance(clock.get("max_error_us"), (int, float)):
            return None
        daemon.append(float(clock["max_error_us"]))
    return max(daemon) + max(knot[2] for knot in knots) / 1000 if daemon else None
