# SPDX-License-Identifier: Apache-2.0
"""Who does the work: any concurrent.futures.Executor. Worker processes by default; this process, if there is little to
do; a Dask cluster, if one is named (cluster.py)."""
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from .memory import KEEP

_CONTEXT = multiprocessing.get_context("spawn")


def processes() -> int:
    """Return how many worker processes to use: one for each CPU that we may run on, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


class Here(Executor):
    """This process: a task is done when it is handed in."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Do the task; return its outcome."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(Executor):
    """Worker processes, each by itself: one that dies costs the task that it was at, and another takes its place."""

    def __init__(self, count: int) -> None:
        for name, value in KEEP.items():
            os.environ.setdefault(name, value)
        self._hands = ThreadPoolExecutor(count)    # one for each process
        self._own = threading.local()
        self._all: list[ProcessPoolExecutor] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Let the next process that is free do a task. BrokenExecutor, as its outcome, if the process died of it."""
        return self._hands.submit(self._hand_over, function, arguments, named)

    def _hand_over(self, function: Callable[..., Any], arguments: Any, named: Any) -> Any:
        pool: ProcessPoolExecutor | None = getattr(self._own, "pool", None)
        if pool is None:
            pool = self._own.pool = ProcessPoolExecutor(1, _CONTEXT, _start)
            self._all.append(pool)
        try:
            return pool.submit(function, *arguments, **named).result()
        except BrokenExecutor:
            self._own.pool = None
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, when they have done what they are at."""
        self._hands.shutdown(wait, cancel_futures=cancel_futures)
        for pool in self._all:
            pool.shutdown(wait, cancel_futures=cancel_futures)


def _start() -> None:
    import pyarrow as pa
    pa.set_cpu_count(1)
