# SPDX-License-Identifier: Apache-2.0
"""Put a run into one file to send. The same run gives the same bytes, whoever packs it, wherever and whenever."""
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from ..bundle.find import HOSTS
from ..errors import MergeError
from ..whole import replacing
from .layout import BLOCK, BUNDLE, CHECKSUMS, CODEC, MOST_FILES, OWN, SUFFIX, check_name

_PIECE = 1 << 20


def pack(run: str, into: str = "", suffix: str = "") -> str:
    """Pack a run's directory; return the archive, RUN.tar.zst beside it, or in the directory `into`, only its owner's.
    suffix: to the name of that file. MergeError, and nothing is left, if it cannot be."""
    run = os.path.realpath(run)
    name = os.path.basename(run)
    files = list(_files(run))
    if not any(member.startswith(HOSTS + "/") for member in files):
        raise MergeError("%s holds no bundle that could be packed" % run)
    if len(files) > MOST_FILES:
        raise MergeError("%s holds %d files, and at most %d are packed" % (run, len(files), MOST_FILES))
    path = os.path.join(into or os.path.dirname(run), name + suffix + SUFFIX)
    try:
        with replacing(path) as out, pa.CompressedOutputStream(out, CODEC) as packed:
            _write(packed, run, name, files)
    except (OSError, ValueError) as error:
        raise MergeError("%s cannot be packed into %s: %s" % (run, path, error)) from error
    return path


def _files(run: str) -> Iterator[str]:
    """Yield the files to pack, in their order, relative to the run's directory."""
    for name in OWN:
        if _is_file(os.path.join(run, name)):
            yield name
    hosts = os.path.join(run, HOSTS)
    for host in _directories(hosts):
        for tracer in _directories(os.path.join(hosts, host)):
            for name in BUNDLE:
                if _is_file(os.path.join(hosts, host, tracer, name)):
                    yield "/".join((HOSTS, host, tracer, name))


def _is_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _directories(path: str) -> list[str]:
    found = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [name for name in found if os.path.isdir(os.path.join(path, name))
            and not os.path.islink(os.path.join(path, name))]


def _write(packed: BinaryIO, run: str, name: str, files: list[str]) -> None:
    sums = []
    for member in files:
        check_name("%s/%s" % (name, member))
        with open(os.path.join(run, member), "rb") as source:
            sums.append("%s  %s\n" % (_add(packed, "%s/%s" % (name, member), source), member))
    _add(packed, "%s/%s" % (name, CHECKSUMS), io.BytesIO("".join(sums).encode()))
    packed.write(bytes(2 * BLOCK))


def _add(packed: BinaryIO, name: str, source: BinaryIO) -> str:
    """Add a file; return its SHA-256. One that grows meanwhile is cut off where it ended."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = source.seek(0, os.SEEK_END), 0o600
    source.seek(0)
    packed.write(info.tobuf(tarfile.USTAR_FORMAT, "utf-8"))
    digest, left = hashlib.sha256(), info.size
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise ValueError("%s became shorter while it was read" % name)
        digest.update(piece)
        packed.write(piece)
        left -= len(piece)
    packed.write(bytes(-info.size % BLOCK))
    return digest.hexdigest()
