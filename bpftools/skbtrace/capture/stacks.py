# SPDX-License-Identifier: Apache-2.0
"""stacks.txt: the call stacks of a capture so far, in case that its tracer is killed: they live in a map that goes with
it. A line has the id, then the addresses, in hexadecimal. It is gone when there is a manifest.
"""
import contextlib
import itertools
from typing import Any, Dict, List, Optional, Set

from . import files

NAME = "stacks.txt"
_MOST = 1024       # stacks: a drop monitor seldom sees a hundred
_MOST_BYTES = 4 << 20


class Stacks:
    """The file of a tracer at work, in the current directory."""

    def __init__(self) -> None:
        self._told: Set[int] = set()
        self._file: Optional[Any] = None
        self._ends = False

    def look(self, symbols: Any) -> None:
        """Append what is new; called now and then."""
        room = _MOST - len(self._told)
        if self._ends or not room:
            return
        text = "".join("%d %s\n" % (number, " ".join("%x" % frame for frame in frames))
                       for number, frames in itertools.islice(symbols.untold(self._told), room)).encode()
        try:
            if text:
                self._file = self._file or files.open_new(NAME)
                self._ends = self._file.write(text) < len(text)
        except OSError:  # what is wrong with directory or disk is noticed elsewhere
            self._ends = True


def read() -> Dict[int, List[int]]:
    """Return id -> addresses, up to the first line that is not whole; empty if there is no such file."""
    found: Dict[int, List[int]] = {}
    with contextlib.suppress(OSError, ValueError):  # the host went down
        for line in files.read_foreign(NAME, _MOST_BYTES).decode("ascii").splitlines(True):
            number, *frames = line[:line.index("\n")].split()
            found[int(number)] = [int(frame, 16) for frame in frames]
    return found
