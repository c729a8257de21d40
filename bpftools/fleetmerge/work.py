# SPDX-License-Identifier: Apache-2.0
"""Merge the ranges of time, several at once: each becomes its place in timeline.log and its rows of events.parquet."""
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .batch import make_batch
from .bundle import Bundle
from .clock import HostClock
from .columns import flow_codes, table
from .errors import MergeError
from .index import Range, read_range
from .journeys import Findings, Setting, explore
from .labels import Labels, labels_of
from .lines import lines
from .survey import Survey, survey_bundle

# The workers make and drop the same large arrays over and over: keep their memory instead of returning it to the
# kernel and faulting it in again, which costs a quarter of the time.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
           "MALLOC_TOP_PAD_": str(64 << 20), "ARROW_DEFAULT_MEMORY_POOL": "system"}
for _name, _value in _MALLOC.items():
    os.environ.setdefault(_name, _value)
_WORTH_A_PROCESS = 100_000   # records
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass
class _Job:
    """What a worker process knows."""

    bundles: Sequence[Bundle]
    clocks: Sequence[HostClock]
    labels: Sequence[Labels]
    timeline: int                       # descriptor
    end: "Synchronized[int]"            # bytes of timeline.log written or spoken for
    turn: "Synchronized[int]"           # the range that may take its place in it


_job: _Job


def processes() -> int:
    """Return how many worker processes to use: one for each CPU that we may run on, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


def survey_all(bundles: Sequence[Bundle], scratch: str) -> list[Survey]:
    """Read all bundles once."""
    paths = [os.path.join(scratch, "rows-%d" % number) for number in range(len(bundles))]
    if len(bundles) < 2 or sum(bundle.records for bundle in bundles) < _WORTH_A_PROCESS:
        return list(map(survey_bundle, bundles, paths))
    with ProcessPoolExecutor(min(processes(), len(bundles)), _CONTEXT) as pool:
        return list(pool.map(survey_bundle, bundles, paths))


def merge_ranges(bundles: Sequence[Bundle], clocks: Sequence[HostClock], ranges: Sequence[Range],
                 timeline: str, events: str) -> None:
    """Write timeline.log and events.parquet. Ranges are handed out in order and take their places in order."""
    with open(timeline, "wb"):
        pass
    end, turn = _CONTEXT.Value("q", 0), _CONTEXT.Value("q", 0)
    empty = table(make_batch([(0, bundles[0].empty(), bundles[0].empty()["time_ns"].astype("i8"))]), labels_of(bundles))
    with pq.ParquetWriter(events, empty.schema, compression="zstd", compression_level=1,
                          write_statistics=["time", "host", "flow"]) as writer:
        for rows in _tables(bundles, clocks, ranges, timeline, end, turn):
            writer.write_table(rows.unify_dictionaries())


def explore_all(setting: Setting) -> Findings:
    """Follow all packets, in shares that fit into memory."""
    shares, out = setting.shares, Findings()
    if shares == 1:
        out.add(explore(setting, 0, 1))
        return out
    with ProcessPoolExecutor(min(processes(), shares), _CONTEXT) as pool:
        for found in pool.map(explore, [setting] * shares, range(shares), [shares] * shares):
            out.add(found)
    return out


def _tables(bundles: Sequence[Bundle], clocks: Sequence[HostClock], ranges: Sequence[Range], timeline: str,
            end: Any, turn: Any) -> Iterator[pa.Table]:
    """Yield each range's rows, in order; at most two ranges per process are under way, so that memory stays bounded."""
    count = min(processes(), len(ranges))
    if count <= 1:  # not worth a process
        _start(bundles, clocks, timeline, end, turn)
        yield from map(_merge, ranges)
        os.close(_job.timeline)
        return
    with ProcessPoolExecutor(count, _CONTEXT, _start, (bundles, clocks, timeline, end, turn)) as pool:
        waiting: list[Future[pa.Table]] = []
        todo = iter(ranges)
        try:
            for stretch in todo:
                waiting.append(pool.submit(_merge, stretch))
                if len(waiting) > count + 1:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BaseException:
            turn.value = -1  # nobody waits for its turn any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(bundles: Sequence[Bundle], clocks: Sequence[HostClock], timeline: str, end: Any, turn: Any) -> None:
    global _job  # noqa: PLW0603 - a worker process is told once what it works on
    pa.set_cpu_count(1)
    _job = _Job(bundles, clocks, labels_of(bundles), os.open(timeline, os.O_WRONLY), end, turn)


def _merge(stretch: Range) -> pa.Table:
    """Merge one range: write its lines in its place, return its rows."""
    try:
        batch = make_batch(read_range(_job.bundles, _job.clocks, stretch))
        flows = flow_codes(batch.headers)
        text = lines(batch, _job.labels, flows)
        place = _take_place(stretch.number, text.size)
        _write(text, place)
        del text
        return table(batch, _job.labels, flows)
    except BaseException:
        _job.turn.value = -1
        raise


def _take_place(number: int, size: int) -> int:
    """Wait until all earlier ranges know how long they are; return where this one starts."""
    while True:
        with _job.turn.get_lock():
            turn = _job.turn.value
            if turn == number:
                place = _job.end.value
                _job.end.value = place + size
                _job.turn.value = number + 1
                return place
        if turn < 0:
            raise MergeError("another part of the merge failed")
        time.sleep(0.002)


def _write(text: pa.Buffer, place: int) -> None:
    view = memoryview(text)
    while len(view):
        written = os.pwrite(_job.timeline, view[:16 << 20], place)
        view, place = view[written:], place + written
