# SPDX-License-Identifier: Apache-2.0
"""Writing to whoever reads: in the background, so that a reader who is slow, or stalls, holds nothing up."""
import collections
import os
import select
import threading
import time
from typing import Deque

_MOST_WAITING = 8 << 20  # bytes that wait for the reader; what comes on top is refused
_AT_ONCE = 4096          # bytes: a pipe takes so many whole or not at all, so it is known what was taken


class Stream:
    """A descriptor to which a thread of its own writes. A write is shown when its last byte was taken."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: Deque[bytes] = collections.deque()  # one for each write()
        self._bytes = 0
        self._changed = threading.Condition()
        self.error = 0  # errno of what ended it
        # a daemon: the process ends even while the thread hangs in a write
        threading.Thread(target=self._run, daemon=True).start()

    def has_room(self) -> bool:
        """Whether write() may be called: the reader is not too far behind."""
        return self._bytes < _MOST_WAITING and not self.error

    def write(self, text: str) -> None:
        """Put text in the line of what is to be written."""
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def waiting(self) -> int:
        """Return how many writes are not shown yet."""
        return len(self._waiting)

    def drain(self, patience_s: float) -> None:
        """Wait until everything is written, for as long as the reader takes something every `patience_s` seconds."""
        left, until = -1, 0.0
        with self._changed:
            while self._waiting and not self.error:
                if self._bytes != left:
                    left, until = self._bytes, time.monotonic() + patience_s
                remaining = until - time.monotonic()
                if remaining <= 0:
                    return
                self._changed.wait(remaining)

    def _run(self) -> None:
        while not self.error:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                piece = self._next_piece()
            try:
                written = os.write(self._descriptor, piece)
            except BlockingIOError:  # somebody who shares the descriptor made it so
                select.select([], [self._descriptor], [])
                continue
            except OSError as error:
                with self._changed:
                    self.error = error.errno or 1
                    self._changed.notify_all()
                return
            with self._changed:
                self._forget(written)
                self._changed.notify_all()

    def _next_piece(self) -> bytes:
        pieces, size = [], 0
        for data in self._waiting:
            pieces.append(data)
            size += len(data)
            if size >= _AT_ONCE:
                break
        return b"".join(pieces)[:_AT_ONCE]

    def _forget(self, written: int) -> None:
        """Take what was written out of the line; of the last write a part may be left."""
        self._bytes -= written
        while written:
            first = self._waiting.popleft()
            if len(first) > written:
                self._waiting.appendleft(first[written:])
                return
            written -= len(first)
