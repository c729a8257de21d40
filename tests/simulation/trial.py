# SPDX-License-Identifier: Apache-2.0
"""Try one seed: simulate it, have its bundles merged, and judge what is said about them."""
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from .bundles import RUN_ID, observe
from .judge import Finding, judge
from .merging import Failed, Merged, by_command, in_process
from .world import World

Merge = Callable[[Path, Sequence[str]], Merged]


class Task(NamedTuple):
    """A seed to try."""

    seed: int
    features: Sequence[str]


@dataclass
class Outcome:
    """What one seed gave."""

    task: Task
    found: list[Finding] = field(default_factory=list)
    decidable: int = 0       # losses that could be known for sure
    told: int = 0            # and were
    packets: int = 0
    lost: int = 0
    certain: int = 0         # what the summary says
    unknown: int = 0
    seconds: float = 0.0     # of the merge
    summary: dict[str, Any] | None = field(default=None, repr=False)
    verdict: str = field(default="", repr=False)


def simulated(task: Task) -> World:
    """Return what happened in a seed."""
    world = World(*task)
    world.run()
    return world


def try_world(task: Task, world: World, merge: Merge, keep: Path | None = None) -> Outcome:
    """Have a world's bundles merged, and judge; keep: where the run is left."""
    with TemporaryDirectory(prefix="simulation-") as scratch:
        run_dir = (keep or Path(scratch)) / ("seed-%d" % world.seed) / RUN_ID
        shutil.rmtree(run_dir, ignore_errors=True)
        run_dir.mkdir(parents=True)
        observe(world, run_dir)
        out = Outcome(task, packets=len(world.packets), lost=sum(packet.lost for packet in world.packets))
        begin = time.monotonic()
        try:
            merged = merge(run_dir, [host.name for host in world.fleet.hosts if host.tracing.traced])
        except Failed as failure:
            out.found.append(Finding("crash", str(failure)))
            return out
        finally:
            out.seconds = time.monotonic() - begin
    out.summary, out.verdict = merged.summary, merged.verdict
    judgement = judge(world, merged.summary)
    out.found += judgement.found
    out.decidable, out.told = judgement.decidable, judgement.told
    out.certain, out.unknown = merged.summary.get("lost", 0), merged.summary.get("unknown", 0)
    return out


def try_task(task: Task, keep: Path | None = None, seconds: float = 0) -> Outcome:
    """Try a seed; seconds: for a merge by the command, 0: in this process."""
    merge = partial(by_command, seconds=seconds) if seconds else in_process
    return try_world(task, simulated(task), merge, keep)
