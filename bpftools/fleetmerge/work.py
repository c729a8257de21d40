# SPDX-License-Identifier: Apache-2.0
"""The heavy work, as plain tasks for an executor: bundles to read, machines to chain, partitions to follow, ranges of
time to write. A task is told everything by its arguments and by files, and leaves files of its own: none waits for
another, and one whose worker died is done again.
"""
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skbtrace.programs.classic import Program

from .arrays import picked
from .bundle.labels import Labels
from .bundle.manifest import Bundle
from .clock.host import HostClock
from .errors import MergeError
from .excerpt.asked import Excerpt
from .excerpt.marks import Marks, mark
from .executors import Here, Processes, processes
from .journey.atlas import Atlas
from .journey.follow import explore
from .journey.followed import Followed
from .journey.found import Findings, add_flows
from .journey.part import Setting
from .memory import give_back
from .packet.identity import Renaming
from .packet.survey import Survey, survey_bundle
from .products import journeys
from .products.pcapng import Interfaces
from .products.pieces import JoinedParquet, JoinedText, write_pieces, write_tables
from .products.ranges import Range, read_range
from .told import fresh, known_to, mapped, tell

Part = tuple[int, np.ndarray, np.ndarray, np.ndarray]   # as ranges.read_range() returns it

_WORTH_A_PROCESS = 100_000   # records: a worker takes longer to start than it would take to merge fewer
_TIMES = 3                   # that a part is begun
_AHEAD = 2                   # parts for each worker that are handed in before the first one's outcome is asked for


class Workers:
    """Those who do the work; a context manager."""

    def __init__(self, scratch: str, records: int, executor: Executor | None = None, count: int = 0) -> None:
        """scratch: a directory that all workers see; records: how many there are to be worked on; executor: who does
        the work, with `count` workers: processes here, or this one, if not given."""
        self._scratch = scratch
        self._count = count if executor else processes() if records >= _WORTH_A_PROCESS else 1
        self._own = None if executor else Processes(self._count) if self._count > 1 else Here()
        self._executor: Executor = executor or self._own or Here()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.end()

    def end(self) -> None:
        """Let processes of this one's own end, with the memory that they keep."""
        if self._own:
            self._own.shutdown(wait=True, cancel_futures=True)

    def tell(self, name: str, content: Any) -> str:
        """Write down what all workers have to know; return where."""
        return tell(os.path.join(self._scratch, name), content)

    def run(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield function(one of each of the arguments) in their order; few results wait to be taken."""
        waiting: deque[tuple[Future[Any], tuple[Any, ...]]] = deque()
        for given in zip(*arguments, strict=True):
            waiting.append((self._executor.submit(function, *given), given))
            if len(waiting) > (_AHEAD * self._count if self._count > 1 else 0):
                yield self._outcome(function, *waiting.popleft())
        while waiting:
            yield self._outcome(function, *waiting.popleft())

    def _outcome(self, function: Callable[..., Any], future: Future[Any], given: tuple[Any, ...]) -> Any:
        """Return a part's outcome; if its worker died, do it again."""
        for _ in range(_TIMES - 1):
            try:
                return future.result()
            except BrokenExecutor:
                future = self._executor.submit(function, *given)
        try:
            return future.result()
        except BrokenExecutor as error:
            raise MergeError("workers died %d times of the same part of the merge: is there enough memory?"
                             % _TIMES) from error


def survey_all(workers: Workers, bundles: Sequence[Bundle], scratch: str) -> list[Survey]:
    """Read all bundles once."""
    paths = [os.path.join(scratch, "rows-%d" % number) for number in range(len(bundles))]
    return list(workers.run(_survey, bundles, paths))


def _survey(bundle: Bundle, path: str) -> Survey:
    return survey_bundle(bundle, fresh(path))


def explore_all(workers: Workers, told: str) -> Findings:
    """Follow all packets, in shares that fit into memory. told: the Setting, written down."""
    setting: Setting = known_to(told)
    out = Findings()
    flows = [out.flows]
    paths = ["%s-journeys-%d" % (told, part) for part in range(setting.parts)]
    for found in workers.run(_explore, [told] * len(paths), range(len(paths)), paths):
        flows.append(found.flows)
        found.flows = out.flows    # none
        out.add(found)
        if sum(map(len, flows[1:])) > len(flows[0]):    # sorted together when there are twice as many
            flows = [add_flows(flows)]
    out.flows = add_flows(flows)
    if setting.excerpt:
        for piece in out.pieces:
            setting.excerpt.show(np.fromfile(_shown_of(piece), "u8"))
    return out


def _explore(told: str, part: int, path: str) -> Findings:
    setting: Setting = known_to(told)
    piece = fresh(path)

    def keep(followed: Followed, shown: np.ndarray) -> None:
        journeys.write_part(followed, setting.atlas, mapped(setting.words), piece)
        shown.tofile(_shown_of(piece))

    found = explore(setting, part, keep)
    found.pieces = [piece] if os.path.exists(piece) else []    # of a part without packets there is none
    give_back()
    return found


def _shown_of(piece: str) -> str:
    """Return the file that says which records an excerpt shows of a part's journeys."""
    return piece + ".shown"


@dataclass
class _Job:
    """What writing a range needs."""

    bundles: Sequence[Bundle]
    clocks: Sequence[HostClock]
    labels: Sequence[Labels]
    renamed: Renaming
    scratch: str
    records: Sequence[str]    # files that say which records show which journeys
    notes: Sequence[str]      # files with what there is to say of some records
    interfaces: Interfaces | None
    excerpt: Marks | None     # which records are written; None: all


def merge_ranges(workers: Workers, bundles: Sequence[Bundle], clocks: Sequence[HostClock], labels: Sequence[Labels],
                 ranges: Sequence[Range], renamed: Renaming, pieces: Sequence[str], scratch: str, timeline: str,
                 events: str, capture: str, interfaces: Interfaces | None, excerpt: Marks | None = None) -> int:
    """Write timeline.log, events.parquet and, if there are interfaces, capture.pcapng, in pieces that are joined.
    Return how many records of an excerpt could not be judged.

    renamed: flows and their names before address translation; pieces: where the journeys of each part are; excerpt:
    which records are written, None: all.
    """
    lean = [replace(bundle, manifest={}) for bundle in bundles]    # the labels have what is needed of them
    told = workers.tell("job", _Job(lean, clocks, labels, renamed, scratch,
                                    [journeys.records_of(piece) for piece in pieces],
                                    [journeys.notes_of(piece) for piece in pieces],
                                    interfaces and replace(interfaces, head=b"", end=b""), excerpt))
    unjudged = 0
    stretches = ranges or [Range(0, 0, 0, [])]    # tables without rows have their columns all the same
    with JoinedText(timeline) as lines, JoinedParquet(events) as table, (
            JoinedText(capture) if interfaces else nullcontext()) as packets:
        if packets and interfaces:
            packets.write(interfaces.head)
        for text, rows, frames, left in workers.run(_write, [told] * len(stretches), stretches):
            lines.add(text)
            table.add(rows)
            unjudged += left
            if packets:
                packets.add(frames)
        if packets and interfaces:
            packets.write(interfaces.end)
    return unjudged


def _write(told: str, stretch: Range) -> tuple[str, str, str, int]:
    """Write one range's lines, rows and packets; return the three files, and how many records could not be judged."""
    job: _Job = known_to(told)
    parts, unjudged = read_range(job.bundles, job.clocks, stretch), 0
    if job.excerpt:
        parts, unjudged = _some(parts, job.excerpt)
    if not parts:
        empty = job.bundles[0].empty()
        parts = [(0, empty, empty["time_ns"].astype("i8"), np.zeros(0, "u4"))]
    pieces = (fresh(os.path.join(job.scratch, "lines-%d" % stretch.number)),
              fresh(os.path.join(job.scratch, "events-%d" % stretch.number)),
              fresh(os.path.join(job.scratch, "packets-%d" % stretch.number)))
    write_pieces(parts, job.labels, job.renamed, job.records, *pieces, job.interfaces, job.notes)
    return *pieces, unjudged


def _some(parts: Sequence[Part], excerpt: Marks) -> tuple[list[Part], int]:
    """Return the records that an excerpt shows, and how many could not be judged."""
    out, unjudged = [], 0
    for bundle, raw, wall, number in parts:
        shown, left = excerpt.shown(bundle, number, wall)
        unjudged += left
        if shown.any():
            out.append((bundle, picked(raw, shown), wall[shown], number[shown]))
    return out, unjudged


def mark_all(workers: Workers, bundles: Sequence[Bundle], asked: Excerpt, bounds: tuple[int, int],
             scratch: str) -> Marks:
    """Judge all records by what is asked for. bounds: from when to before when, wall ns."""
    paths = [os.path.join(scratch, "marks-%d" % number) for number in range(len(bundles))]
    program = asked.expression.program if asked.expression else None
    return Marks(list(workers.run(_mark, bundles, [program] * len(paths), paths)), bounds)


def _mark(bundle: Bundle, program: Program | None, path: str) -> str:
    return mark(bundle, program, fresh(path))


def join_journeys(workers: Workers, pieces: Sequence[str], atlas: Atlas, lossy: Collection[str], scratch: str,
                  path: str) -> None:
    """Write journeys.parquet from all parts' pieces. lossy: hosts that did not record all that they saw."""
    told = workers.tell("doubtful", journeys.doubtful(atlas, lossy))
    listed = pieces or [""]    # tables without rows have their columns all the same
    names = [os.path.join(scratch, "journeys-%d" % number) for number in range(len(listed))]
    with JoinedParquet(path) as table:
        for piece in workers.run(_judge, [told] * len(listed), listed, names):
            table.add(piece)


def _judge(told: str, piece: str, path: str) -> str:
    """Write a part's journeys, with what became of them for certain; return the file."""
    made = fresh(path)
    write_tables(journeys.judged(piece, known_to(told)), journeys.SCHEMA, made, write_statistics=["first"],
                 use_dictionary=True)
    give_back()
    return made
