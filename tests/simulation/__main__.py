# SPDX-License-Identifier: Apache-2.0
"""Random fleets, what truly happened in them, and whether the merger tells the truth about it.

    python -m simulation --seeds 0-199                             all features
    python -m simulation --seeds 0-199 --features plain            no copies, no NAT, no tunnels, every host traced
    python -m simulation --seeds 7 --features plain,nat            one more feature, in some seeds; +nat: in all
    python -m simulation --show 42                                 the scenario, the truth, and the verdict beside it

(in tests/, or `make simulation SEEDS=0-199 FEATURES=plain,+nat`.) FALSE is what the summary says and is not so; MISSED
is what it could have said for sure and did not.
"""
import argparse
import sys
import time
from functools import partial
from pathlib import Path

from .features import features_of
from .judge import FALSE
from .merging import by_command
from .pool import try_all
from .score import Score, labels
from .trial import Task, simulated, try_task, try_world
from .words import report


def seeds_of(text: str) -> list[int]:
    """Return the seeds of 3 or 0-199 or 1,5,9."""
    out: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        out += range(int(low), int(high or low) + 1)
    return out


def show(task: Task, keep: Path | None, seconds: float) -> int:
    """Print all about one seed."""
    world = simulated(task)
    outcome = try_world(task, world, partial(by_command, seconds=seconds), keep)
    for line in report(world, outcome):
        print(line)
    return int(any(kind in FALSE for kind, _ in outcome.found))


def main() -> int:
    """Run the command; its exit status is 1 if anything FALSE was said."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-99", type=seeds_of, help="3, 0-199 or 1,5,9 (default 0-99)")
    parser.add_argument("--features", default="full", type=features_of,
                        help="names or profiles (plain, full); -name takes one away, +name has it in every seed")
    parser.add_argument("--show", type=int, metavar="SEED", help="print one seed's scenario, truth and verdict")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep the bundles and products below DIR")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument("--seconds", type=float, default=60.0, help="that a seed may take (default 60)")
    parser.add_argument("--command", action="store_true",
                        help="merge by the command, not in the process that simulates: slower")
    parser.add_argument("--verbose", action="store_true", help="every failure of a seed, missed ones too")
    options = parser.parse_args()
    if options.show is not None:
        return show(Task(options.show, options.features), options.keep, options.seconds)
    trial = partial(try_task, keep=options.keep, seconds=options.seconds if options.command else 0)
    score, begin = Score(), time.monotonic()
    limit = options.seconds + (30 if options.command else 0)     # the command has a limit of its own
    tasks = [Task(seed, options.features) for seed in options.seeds]
    for outcome in try_all(trial, tasks, options.jobs, limit):
        score.add(outcome)
        for line in labels(outcome, options.verbose):
            print(line, flush=True)
    print()
    for line in score.lines():
        print(line)
    print("%.2f s for each seed" % ((time.monotonic() - begin) / max(1, score.seeds)))
    return int(score.false > 0)


if __name__ == "__main__":
    sys.exit(main())
