# SPDX-License-Identifier: Apache-2.0
"""The heavy work, shared out among worker processes: reading bundles, merging ranges of time, following packets.

A small input is done in this process: a worker takes longer to start than it would take to merge.
"""
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .bundle.labels import Labels, labels_of
from .bundle.manifest import Bundle
from .clock.host import HostClock
from .errors import MergeError
from .journey.follow import Setting, explore
from .journey.found import Findings
from .packet.survey import Survey, survey_bundle
from .products import journeys
from .products.batch import make_batch
from .products.columns import FEW_VALUES, flow_codes, table
from .products.lines import lines
from .products.ranges import Range, read_range

# The workers make and drop the same large arrays over and over: keep their memory instead of returning it to the
# kernel and faulting it in again, which costs a quarter of the time.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
           "MALLOC_TOP_PAD_": str(64 << 20), "ARROW_DEFAULT_MEMORY_POOL": "system"}
_WORTH_A_PROCESS = 100_000   # records
_CONTEXT = multiprocessing.get_context("spawn")


def processes() -> int:
    """Return how many worker processes to use: one for each CPU that we may run on, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


@dataclass
class _Shared:
    """What the workers tell each other."""

    end: Any    # bytes of timeline.log that are written or spoken for
    turn: Any   # the range that may take its place in it; -1: something failed


_shared: _Shared


def _start(end: Any, turn: Any) -> None:
    global _shared  # noqa: PLW0603 - a worker process is told once whom it works with
    _shared = _Shared(end, turn)
    pa.set_cpu_count(1)


class Workers:
    """Worker processes; a context manager."""

    def __init__(self, records: int, scratch: str) -> None:
        """records: how many there are to be worked on; scratch: a directory for what the workers are told."""
        self._scratch = scratch
        self._shared = _Shared(_CONTEXT.Value("q", 0), _CONTEXT.Value("q", 0))
        self._pool: ProcessPoolExecutor | None = None
        self._count = processes() if records >= _WORTH_A_PROCESS else 1
        if self._count > 1:
            for name, value in _MALLOC.items():
                os.environ.setdefault(name, value)
            self._pool = ProcessPoolExecutor(self._count, _CONTEXT, _start, (self._shared.end, self._shared.turn))
        else:
            _start(self._shared.end, self._shared.turn)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._pool:
            self._shared.turn.value = -1 if error else self._shared.turn.value
            self._pool.shutdown(wait=True, cancel_futures=True)

    def tell(self, name: str, content: Any) -> str:
        """Write down what all workers have to know; return where."""
        path = os.path.join(self._scratch, name)
        with open(path, "wb") as handle:
            pickle.dump(content, handle, protocol=5)
        return path

    def run(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield function(one of each of the arguments) in their order; few results wait to be taken."""
        if not self._pool:
            yield from map(function, *arguments)
            return
        waiting: list[Future[Any]] = []
        for given in zip(*arguments, strict=True):
            waiting.append(self._pool.submit(function, *given))
            if len(waiting) > self._count + 1:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


def survey_all(workers: Workers, bundles: Sequence[Bundle], scratch: str) -> list[Survey]:
    """Read all bundles once."""
    paths = [os.path.join(scratch, "rows-%d" % number) for number in range(len(bundles))]
    return list(workers.run(survey_bundle, bundles, paths))


def explore_all(workers: Workers, setting: Setting) -> Findings:
    """Follow all packets, in shares that fit into memory."""
    told = workers.tell("setting", setting)
    out = Findings()
    for found in workers.run(_explore, [told] * setting.parts, range(setting.parts)):
        out.add(found)
    return out


@lru_cache(2)
def known_to(path: str) -> Any:
    """Return what a worker was told; it is read once."""
    with open(path, "rb") as handle:
        return pickle.load(handle)


def _explore(told: str, part: int) -> Findings:
    setting = known_to(told)
    return explore(setting, part, lambda followed: journeys.write_part(followed, setting.atlas,
                                                                       pieces_of(told, part + 1)[part]))


def pieces_of(told: str, parts: int) -> list[str]:
    """Return where the journeys of each part are written."""
    return ["%s-journeys-%d" % (told, part) for part in range(parts)]


@dataclass
class _Job:
    """What merging a range needs."""

    bundles: Sequence[Bundle]
    clocks: Sequence[HostClock]
    labels: Sequence[Labels]
    timeline: str
    renamed: dict[int, int]
    records: Sequence[str]    # files that say which records show which journeys


def merge_ranges(workers: Workers, bundles: Sequence[Bundle], clocks: Sequence[HostClock], ranges: Sequence[Range],
                 renamed: dict[int, int], pieces: Sequence[str], timeline: str, events: str) -> None:
    """Write timeline.log and events.parquet. Ranges are handed out in order and take their places in order.

    renamed: flows and their names before address translation; pieces: where the journeys of each part are.
    """
    with open(timeline, "wb"):
        pass
    told = workers.tell("job", _Job(bundles, clocks, labels_of(bundles), timeline, renamed,
                                    [journeys.records_of(piece) for piece in pieces]))
    none = bundles[0].empty()
    empty = table(make_batch([(0, none, none["time_ns"].astype("i8"), np.zeros(0, "u4"))]), labels_of(bundles))
    with pq.ParquetWriter(events, empty.schema, compression="lz4", write_statistics=["time", "host", "flow"],
                          use_dictionary=FEW_VALUES) as writer:
        for rows in workers.run(_merge, [told] * len(ranges), ranges):
            writer.write_table(rows.unify_dictionaries())


def _merge(told: str, stretch: Range) -> pa.Table:
    """Merge one range: write its lines in its place, return its rows."""
    job = known_to(told)
    try:
        batch = make_batch(read_range(job.bundles, job.clocks, stretch))
        flows = flow_codes(batch.headers)
        text = lines(batch, job.labels, flows)
        _write(job.timeline, text, _take_place(stretch.number, text.size))
        del text
        return table(batch, job.labels, flows, job.renamed,
                     journeys.journeys_of(job.records, batch.bundle, batch.number))
    except BaseException:
        _shared.turn.value = -1
        raise


def _take_place(number: int, size: int) -> int:
    """Wait until all earlier ranges know how long they are; return where this one starts."""
    while True:
        with _shared.turn.get_lock():
            turn = _shared.turn.value
            if turn == number:
                place = int(_shared.end.value)
                _shared.end.value = place + size
                _shared.turn.value = number + 1
                return place
        if turn < 0:
            raise MergeError("another part of the merge failed")
        time.sleep(0.002)


def _write(path: str, text: pa.Buffer, place: int) -> None:
    view = memoryview(text)
    handle = os.open(path, os.O_WRONLY)
    try:
        while len(view):
            written = os.pwrite(handle, view[:16 << 20], place)
            view, place = view[written:], place + written
    finally:
        os.close(handle)
