# SPDX-License-Identifier: Apache-2.0
"""Are latencies and clocks within the bounds that are said?"""
import collections
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..packets import Place
from .truth import Finding, Truth, place

_SLACK = 1.0         # µs
_QUANTILE = 2e-4     # of a latency: what quantiles from a sketch may be off


def judge(truth: Truth, summary: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is false about times."""
    yield from _latencies(truth, [segment for segment in summary["segments"] if segment["latency_us"]])
    yield from _clocks(truth, {name: host["clock"] for name, host in summary["hosts"].items() if host["clock"]})


def _latencies(truth: Truth, segments: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """Packets were at both places, and so long after."""
    pairs = [(place(segment["from"]), place(segment["to"])) for segment in segments]
    times = _times(truth, set(pairs))
    for pair, segment in zip(pairs, segments, strict=True):
        took = segment["latency_us"]
        words = "%s to %s" % tuple(" ".join(end) for end in pair)
        if pair not in times:
            yield Finding("phantom", "%s: %d packets, no packet was at both" % (words, segment["packets"]))
            continue
        if took["bound"] is None:
            continue
        low, high = (1e6 * value for value in times[pair])
        slack = took["bound"] + _SLACK + _QUANTILE * max(abs(low), abs(high))
        worst = [name for name in ("min", "p50", "p99", "max") if not low - slack <= took[name] <= high + slack]
        if worst:
            yield Finding("latency", "%s: %s, truly %.1f to %.1f, bound %.1f" % (
                words, ", ".join("%s %.1f" % (name, took[name]) for name in worst), low, high, took["bound"]))


def _times(truth: Truth, pairs: set[tuple[Place, Place]]) -> dict[tuple[Place, Place], tuple[float, float]]:
    """Return pair of places -> (least, most) time between two sights of one packet, or its fragments, at them."""
    out: dict[tuple[Place, Place], tuple[float, float]] = {}
    for packet in truth.world.packets:
        at = collections.defaultdict(list)
        for sight in truth.sights(packet):
            at[sight.place].append(sight.time)
        for pair in pairs:
            if pair[0] in at and pair[1] in at:
                ones, twos = at[pair[0]], at[pair[1]]
                low, high = out.get(pair, (math.inf, -math.inf))
                out[pair] = min(low, min(twos) - max(ones)), max(high, max(twos) - min(ones))
    return out


def _clocks(truth: Truth, clocks: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """The hosts' clocks are as near to the reference as is said, at both ends of the window."""
    reference = next((name for name, clock in clocks.items() if clock["method"].startswith("reference")), None)
    if reference is None:
        return
    base = truth.hosts[reference].tracing
    for name, clock in clocks.items():
        tracing = truth.hosts[name].tracing
        if name == reference or clock["bound_us"] is None:
            continue
        for at in (0.0, truth.world.duration):
            second = tracing.opens + at
            true = (base.skew - tracing.skew + (base.drift - tracing.drift) * second) * 1e6
            said = clock["offset_us"] + clock["drift_ppm"] * at
            if abs(said - true) > clock["bound_us"] + _SLACK:
                yield Finding("clock", "%s at %.2f s: offset %.1f, truly %.1f, bound %.1f (%s)" % (
                    name, second, said, true, clock["bound_us"], clock["method"]))
                break
