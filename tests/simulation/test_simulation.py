# SPDX-License-Identifier: Apache-2.0
"""Some hundred random fleets: nothing false may be said about any of them. `make simulation` tries more."""
import os
from collections import defaultdict

import pytest

from simulation.features import MORE, features_of
from simulation.judge import INFLATED, MISSED
from simulation.pool import try_all
from simulation.score import Score
from simulation.trial import Outcome, Task, try_task

TOLD_PERCENT = 99      # of the losses that could be known
DRAWN = range(150)     # of all features; the other seeds of these were false once
SEEDS = {"full": (*DRAWN, 498,   # parts of packets among others that look the same
                  551, 635, 649, 743, 795, 809, 845, 924, 943, 1048, 1200,   # unwanted there, or of a twin
                  512, 1307, 1411, 1654,   # equal packets, doubles, and fragments by vague clocks
                  819, 825,                # a host between, which recorded only in part
                  1647, 2058, 2202, 2203, 2221, 2408, 2562,   # equal packets of which the beginning was not seen
                  2274, 2355, 2362,        # an equal one that stayed, sent again unseen, refused before it was routed
                  2815, 2837,              # dropped after it was joined from fragments; all of a flow lost on the wire
                  2952,                    # a double of one of equal packets was dropped
                  5065,                    # doubles of which a slow clock says that they came first
                  6030, 6047,              # a double among equal packets; equal packets of a VM that moved
                  6429,                    # a flooded copy was dropped before the packet was cut into fragments
                  8022, 8290,              # equal ACKs of which one got lost; one skb after the other, read in part
                  8629, 8651, 8904,        # drops that were no copies': before a router, or of who had moved
                  9690,                    # sent again at once with the IP id that all have
                  9325, 9420, 9470,        # equal ACKs that came in unseen; a bond with one cable cut; headers cut
                  7434,                    # told apart by payloads that not all places can read
                  7300,                    # flooded, of which the filter shows some of the devices only
                  7045, 7162,              # sent again while the first is under way; doubled, and one like it dropped
                  1434, 6215, 6299, 6558,  # drops that were no copies': before a VM moved, with one IP id for all
                  22263, 23602, 30008,     # doubles where only drops were seen; a mirror out; a step of equal ones
                  30849, 32246, 32287,     # equal ones showed strangers; a tap not open yet; flooded before a router
                  32346, 34060,            # two flows of ARP by one name; a clock by what was flooded before a router
                  34078, 34169,            # one that came late by another way; fragments of two flows by two ways
                  37240, 37324, 18000,     # equal ones eaten between, or doubled; drops alone of flooded frames
                  40122, 45146,            # a full tap of a VM heard only after it moved; a mirror of what came unseen
                  70220,                   # doubled before a router, and dropped behind it
                  50050, 80851,            # lost before a router; equal ones where another host begins to record
                  82514, 81053,            # a tap not open yet, and drops of which records were lost
                  81971, 82956,            # sent again by what nobody looked at; two dropped on one host
                  85042, 93107,            # lost, while strangers got copies; sent again to a half-seen host
                  102754, 103410,          # to a silent VM behind a mirror; a full tap before its VM moves
                  95383, 100831,           # flooded to a host with a mirror only; sent again by a VM that moved away
                  91970, 92499,            # a broadcast that only a mirror got; cut behind its queue
                  86447, 90225,            # sent again unseen by a lossy host; a double dropped at a router's tap
                  84450, 85339,            # flooded to a host of strangers; flooded to its host before it was routed
                  98655,                   # a broadcast that only a mirror was seen to get
                  60014,                   # a double of what nobody saw sent, beside equal ones that are doubled
                  87102,                   # flooded on the way to a router, to a receiver that moves later
                  97182,                   # equal ACKs where only departures were seen, and not all of them
                  82978,                   # a mirror beside a tunnel that another host cannot read
                  81701,                   # a copy at a host that may have sent on by what nobody looked at
                  70439, 70536),           # mirrored, and flooded, with records missing; sent again after the end
         "plain": range(50),
         **{"plain,+" + name: range(1000 + 10 * number, 1003 + 10 * number) for number, name in enumerate(MORE)}}
SECONDS = 60           # after which a seed is given up: its merge hangs


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Outcome]]:
    """What all seeds gave, by their features."""
    names = {tuple(features_of(features)): features for features in SEEDS}
    tasks = [Task(seed, features) for features, name in names.items() for seed in SEEDS[name]]
    out = defaultdict(list)
    for outcome in try_all(try_task, tasks, len(os.sched_getaffinity(0)), SECONDS):
        out[names[tuple(outcome.task.features)]].append(outcome)
    return out


@pytest.mark.parametrize("features", SEEDS)
def test_nothing_false_is_said(features: str, outcomes: dict[str, list[Outcome]]) -> None:
    """Of no fleet, with whatever it has."""
    false = ["seed %d %s: %s" % (outcome.task.seed, *found) for outcome in outcomes[features]
             for found in outcome.found if found.kind not in (MISSED, INFLATED)]
    assert not false, "\n".join(sorted(false))


def test_what_can_be_known_is_said(outcomes: dict[str, list[Outcome]], capsys: pytest.CaptureFixture[str]) -> None:
    """Nearly all losses that could be known are told, over all fleets that were not chosen for what is odd in them."""
    score = Score()
    for features, several in outcomes.items():
        for outcome in several:
            if features != "full" or outcome.task.seed in DRAWN:
                score.add(outcome)
    with capsys.disabled():
        print("\n%s" % "\n".join(score.lines()))
    assert score.told_percent >= TOLD_PERCENT
