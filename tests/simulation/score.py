# SPDX-License-Identifier: Apache-2.0
"""What many seeds gave, in sum."""
import collections
from collections.abc import Iterator

from .judge import FALSE, INFLATED, MISSED
from .trial import Outcome


def labels(outcome: Outcome, verbose: bool) -> Iterator[str]:
    """Yield what is wrong with a seed; each class of what is false once if not verbose."""
    said = set()
    for kind, text in outcome.found:
        if not verbose and (kind in said or kind in (MISSED, INFLATED)):
            continue
        said.add(kind)
        label = "FALSE" if kind in FALSE else kind.upper() if kind in (MISSED, INFLATED) else "ERROR"
        yield "seed %d %s %s: %s" % (outcome.task.seed, label, kind, text)


class Score:
    """The sums."""

    def __init__(self) -> None:
        self.seeds = self.false = self.packets = self.lost = self.certain = self.unknown = 0
        self.decidable = self.told = 0
        self.seconds = 0.0
        self._seeds: collections.Counter[str] = collections.Counter()   # in which something was found
        self._times: collections.Counter[str] = collections.Counter()   # that it was found

    def add(self, outcome: Outcome) -> None:
        """Count a seed."""
        self.seeds += 1
        for name in ("packets", "lost", "certain", "unknown", "decidable", "told", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))
        kinds = [kind for kind, _ in outcome.found]
        self._times.update(kinds)
        self._seeds.update(set(kinds))
        self.false += any(kind not in (MISSED, INFLATED) for kind in kinds)

    @property
    def told_percent(self) -> float:
        """How many of the losses that could be known were told."""
        return 100 * self.told / max(1, self.decidable) if self.decidable else 100.0

    def lines(self) -> Iterator[str]:
        """Yield the sums in words."""
        yield "%d seeds, %d packets, %d lost; said: %d certain, %d unknown; a merge took %.2f s on average" % (
            self.seeds, self.packets, self.lost, self.certain, self.unknown, self.seconds / max(1, self.seeds))
        yield "FALSE in %d seeds" % self.false
        for kind, count in self._seeds.most_common():
            if kind not in (MISSED, INFLATED):
                yield "  %-12s %4d seeds, %4d times: %s" % (kind, count, self._times[kind],
                                                           FALSE.get(kind, "the simulator failed"))
        yield "MISSED in %d seeds; of %d losses that could be known for sure, %d were told: %.2f %%" % (
            self._seeds[MISSED], self.decidable, self.told, self.told_percent)
        yield "INFLATED (flows with more packets than were sent) in %d seeds" % self._seeds[INFLATED]
