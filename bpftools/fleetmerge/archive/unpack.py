# SPDX-License-Identifier: Apache-2.0
"""Open the archive of a run that somebody sent: data of a stranger. Only regular files with the names that a run has,
each once, of bounded size, with the checksums that the archive says; nothing is left of one that is refused."""
import hashlib
import os
import shutil
import tarfile
import tempfile
from contextlib import suppress
from typing import BinaryIO

import pyarrow as pa

from ..errors import MergeError
from .layout import BLOCK, CHECKSUMS, CODEC, MOST_FILES, SUFFIX, check_name

MOST_BYTES = 64 << 30
_PIECE = 1 << 20
_CHECKSUM_BYTES = 4 << 20


def unpack(path: str, most: int = MOST_BYTES) -> str:
    """Unpack an archive beside itself; return the run's directory, which may be there already if it is the same run.

    most: bytes that its files may take. Raises MergeError.
    """
    parent = os.path.dirname(os.path.realpath(path))
    try:
        scratch = tempfile.mkdtemp(prefix=".unpack-", dir=parent)
        try:
            # of Arrow's own errors, too, OSError is the base
            with pa.input_stream(os.path.realpath(path), compression=CODEC) as packed:
                run, sums = _Reader(packed, scratch, most).read()
            home = os.path.join(parent, run)
            if not os.path.lexists(home):
                os.rename(os.path.join(scratch, run), home)
            elif _sums_of(home, sums) != sums:
                raise MergeError("%s is there already, and is not what the archive holds" % home)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise MergeError("%s cannot be opened as the archive of a run, NAME%s: %s"
                         % (path, SUFFIX, str(error).split("\n")[0])) from error
    except MergeError as error:
        raise MergeError("%s is refused: %s" % (path, error)) from error
    return home


class _Reader:
    """Reads the members of one archive into a directory."""

    def __init__(self, packed: BinaryIO, directory: str, most: int) -> None:
        self._packed, self._directory, self._left = packed, directory, most
        self._sums: dict[str, str] = {}
        self._run = ""

    def read(self) -> tuple[str, dict[str, str]]:
        """Return the run's name, and the SHA-256 of each file, by its name in the run."""
        while (header := self._take(BLOCK)).strip(b"\0"):
            info = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
            self._member(info)
            if info.name.endswith("/" + CHECKSUMS):
                return self._run, self._checked()
        raise MergeError("it ends without its checksums")

    def _member(self, info: tarfile.TarInfo) -> None:
        run = check_name(info.name)
        self._run = self._run or run
        name = info.name[len(run) + 1:]
        if info.type != tarfile.REGTYPE or run != self._run or name in self._sums:
            raise MergeError("%.200r is no regular file of one run, or is there twice" % info.name)
        if len(self._sums) > MOST_FILES:
            raise MergeError("it holds more than %d files" % MOST_FILES)
        if not 0 <= info.size <= min(self._left, shutil.disk_usage(self._directory).free):
            raise MergeError("its files take more room than there is, or than %d GiB" % (MOST_BYTES >> 30))
        if name == CHECKSUMS and info.size > _CHECKSUM_BYTES:
            raise MergeError("its checksums are larger than %d MiB" % (_CHECKSUM_BYTES >> 20))
        self._left -= info.size
        self._sums[name] = self._save(info.name, info.size)

    def _save(self, name: str, size: int) -> str:
        """Write a member to its place, for its owner alone; return its SHA-256."""
        place = self._directory
        for part in name.split("/")[:-1]:
            place = os.path.join(place, part)
            with suppress(FileExistsError):
                os.mkdir(place, 0o700)
        digest = hashlib.sha256()
        with open(os.path.join(self._directory, name), "xb", opener=_private) as out:
            for at in range(0, size, _PIECE):
                piece = self._take(min(_PIECE, size - at))
                digest.update(piece)
                out.write(piece)
        self._take(-size % BLOCK)
        return digest.hexdigest()

    def _take(self, count: int) -> bytes:
        data = self._packed.read(count)
        if len(data) < count:
            raise MergeError("it ends within a file")
        return data

    def _checked(self) -> dict[str, str]:
        """Compare with what the archive says of itself."""
        path = os.path.join(self._directory, self._run, CHECKSUMS)
        del self._sums[CHECKSUMS]
        with open(path, encoding="utf-8") as handle:
            said = [line.rstrip("\n").partition("  ")[::2] for line in handle]
        if sorted((name, digest) for digest, name in said) != sorted(self._sums.items()):
            raise MergeError("its files do not have the checksums that it says")
        return self._sums


def _sums_of(run: str, names: dict[str, str]) -> dict[str, str]:
    """Return the SHA-256 of files in a directory, as far as they are there."""
    out = {}
    for name in names:
        path = os.path.join(run, name)
        if os.path.isfile(path) and not os.path.islink(path):
            digest = hashlib.sha256()
            with open(path, "rb") as handle:
                for piece in iter(lambda: handle.read(_PIECE), b""):
                    digest.update(piece)
            out[name] = digest.hexdigest()
    return out


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
