# SPDX-License-Identifier: Apache-2.0
"""Worker processes that try seeds, one after the other: Python, duckdb and arrow are started once for many.

A worker that does not answer in time is killed with all that it started, one that dies is told as a crash of its seed;
another one takes its place.
"""
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait

from .judge import Finding
from .trial import Outcome, Task

SEEDS_EACH = 50      # after which a worker makes room for a fresh one
_CONTEXT = multiprocessing.get_context("spawn")

Trial = Callable[[Task], Outcome]


class _Worker:
    """A process that tries seeds."""

    def __init__(self, trial: Trial) -> None:
        self.pipe, there = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(there, trial))
        self._process.start()
        there.close()
        self.tried = 0
        self.task: Task | None = None
        self.until = 0.0

    def give(self, task: Task, seconds: float) -> None:
        """Let it try a seed."""
        self.task, self.until = task, time.monotonic() + seconds
        self.tried += 1
        self.pipe.send(task)

    def outcome(self) -> Outcome:
        """Return what it says, or that it died."""
        task, self.task = self.task, None
        assert task is not None
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            self.tried = SEEDS_EACH
            return Outcome(task, [Finding("crash", "the process ended with status %s" % self._process.exitcode)])

    def end(self) -> None:
        """End it, and all that it started."""
        self.pipe.close()
        if self.task is not None:
            try:
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            except ProcessLookupError:
                self._process.kill()
        self._process.join()


def _work(pipe: Connection, trial: Trial) -> None:
    """What a worker does."""
    os.setsid()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            outcome = trial(task)
        except Exception as error:
            outcome = Outcome(task, [Finding("simulator", repr(error))])
        outcome.summary = None       # it may be large, and nobody looks at it
        pipe.send(outcome)


def try_all(trial: Trial, tasks: Iterable[Task], jobs: int, seconds: float) -> Iterator[Outcome]:
    """Yield what each seed gives, as they end; seconds: that one may take."""
    waiting = iter(tasks)
    workers: list[_Worker] = []
    try:
        while True:
            _hand_out(workers, trial, waiting, jobs, seconds)
            busy = {worker.pipe: worker for worker in workers if worker.task is not None}
            if not busy:
                return
            until = min(worker.until for worker in busy.values())
            for pipe in wait(list(busy), max(0.0, until - time.monotonic())):
                yield busy[pipe].outcome()  # type: ignore[index]
            for worker in list(workers):
                if worker.task is not None and time.monotonic() > worker.until:
                    yield Outcome(worker.task, [Finding("crash", "took more than %g s" % seconds)])
                    worker.tried = SEEDS_EACH
                    workers.remove(worker)
                    worker.end()
    finally:
        for worker in workers:
            worker.end()


def _hand_out(workers: list[_Worker], trial: Trial, waiting: Iterator[Task], jobs: int, seconds: float) -> None:
    """Give seeds to workers that have none."""
    for worker in list(workers):
        if worker.task is None and worker.tried >= SEEDS_EACH:
            workers.remove(worker)
            worker.end()
    while True:
        idle = next((worker for worker in workers if worker.task is None), None)
        if idle is None and len(workers) >= jobs:
            return
        task = next(waiting, None)
        if task is None:
            return
        if idle is None:
            idle = _Worker(trial)
            workers.append(idle)
        idle.give(task, seconds)
