# SPDX-License-Identifier: Apache-2.0
"""What is different between two runs, a good one and a bad one, in sentences.

A share differs if chance alone would not make it so (by three standard deviations of two samples of this size), and by
at least a thousandth; a latency, if it differs by half of itself or more, and by more than the clocks' bounds. What
only one run could have seen is no difference: it stands among the limits of the comparison.
"""
from collections.abc import Iterable, Iterator, Mapping
from math import sqrt
from typing import Any, NamedTuple

from ..words import printable, settings
from .read import Run, Share

_DEVIATIONS = 3
_LEAST = 0.001          # of a share
_FACTOR = 1.5           # of a latency
_FEW = 20               # packets of a step, below which its percentiles mean nothing
_SHOWN = 40             # sentences of each kind
SHARE, TIME = "%", "µs"


class Difference(NamedTuple):
    """What is different."""

    words: str             # a sentence
    before: float = 0.0    # a share of packets, %, or a median, µs
    after: float = 0.0
    unit: str = SHARE


def compare(good: Run, bad: Run) -> dict[str, list[str]]:
    """Return {"different": sentences, the largest first; "limits": what limits the comparison, in sentences}."""
    kinds = differences(good, bad)
    return {"different": [one.words for found in kinds.values() for one in found], "limits": limits(good, bad)}


def differences(good: Run, bad: Run) -> dict[str, list[Difference]]:
    """Return what is different by kind, the largest of each first; at most as many of each as are shown."""
    found = {"Losses": _shares(good.losses, bad.losses, good, bad), "Flows": _shares(good.flows, bad.flows, good, bad),
             "Ways": _ways(good, bad), "Changed on the way": _changes(good, bad), "Time": _latencies(good, bad),
             "Queues": _queues(good, bad)}
    return {kind: [one._replace(words=printable(one.words)) for one in some] for kind, some in found.items()}


def limits(good: Run, bad: Run) -> list[str]:
    """Return what limits the comparison, in sentences."""
    return [printable(sentence) for sentence in _limits(good, bad)]


def text(good: Run, bad: Run) -> str:
    """Return the comparison as a page of text."""
    said = compare(good, bad)
    lines = ["%-6s %s, %d packets%s" % (name, printable(run.name), run.packets, "" if run.seconds is None else
                                        " in %.3f s" % run.seconds) for name, run in (("before", good), ("after", bad))]
    lines += ["", "DIFFERENT", *("- " + sentence for sentence in said["different"])]
    if not said["different"]:
        lines.append("- Nothing that is more than chance.")
    lines += ["", "HOW FAR TO TRUST IT", *("- " + sentence for sentence in said["limits"])]
    if not said["limits"]:
        lines.append("- Both runs are complete, and saw with the same filter and points.")
    return "\n".join(lines) + "\n"


def _differs(one: Share, two: Share) -> bool:
    """Whether two shares differ by more than chance."""
    if not one.whole or not two.whole:
        return False
    before, after = one.part / one.whole, two.part / two.whole
    both = (one.part + two.part) / (one.whole + two.whole)
    spread = sqrt(max(both * (1 - both), 0) * (1 / one.whole + 1 / two.whole))
    return abs(after - before) > max(_DEVIATIONS * spread, _LEAST)


def _weight(one: Share, two: Share) -> float:
    return abs(two.part / max(two.whole, 1) - one.part / max(one.whole, 1))


def _words(one: Share, two: Share) -> str:
    return "%s, then %s" % (_part(one), _part(two))


def _part(share: Share) -> str:
    percent = " (%.2g %%)" % (100 * share.part / share.whole) if 0 < share.part < share.whole else ""
    return "%d of %d%s" % (share.part, share.whole, percent)


def _pairs(before: Mapping[Any, Share], after: Mapping[Any, Share], good: Run, bad: Run,
           ) -> Iterator[tuple[Any, Share, Share]]:
    """Return (key, share before, share after) of what differs, the largest difference first; what one run does not have
    is none of its packets."""
    pairs = [(key, before.get(key, Share(0, good.packets)), after.get(key, Share(0, bad.packets)))
             for key in sorted({*before, *after})]
    yield from sorted((pair for pair in pairs if _differs(*pair[1:])), key=lambda pair: -_weight(*pair[1:]))


def _of_shares(words: str, one: Share, two: Share) -> Difference:
    before, after = (100 * share.part / share.whole for share in (one, two))
    return Difference(words, before, after)


def _shares(before: Mapping[str, Share], after: Mapping[str, Share], good: Run, bad: Run) -> list[Difference]:
    return _some(_of_shares("%s: %s." % (key, _words(one, two)), one, two)
                 for key, one, two in _pairs(before, after, good, bad))


def _ways(good: Run, bad: Run) -> list[Difference]:
    """Say which addresses' packets took other ways; of addresses that only one run saw there is nothing to say."""
    whole = [{addresses: share.whole for (addresses, _), share in run.ways.items()} for run in (good, bad)]
    out = []
    for key in sorted({*good.ways, *bad.ways}):
        one, two = (run.ways.get(key, Share(0, many.get(key[0], 0)))
                    for run, many in zip((good, bad), whole, strict=True))
        if _differs(one, two):
            out.append((_weight(one, two), _of_shares("%s by way of %s: %s packets." % (
                key[0], key[1], _words(one, two)), one, two)))
    return _some(found for _, found in sorted(out, key=lambda item: -item[0]))


def _changes(good: Run, bad: Run) -> list[Difference]:
    """Say what changed on a step in one run and not in the other; the step must be in both."""
    whole = [{step: share.whole for (step, _), share in run.changes.items()} | {
        step: int(took["packets"]) for step, took in run.steps.items()} for run in (good, bad)]
    out = []
    for step, name in sorted({*good.changes, *bad.changes}):
        one, two = (run.changes.get((step, name), Share(0, many.get(step, 0)))
                    for run, many in zip((good, bad), whole, strict=True))
        if _differs(one, two):
            out.append(_of_shares("%s changed from %s: %s packets." % (name, step, _words(one, two)), one, two))
    return _some(out)


def _latencies(good: Run, bad: Run) -> list[Difference]:
    """Say which steps took longer, or shorter."""
    out = []
    for step in sorted({*good.steps} & {*bad.steps}):
        one, two = good.steps[step], bad.steps[step]
        if min(one["packets"], two["packets"]) < _FEW:
            continue
        bound = one["bound"] + two["bound"]
        told = [name for name in ("p50", "p99") if abs(two[name] - one[name]) > bound and max(
            one[name], two[name]) >= _FACTOR * max(min(one[name], two[name]), 0)]
        if told:
            most = max(abs(two[name] - one[name]) for name in told)
            words = "%s: median %.1f µs, then %.1f; 99 %% below %.1f, then %.1f%s." % (
                step, one["p50"], two["p50"], one["p99"], two["p99"], ", ± %.1f" % bound if bound else "")
            out.append((most, Difference(words, one["p50"], two["p50"], TIME)))
    return _some(found for _, found in sorted(out, key=lambda item: -item[0]))


def _queues(good: Run, bad: Run) -> list[Difference]:
    """Say which queues were full, for a longer or shorter part of the packets that met them."""
    out = []
    for name in sorted({*good.queues} & {*bad.queues}):
        one, two = (run.queues[name] for run in (good, bad))
        shares = [Share(queue["full"], queue["records"]) for queue in (one, two)]
        if _differs(*shares):
            out.append(_of_shares("%s was full for %s that met it; at most %s, then %s %s in it." % (
                name, _words(*shares), one["max"], two["max"], two["unit"]), *shares))
    return _some(out)


def _some(found: Iterable[Difference]) -> list[Difference]:
    every = list(found)
    rest = [Difference("%d more of this kind." % (len(every) - _SHOWN))] if len(every) > _SHOWN else []
    return every[:_SHOWN] + rest


def _limits(good: Run, bad: Run) -> Iterator[str]:
    for name in good.asked:
        if good.asked[name] != bad.asked[name]:
            yield "The runs did not ask the same: %s %s, then %s." % (
                name, *(_asked(run.asked[name]) for run in (good, bad)))
    for host in sorted({*good.points} ^ {*bad.points}):
        yield "%s is in one run only, the %s." % (host, "first" if host in good.points else "second")
    for host in sorted({*good.points} & {*bad.points}):
        for one, two, which in ((good, bad, "first"), (bad, good, "second")):
            alone = one.points[host] - two.points[host]
            if alone:
                yield "%s saw at %s in the %s run only." % (host, ", ".join(sorted(alone)), which)
    for run, which in ((good, "first"), (bad, "second")):
        if not run.packets:
            yield "The %s run has no packet that was followed: nothing that counts packets can be compared." % which
        for gap in run.gaps:
            yield "In the %s run %s." % (which, gap)


def _asked(value: Any) -> str:
    if isinstance(value, Mapping):
        return settings(dict(value)) or "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "none")
