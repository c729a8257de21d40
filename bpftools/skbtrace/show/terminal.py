# SPDX-License-Identifier: Apache-2.0
"""Records as lines for whoever reads them, up to the limits that the user set, to the record."""
import os
import select
import stat
from typing import Any

from ..capture import files, record
from ..capture.spool import Budget, spare_disk
from ..host import limits
from . import text
from .stream import Stream


class Terminal:
    """Lines for a reader, who may be slow, stall, or go away: what he did not get is counted."""

    def __init__(self, printer: text.Printer, stream: Stream, descriptor: int, budget: Budget,
                 layout: record.Layout) -> None:
        """stream: what the printer writes to; descriptor: what the stream writes to."""
        self._layout = layout
        self.budget = budget
        self._printer = printer
        self._stream = stream
        self._refused = 0  # records for which the reader was too far behind
        self._poll = select.poll()
        self._poll.register(descriptor, 0)
        # a file can fill the host's disk, a pipe or a terminal cannot
        self._file = descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None

    def take(self, records: Any) -> None:
        """Print whole records."""
        stride = self._layout.stride
        allowed = self.budget.allow(len(records) // stride)
        # copied out of the ring at once: making text of it takes its time
        batch = bytes(memoryview(records)[:allowed * stride])
        for offset in range(record.RING_HEADER, len(batch), stride):
            if self._stream.has_room():
                self._printer.write(self._layout.unpack(batch, offset))
            else:
                self._refused += 1

    def unshown(self) -> int:
        """Return how many of the records that were kept the reader did not get."""
        return self._refused + self._stream.waiting()

    def check(self) -> bool:
        """Whether somebody still reads: a pipe without a reader shows an error even while nothing is written."""
        if self._stream.error in files.NO_ROOM and not self.budget.limits:
            self.budget.hit("disk", 0, "the disk is full")
        if self._file is not None and not self.budget.limits:
            spare_disk(self.budget, limits.free_bytes(self._file))
        gone = any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in self._poll.poll(0))
        return not gone and (not self._stream.error or bool(self.budget.limits))
