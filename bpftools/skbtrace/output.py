# SPDX-License-Identifier: Apache-2.0
"""Where records go: into a spool, or to the terminal. Both stop at the limits that the user set, to the record."""
import os
import select
import stat
from typing import Any, Dict, List, Optional

from . import files, host, record, text
from .stream import Stream


class Budget:
    """How many records may still be kept."""

    def __init__(self, max_records: Optional[int], max_bytes: Optional[int]) -> None:
        self.kept = 0  # records
        self.cut = 0   # records that came after a limit was reached
        self.limits: List[Dict[str, Any]] = []
        bounds = [("max_records", max_records, max_records),
                  ("max_bytes", max_bytes, None if max_bytes is None else max_bytes // record.STRIDE)]
        self._bounds = [(name, value, records) for name, value, records in bounds if records is not None]

    def allow(self, wanted: int) -> int:
        """Return how many of so many records may be kept, and count them."""
        allowed = min([wanted] + [records - self.kept for _name, _value, records in self._bounds])
        self.kept += allowed
        self.cut += wanted - allowed
        for name, value, records in self._bounds:
            if self.kept == records and not self.limits:
                self.hit(name, value, "%d records were kept" % self.kept)
        return allowed

    def hit(self, limit: str, value: Any, what: str) -> None:
        """Note a limit that was reached: it ends the capture."""
        self.limits.append({"limit": limit, "value": value, "what": what})


def _spare_disk(budget: Budget, free: int) -> None:
    """End the capture before the host's disk is full; free: bytes."""
    if free < host.DISK_RESERVE and not budget.limits:
        budget.hit("disk", host.DISK_RESERVE, "only %d MiB are free on the disk" % (free >> 20))


class Spool:
    """records.bin of a run directory, which is the current one."""

    def __init__(self, directory: str, budget: Budget) -> None:
        self.budget = budget
        self._directory = directory
        self._file = files.open_new("records.bin")

    def take(self, records: Any) -> None:
        """Append whole records; a disk that runs full ends the capture and leaves whole records only."""
        allowed = self.budget.allow(len(records) // record.STRIDE)
        waiting = memoryview(records)[:allowed * record.STRIDE]
        try:
            while waiting:
                waiting = waiting[self._file.write(waiting):]
        except OSError as error:
            if error.errno not in files.NO_ROOM:
                raise
            whole = self._file.tell() // record.STRIDE
            self._file.truncate(whole * record.STRIDE)
            self.budget.cut += self.budget.kept - whole
            self.budget.kept = whole
            self.budget.hit("disk", 0, "the disk is full")

    def check(self) -> bool:
        """Whether the capture can go on; called now and then. Stops before the host's disk is full."""
        try:
            free = host.free_bytes(self._directory)
        except OSError:  # the run directory was removed: nobody wants these records any more
            return False
        _spare_disk(self.budget, free)
        return True

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Terminal:
    """Lines for a reader, who may be slow, stall, or go away: what he did not get is counted."""

    def __init__(self, printer: text.Printer, stream: Stream, descriptor: int, budget: Budget) -> None:
        """stream: what the printer writes to; descriptor: what the stream writes to."""
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
        allowed = self.budget.allow(len(records) // record.STRIDE)
        # copied out of the ring at once: making text of it takes its time
        batch = bytes(memoryview(records)[:allowed * record.STRIDE])
        for offset in range(record.RING_HEADER, len(batch), record.STRIDE):
            if self._stream.has_room():
                self._printer.write(record.unpack(batch, offset))
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
            _spare_disk(self.budget, host.free_bytes(self._file))
        gone = any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in self._poll.poll(0))
        return not gone and (not self._stream.error or bool(self.budget.limits))
