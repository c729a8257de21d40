# SPDX-License-Identifier: Apache-2.0
"""One clock: each host's monotonic time becomes wall time through the clock pairs in its manifests.

A host's clock is a broken line through knots (monotonic, wall). Both of a host's tracers share it.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bundle.manifest import Bundle
from ..errors import BundleError

DISCIPLINED = 15e-6   # rate at which a clock that a daemon keeps may leave its promise (RFC 5905: PHI)
_SLEW = 600e-6      # a clock daemon slews by at most 500 ppm; more than this between two pairs is a step
_STEP_FLOOR = 1e6   # ns: what reading the two clocks may be apart without being a step


@dataclass
class Apart:
    """How far one host's wall time, as it is said, may be from that of each other host, over time."""

    wall: np.ndarray   # s8 ns, ascending
    us: np.ndarray     # f8 (host, time); inf: nobody knows
    own: slice         # the times of the host's own window


@dataclass
class HostClock:
    """How a host's monotonic time maps to wall time.

    A bound is true or None: over all of the host's window its wall time is not further off than that, against the
    reference. For a step between two hosts bound_to() is the better one: it is never above the sum of both bounds.
    """

    monotonic: np.ndarray        # s8 knots, ascending
    wall: np.ndarray             # s8
    bound_us: float | None       # how far the wall time may be off; None: nobody knows
    method: str
    stepped_us: float = 0.0      # the wall clock was stepped by this much between two pairs
    offset_us: float = 0.0       # added to the host's own wall clock, to agree with the other hosts
    drift_ppm: float = 0.0       # by how much it is then made to run faster
    reference: bool = False      # the other hosts were aligned to this one
    doubt: str = ""              # a sentence: what the packets show to be wrong with this clock, or with its promise
    kept: bool = False           # a daemon keeps the clock: it may change its rate
    number: int = 0              # of its machine, among those that were aligned
    apart: Apart | None = None   # from each machine, by number; None: it was not aligned with any

    def bound_to(self, other: "HostClock", start: int | None = None, end: int | None = None) -> float | None:
        """Return how far, in us, a time between an event here and one at the other host may be wrong; None: nobody
        knows. start, end: wall ns between which the events lie; without them, the window of both. 0 on one machine."""
        if self.apart is None or other.apart is None:
            return 0.0 if self is other else None
        if self.number == other.number:
            return 0.0
        row, wall = self.apart.us[other.number], self.apart.wall
        low, high = max(self.apart.own.start, other.apart.own.start), min(self.apart.own.stop, other.apart.own.stop)
        if start is not None:
            low = min(max(0, int(np.searchsorted(wall, start, "right")) - 1), len(wall) - 1)
        if end is not None:
            high = int(np.searchsorted(wall, end, "left")) + 1
        worst = float(row[low:max(high, low + 1)].max())
        return worst if np.isfinite(worst) else None

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


def host_clock(bundles: Sequence[Bundle]) -> HostClock:
    """Return the clock of one host from all its bundles (of one boot); BundleError if it has none."""
    pairs = sorted((int(pair["monotonic_ns"]), int(pair["realtime_ns"]), int(pair.get("error_ns") or 0))
                    for bundle in bundles for pair in _pairs(bundle))
    if not pairs:
        raise BundleError("its manifest has no clock pair, so its records have no wall time")
    knots: list[tuple[int, int, int]] = []
    step = 0
    for monotonic, wall, error in pairs:
        if knots:
            span = monotonic - knots[-1][0]
            gap = (wall - knots[-1][1]) - span
            if abs(gap) > _STEP_FLOOR + span * _SLEW + error + knots[-1][2]:
                step = gap
                continue  # where in between it was stepped nobody knows: time runs on from before
            if span < 1_000_000_000:
                # two readings close together would make a steep rate from their reading errors: keep the better one
                if error < knots[-1][2] and len(knots) > 1:
                    knots[-1] = (monotonic, wall, error)
                continue
        knots.append((monotonic, wall, error))
    return HostClock(np.array([knot[0] for knot in knots], "i8"), np.array([knot[1] for knot in knots], "i8"),
                     _bound_us(bundles, knots), "wall clock", step / 1000, kept=_kept(bundles))


def _pairs(bundle: Bundle) -> list[dict[str, Any]]:
    pairs = bundle.manifest["clock"]["pairs"]
    window = bundle.manifest["window"]
    if not pairs and window.get("start_ns") and window.get("start_realtime_ns"):
        return [{"monotonic_ns": window["start_ns"], "realtime_ns": window["start_realtime_ns"]}]
    return list(pairs)


def _bound_us(bundles: Sequence[Bundle], knots: list[tuple[int, int, int]]) -> float | None:
    """A clock that a daemon keeps is as good as the daemon says; one that nobody keeps has no bound."""
    daemon = []
    for bundle in bundles:
        clock = bundle.manifest["clock"]
        if not clock.get("synchronised") or not isinstance(clock.get("max_error_us"), (int, float)):
            return None
        daemon.append(float(clock["max_error_us"]))
    return max(daemon) + max(knot[2] for knot in knots) / 1000 if daemon else None


def _kept(bundles: Sequence[Bundle]) -> bool:
    """Whether a daemon runs that may slew the clock; the monotonic clock is slewed with it."""
    return any(bundle.manifest["clock"].get("synchronised") or bundle.manifest["clock"].get("daemon")
               for bundle in bundles)
