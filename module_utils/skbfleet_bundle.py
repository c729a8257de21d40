# SPDX-License-Identifier: Apache-2.0
"""The bundle on its way: packed on the host, unpacked on the controller. Both ends know the same few file names."""
import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from typing import Any, List  # noqa: F401 (in type comments)

from ansible.module_utils.skbfleet_rundir import PROGRAMS, RunError

FILES = ("manifest.json", "records.bin", "evidence.json", "tracer.log")
BLOCK = 1 << 20
MANIFEST_BYTES = 64 << 20   # stacks and symbols of a long run are a few MB
MANIFEST_VALUES = 3000000
LONG_TEXT = re.compile(rb'"(?:[^"\\]|\\.){4097}', re.DOTALL)  # no name and no reason is as long
NAMES = {name + "/" + part for name in PROGRAMS for part in FILES}


def sha256(path):
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def pack(run_dir, tracers, owner):
    """Pack the tracers' files into one archive that only the owner (a user id) can read; return path, bytes, sha256."""
    directory = os.path.join(run_dir, "bundle")
    path = os.path.join(directory, "bundle.tar.gz")
    # made anew: after an earlier hand-over it belongs to the owner, who could have put a link there
    shutil.rmtree(directory, ignore_errors=True)
    try:
        os.mkdir(directory, 0o700)
        with open(path, "wb") as handle:
            os.fchmod(handle.fileno(), 0o600)
            # level 1: the link is seldom slower than a better compression on a busy host
            with tarfile.open(fileobj=handle, mode="w:gz", compresslevel=1) as tar:
                for tracer in tracers:
                    for part in FILES:
                        if os.path.exists(tracer.path(part)):
                            tar.add(tracer.path(part), arcname=tracer.name + "/" + part)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise RunError("the bundle cannot be written to %s: %s" % (directory, error.strerror)) from error
    os.chown(path, owner, -1)
    os.chown(directory, owner, -1)
    return {"path": path, "bytes": os.path.getsize(path), "sha256": sha256(path)}


class Bounded:
    """A file of which only a little is read at once: tarfile takes a header into memory however large it says it is."""

    def __init__(self, handle):
        self.seek, self.tell, self._read = handle.seek, handle.tell, handle.read

    def read(self, size):
        """Return bytes; raises ValueError if more are wanted than any part of a bundle needs at once."""
        if not 0 <= size <= BLOCK:
            raise ValueError("one of its headers is larger than %d MiB" % (BLOCK >> 20))
        return self._read(size)


def unpack(path, expected, target, most):
    """Unpack a fetched bundle into the target directory after checking it; return the names of its files.

    Whoever rules a hypervisor may not write elsewhere on the controller, nor fill its disk: only regular files with
    known names, each once, and not more than `most` bytes of them.
    """
    actual = sha256(path)
    if actual != expected:
        raise RunError("the bundle %s was damaged on its way: its SHA-256 is %s, the host said %s"
                       % (path, actual, str(expected)[:64]))
    names = []  # type: List[str]
    try:
        with gzip.open(path) as packed:
            bounded = Bounded(packed)  # type: Any
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                for member in tar:
                    most -= member.size
                    check_member(path, member, names, most)
                    save(tar.extractfile(member), os.path.join(target, member.name))
                    names.append(member.name)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, MemoryError) as error:
        raise RunError("the bundle %s cannot be unpacked into %s: %s" % (path, target, error)) from error
    return names


def unpack_whole(path, expected, target, most, host, run_id):
    """Unpack a fetched bundle beside itself, check whom it speaks for, and only then put its files into the target
    directory; return their names. The bundle is removed in any case."""
    directory = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".unpack-")
    try:
        names = unpack(path, expected, directory, most)
        check_origin(directory, host, run_id)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(directory, target)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.unlink(path)
    return names


def check_member(path, member, names, left):
    """Refuse what no bundle holds: another kind of file, another name, the same one again, more bytes than agreed."""
    if not member.isfile() or member.name not in NAMES or member.name in names:
        raise RunError("the bundle %s holds %.100r: allowed are regular files named %s, each once"
                       % (path, member.name, ", ".join(sorted(NAMES))))
    if left < 0:
        raise RunError("the bundle %s holds more than capture_max_bytes allows: %s has %d bytes"
                       % (path, member.name, member.size))


def save(source, place):
    """Write a member to its place, for its owner alone."""
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    with open(place, "wb") as handle:
        os.fchmod(handle.fileno(), 0o600)
        shutil.copyfileobj(source, handle, BLOCK)


def check_origin(directory, host, run_id):
    """Refuse a bundle that speaks for another host, tracer or run than the one that it was fetched for."""
    for tracer in sorted(PROGRAMS):
        path = os.path.join(directory, tracer, "manifest.json")
        if not os.path.exists(path):
            continue
        manifest = read_manifest(path)
        for key, true in (("host", host), ("run_id", run_id), ("tracer", tracer)):
            if manifest.get(key) != true:
                raise RunError("the manifest of the %s says that its %s is %.100r: it came from %r, in run %s"
                               % (tracer, key, manifest.get(key), host, run_id))


def read_manifest(path):
    """Return a manifest, after a look at its size: a small file can become large in memory."""
    with open(path, "rb") as handle:
        content = handle.read(MANIFEST_BYTES + 1)
    values = content.count(b",") + content.count(b"[") + content.count(b"{")
    if len(content) > MANIFEST_BYTES or values > MANIFEST_VALUES:
        raise RunError("%s is larger than %d MiB or has more than %d values"
                       % (path, MANIFEST_BYTES >> 20, MANIFEST_VALUES))
    if LONG_TEXT.search(content):
        raise RunError("%s has a text of more than 4096 bytes" % path)
    try:
        manifest = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RunError("%s is not JSON" % path) from None
    return manifest if isinstance(manifest, dict) else {}
