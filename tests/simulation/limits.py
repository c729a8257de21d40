# SPDX-License-Identifier: Apache-2.0
"""Who looks at a fleet, and what each of them cannot see."""
from dataclasses import dataclass

import numpy as np

from .features import Dice
from .fleet import Fleet
from .machines import Host, Tracing

NIC = ["dev.rx", "dev.tx", "skb.drop"]
ENDS = ["skb.free", "sock.deliver"]
MORE = ["br.forward", "dev.queue"]


@dataclass(frozen=True)
class Outlook:
    """What is seen of the fleet as a whole."""

    more: bool           # points between coming in and going out
    free_uplinks: bool   # what an uplink sent is freed under its name
    topology: bool       # it is known where the VMs of the first flow are


def look(dice: Dice, fleet: Fleet) -> Outlook:
    """Say how each host is looked at."""
    rng = dice.stream("observers")
    ends, more = dice.on("ends", 0.7), dice.on("morepoints", 0.3)
    out = Outlook(more, bool(rng.random() < 0.5), dice.on("topology", 0.3))
    points = NIC + (ENDS if ends else []) + (MORE if more else [])
    cut = dice.on("cut", 0.6)
    for host in fleet.hosts:
        if cut:
            host.cuts, host.reassembles = bool(rng.random() < 0.6), bool(rng.random() < 0.4)
        host.tracing = _tracing(dice, rng, host, points, fleet.duration)
    _limit(dice, fleet, points)
    return out


def _tracing(dice: Dice, rng: np.random.Generator, host: Host, points: list[str], duration: float) -> Tracing:
    """Return how a host is looked at if nothing is wrong with that."""
    out = Tracing(list(points), boot=1000.0 + 500 * host.number)
    out.two = dice.may("two") and bool(rng.random() < 0.5)
    if dice.may("clock"):
        out.drift = float(rng.uniform(-60e-6, 60e-6))
        out.skew = float(rng.choice([1e-4, 2e-3, 0.3]) * rng.uniform(-1, 1))
    if dice.may("daemon") and rng.random() < 0.5:
        out.skew = float(rng.uniform(-2e-3, 2e-3))
        out.drift *= 0.1
        worst = max(abs(out.skew + out.drift * second) for second in (-1.0, duration + 1))
        out.daemon = worst * 1e6 * float(rng.uniform(1.0, 3.0)) + 1
    # the window is given in the host's own clock, corrected as well as can be
    out.opens = float(rng.normal(0, 3e-4))
    return out


def _limit(dice: Dice, fleet: Fleet, points: list[str]) -> None:
    """Take something away from some hosts."""
    rng = dice.stream("limits")
    several = len(fleet.hosts) > 1

    def pick() -> Tracing:
        return fleet.hosts[int(rng.integers(len(fleet.hosts)))].tracing

    if dice.on("untraced", 0.25) and several:
        pick().traced = False
    if dice.on("missing", 0.15) and several:
        pick().missing = True
    if dice.on("points", 0.25):
        some = pick()
        some.points = [point for point in points if point not in rng.choice(points, 2)] or points[:1]
    if dice.on("recordloss", 0.25):
        pick().lossy = {str(point): float(rng.choice([0.002, 0.02, 0.2])) for point in rng.choice(points, 2)}
    if dice.on("partial", 0.25):
        some = pick()
        some.late, some.early = (float(part * fleet.duration)
                                 for part in rng.uniform(0, 0.4, 2) * (rng.random(2) < 0.6))
    if dice.on("filter", 0.15):
        host = fleet.hosts[int(rng.integers(len(fleet.hosts)))]
        host.tracing.only = set(host.uplinks) if rng.random() < 0.5 else set(host.taps)
    if dice.on("short", 0.15):
        pick().short = int(rng.choice([34, 42, 54, 64, 96]))
    if dice.on("nonlinear", 0.3):
        pick().nonlinear = True
    if not any(host.tracing.is_observed for host in fleet.hosts):
        fleet.hosts[0].tracing.missing, fleet.hosts[0].tracing.traced = False, True
