# SPDX-License-Identifier: Apache-2.0
"""Where records are kept: a file that ends at the limits that the user set, to the record."""
import contextlib
import fcntl
import os
from typing import Any, Dict, List, Optional

from ..host import limits
from . import files

_PACKED = 4  # a bundle takes less than such a part of what is in it: a sixth of plain datagrams was measured


class Budget:
    """How many records may still be kept."""

    def __init__(self, max_records: Optional[int], max_bytes: Optional[int], stride: int) -> None:
        """stride: bytes of a record."""
        self.kept = 0  # records
        self.cut = 0   # records that came after a limit was reached
        self.limits: List[Dict[str, Any]] = []
        bounds = [("max_records", max_records, max_records),
                  ("max_bytes", max_bytes, None if max_bytes is None else max_bytes // stride)]
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


def spare_disk(budget: Budget, free: int, packed: int = 0) -> None:
    """End the capture before the host's disk is full. free: bytes; packed: what the records need once more to be handed
    over.
    """
    reserve = limits.DISK_RESERVE + packed
    if free < reserve and not budget.limits:
        budget.hit("disk", reserve, "only %d MiB are free on the disk" % (free >> 20))


class Spool:
    """records.bin of a run directory, which is the current one."""

    def __init__(self, directory: str, budget: Budget, stride: int) -> None:
        self.budget = budget
        self._stride = stride
        self._directory = directory
        self._file = files.open_new(files.RECORDS)
        with contextlib.suppress(OSError):    # a file system that has no locks
            fcntl.flock(self._file, fcntl.LOCK_EX)    # for as long as this process lives: salvage.py sees that it does

    def take(self, records: Any) -> None:
        """Append whole records; a disk that runs full ends the capture and leaves whole records only."""
        if not self._is_there():
            self.budget.cut += len(records) // self._stride
            return
        allowed = self.budget.allow(len(records) // self._stride)
        waiting = memoryview(records)[:allowed * self._stride]
        try:
            while waiting:
                waiting = waiting[self._file.write(waiting):]
        except OSError as error:
            if error.errno not in files.NO_ROOM:
                raise
            whole = self._file.tell() // self._stride
            self._file.truncate(whole * self._stride)
            self.budget.cut += self.budget.kept - whole
            self.budget.kept = whole
            self.budget.hit("disk", 0, "the disk is full")

    def check(self) -> bool:
        """Whether the capture can go on; called now and then. Stops before the host's disk is full, or when somebody
        touched the file.
        """
        try:
            free = limits.free_bytes(self._directory)
        except OSError:  # the run directory was removed: nobody wants these records any more
            return False
        spare_disk(self.budget, free, self.budget.kept * self._stride // _PACKED)
        self._note_damage()
        return True

    def _is_there(self) -> bool:
        """Whether the file is what was written, under its name."""
        try:
            named, opened = os.lstat(files.RECORDS), os.fstat(self._file.fileno())
        except FileNotFoundError:
            return False
        return named.st_ino == opened.st_ino and opened.st_size == self.budget.kept * self._stride

    def _note_damage(self) -> None:
        """End the capture if somebody removed the file, or cut it off. What is missing counts as written: who reads the
        bundle sees how much of that is not there.
        """
        if not self._is_there() and not self.budget.limits:
            self.budget.hit("spool", 0, "somebody removed %s, or cut it off" % files.RECORDS)

    def close(self) -> None:
        """Finish the file; one that is gone is empty, and one that was cut off ends with its last whole record."""
        self._note_damage()
        if not os.path.lexists(files.RECORDS):
            files.open_new(files.RECORDS).close()
        self._file.truncate(os.fstat(self._file.fileno()).st_size // self._stride * self._stride)
        self._file.close()
