# SPDX-License-Identifier: Apache-2.0
"""Hold a summary against the truth.

What is FALSE is judged so that every doubt is the merger's: a flow's losses are those of all packets that anybody
recorded under its name; a latency may be that of any two sights of one packet, copies too. What is MISSED is judged
likewise: only packets that hosts with complete records saw, far from the ends of the window, that no other looks like,
and that others show the way of. test_judge.py has the summaries that were judged wrongly once.
"""
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..world import World
from . import flows, losses, missed, times
from .truth import Finding, Truth

FALSE = {"loss-count": "more certain losses than packets were lost", "loss-place": "certain losses where they were not",
         "loss-device": "certain losses at the wrong device of the right hosts",
         "copies": "drops of packets that are said to be of copies, and no loss",
         "arrived": "more arrived than did", "zero-loss": "'no packet was lost', and drops were recorded",
         "latency": "a latency beyond its bound", "phantom": "a step that no packet made",
         "clock": "a clock beyond its bound", "resent": "wrong number of segments sent again",
         "sums": "numbers that do not add up, or sums that do not agree",
         "form": "the summary has not the form that it should have",
         "crash": "the merge failed, or did not end"}
MISSED, INFLATED = missed.MISSED, flows.INFLATED


@dataclass
class Judgement:
    """What is wrong with a summary, and how much of what could be known it says."""

    found: list[Finding] = field(default_factory=list)
    decidable: int = 0     # losses that could be known for sure
    told: int = 0          # and were


def judge(world: World, summary: Mapping[str, Any]) -> Judgement:
    """Judge a summary."""
    out, truth = Judgement(), Truth(world)
    try:
        out.found += itertools.chain(losses.judge(truth, summary), flows.judge(truth, summary),
                                     times.judge(truth, summary))
        untold = missed.judge(truth, summary)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        out.found.append(Finding("form", repr(error)))
        return out
    out.found += untold.found
    out.decidable, out.told = untold.decidable, untold.told
    return out
