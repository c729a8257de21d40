# SPDX-License-Identifier: Apache-2.0
"""Workers that die: an executor that lets one kill itself at the first task of each kind."""
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any


class Clumsy(Executor):
    """Another executor, of whose workers one dies at the first task of each of some functions."""

    def __init__(self, other: Executor, marks: Path, names: set[str]) -> None:
        """marks: a directory for who died already; names: of functions."""
        self._other, self._marks, self._names = other, marks, names

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Let the other do it."""
        if function.__name__ not in self._names:
            return self._other.submit(function, *arguments, **named)
        return self._other.submit(die_once, str(self._marks / function.__name__), function, *arguments)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the other."""
        self._other.shutdown(wait)


def die_once(mark: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Do a task, but die of it if nobody did yet: behind it, when its files are written."""
    outcome = function(*arguments)
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return outcome
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def die(_: Any) -> None:
    """Die."""
    os.kill(os.getpid(), signal.SIGKILL)


def double(value: int) -> int:
    """Return twice the value."""
    return 2 * value
