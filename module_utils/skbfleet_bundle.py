# SPDX-License-Identifier: Apache-2.0
"""The bundle on its way: packed on the host, unpacked on the controller. Both ends know the same few file names."""
import hashlib
import os
import shutil
import tarfile
import zlib

from ansible.module_utils.skbfleet_rundir import PROGRAMS, RunError

FILES = ("manifest.json", "records.bin", "tracer.log")
NAMES = {name + "/" + part for name in PROGRAMS for part in FILES}


def sha256(path):
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
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


def unpack(path, expected, target):
    """Unpack a fetched bundle into the target directory after checking it; return the names of its files.

    Whoever rules a hypervisor may not write elsewhere on the controller: only regular files with known names.
    """
    actual = sha256(path)
    if actual != expected:
        raise RunError("the bundle %s was damaged on its way: its SHA-256 is %s, the host said %s"
                       % (path, actual, expected))
    names = []
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() else None
                if source is None or member.name not in NAMES:
                    raise RunError("the bundle %s holds %r: allowed are regular files named %s"
                                   % (path, member.name, ", ".join(sorted(NAMES))))
                place = os.path.join(target, member.name)
                os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
                with open(place, "wb") as handle:
                    os.fchmod(handle.fileno(), 0o600)
                    shutil.copyfileobj(source, handle, 1 << 20)
                names.append(member.name)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise RunError("the bundle %s cannot be unpacked into %s: %s" % (path, target, error)) from error
    return names
