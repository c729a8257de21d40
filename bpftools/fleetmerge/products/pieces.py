# SPDX-License-Identifier: Apache-2.0
"""Pieces of timeline.log and of the Parquet files, written by whoever has the time, and joined in their order: bytes
are moved as they are, and nothing is compressed twice."""
import os
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..bundle.labels import Labels
from ..packet.identity import Renaming
from .batch import make_batch
from .columns import FEW_VALUES, table
from .footer import FILE_GROUPS, FILE_ROWS, Reader, Struct, moved, with_groups
from .frames import packets
from .journeys import journeys_of, noted
from .lines import lines
from .pcapng import Interfaces
from .remarks import remarks

_MAGIC = b"PAR1"
_MOST = 1 << 30    # bytes that are moved at once


def write_pieces(parts: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]], labels: Sequence[Labels],
                 renamed: Renaming, records: Sequence[str], text: str, rows: str, frames: str = "",
                 interfaces: Interfaces | None = None, notes: Sequence[str] = ()) -> None:
    """Write the lines and the rows of one range to two files, and, if there are interfaces, its packets to a third.
    parts: as batch.make_batch() takes them; records: files that say which records show which journeys; notes: files
    with what there is to say of some."""
    batch = make_batch(parts, [names.fields for names in labels])
    with open(text, "wb", opener=_private) as handle:
        handle.write(memoryview(lines(batch, labels)))
    journeys = journeys_of(records, batch.bundle, batch.number)
    write_table(table(batch, labels, renamed, journeys), rows)
    if interfaces:
        with open(frames, "wb", opener=_private) as handle:
            said = remarks(batch, labels, *noted(notes, batch.bundle, batch.number), interfaces.places)
            handle.write(memoryview(packets(batch, labels, interfaces, journeys, said)))


def write_table(rows: pa.Table, path: str, **options: Any) -> None:
    """Write a piece of a Parquet file: one row group."""
    write_tables([rows], rows.schema, path, **options)


def write_tables(tables: Iterable[pa.Table], schema: pa.Schema, path: str, **options: Any) -> None:
    """Write a piece of a Parquet file: a row group of each table."""
    options = {"compression": "lz4", "write_statistics": ["time", "host", "flow"], "use_dictionary": FEW_VALUES,
               **options}
    with open(path, "wb", opener=_private) as handle, pq.ParquetWriter(handle, schema, **options) as writer:
        for rows in tables:
            writer.write_table(rows.unify_dictionaries(), row_group_size=max(1, len(rows)))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class JoinedText:
    """One file of many; a context manager."""

    def __init__(self, path: str) -> None:
        self._file: BinaryIO = open(path, "wb", opener=_private)

    def __enter__(self) -> "JoinedText":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Put bytes behind the files before them."""
        self._file.write(data)
        self._file.flush()

    def add(self, path: str) -> None:
        """Put a file behind those before it, and remove it."""
        with open(path, "rb") as piece:
            _append(piece, self._file, os.fstat(piece.fileno()).st_size)
        os.unlink(path)


class JoinedParquet:
    """One Parquet file of many with the same columns: their row groups, one after the other; a context manager."""

    def __init__(self, path: str) -> None:
        self._file: BinaryIO = open(path, "wb", opener=_private)
        self._file.write(_MAGIC)
        self._file.flush()
        self._footer: Struct = {}
        self._groups: list[bytes] = []
        self._rows = 0

    def __enter__(self) -> "JoinedParquet":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not error:
            end = with_groups(self._footer, self._groups, self._rows)
            self._file.write(end + len(end).to_bytes(4, "little") + _MAGIC)
        self._file.close()

    def add(self, path: str) -> None:
        """Put a file's rows behind those before them, and remove it."""
        with open(path, "rb") as piece:
            footer, length = _footer(piece)
            by = self._file.tell() - len(_MAGIC)
            _append(piece, self._file, length)
        os.unlink(path)
        self._footer = self._footer or footer
        for group in footer[FILE_GROUPS][1][1]:
            self._groups.append(moved(group, by, len(self._groups)))
        self._rows += footer[FILE_ROWS][1]


def _footer(piece: BinaryIO) -> tuple[Struct, int]:
    """Return (a Parquet file's footer, how many bytes of pages it has); it is at its first page then."""
    end = os.fstat(piece.fileno()).st_size - 8
    piece.seek(end)
    length = int.from_bytes(piece.read(4), "little")
    piece.seek(end - length)
    footer = Reader(piece.read(length)).struct()
    piece.seek(len(_MAGIC))
    return footer, end - length - len(_MAGIC)


def _append(piece: BinaryIO, into: BinaryIO, count: int) -> None:
    """Move `count` bytes of a file, from where it is, to the end of another: within the kernel, where that can be."""
    source, target = piece.fileno(), into.fileno()
    place, end = piece.tell(), into.tell()
    while count:
        try:
            done = os.copy_file_range(source, target, min(count, _MOST), place, end)
        except OSError:    # not between these file systems
            done = os.pwrite(target, os.pread(source, min(count, 1 << 24), place), end)
        if not done:
            raise OSError("%s ended too soon" % piece.name)
        place, end, count = place + done, end + done, count - done
    into.seek(end)
