# SPDX-License-Identifier: Apache-2.0
"""A run in one file: what goes in comes out, and nothing else is let out."""
import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fleet import Fleet, merged

from fleetmerge.archive.pack import pack
from fleetmerge.archive.unpack import unpack
from fleetmerge.errors import MergeError


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    fleet = Fleet()
    fleet.talk(count=20)
    run = fleet.write(tmp_path / "captures")
    (run / "outcome.json").write_text(json.dumps({"hosts": {"hv-a": None, "hv-b": None, "hv-c": None}}))
    return run


def tree(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_what_goes_in_comes_out(captured: Path, tmp_path: Path) -> None:
    files = tree(captured)
    (captured / "summary.json").write_text("{}")     # what the merge makes is made again
    (captured / "hosts" / "hv-a" / "datapath_tracing" / "notes").write_text("no part of a bundle")
    path = Path(pack(str(captured)))
    assert path == captured.parent / (captured.name + ".tar.zst") and path.stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "elsewhere" / "under another name.tar.zst"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(path.read_bytes())
    home = Path(unpack(str(elsewhere)))
    assert home == elsewhere.parent / captured.name
    sums = (home / "checksums.sha256").read_text()
    assert tree(home) == dict(files, **{"checksums.sha256": sums.encode()})
    assert sums == "".join("%s  %s\n" % (hashlib.sha256(files[name]).hexdigest(), name) for name in [
        line.split("  ")[1] for line in sums.splitlines()])
    assert all(one.stat().st_mode & 0o77 == 0 for one in home.rglob("*"))
    assert unpack(str(elsewhere)) == str(home)    # it is there
    assert merged(home)["packets"] == merged(captured)["packets"] == 40
    assert set(os.listdir(elsewhere.parent)) == {captured.name, elsewhere.name, "latest"}


def test_the_same_run_gives_the_same_bytes(captured: Path, tmp_path: Path) -> None:
    first = Path(pack(str(captured))).read_bytes()
    for path in captured.rglob("*"):
        os.utime(path, (1, 1))
    (tmp_path / "other").mkdir()
    assert Path(pack(str(captured), into=str(tmp_path / "other"))).read_bytes() == first
    with tarfile.open(fileobj=pa.input_stream(pa.BufferReader(first), compression="zstd"), mode="r|") as tar:
        assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in tar} == {(0, 0, 0, "", 0o600)}


def test_what_is_no_run_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(MergeError, match="run holds no bundle that could be packed"):
        pack(str(tmp_path / "run"))
    assert os.listdir(tmp_path) == ["run"]


Member = tuple[tarfile.TarInfo, bytes]
RUN = "20261122T112750Z"
BUNDLE = RUN + "/hosts/hv-a/drop_monitor/"


def member(name: str, content: bytes = b"x", **fields: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def write(path: Path, *members: Member, end: bytes = bytes(1024)) -> Path:
    with pa.CompressedOutputStream(str(path), "zstd") as out:
        for info, content in members:
            out.write(info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512))
        out.write(end)
    return path


def sums(*members: Member) -> Member:
    return member(RUN + "/checksums.sha256", "".join("%s  %s\n" % (
        hashlib.sha256(content).hexdigest(), info.name.partition("/")[2]) for info, content in members).encode())


MANIFEST = member(BUNDLE + "manifest.json", b"{}")
HOSTILE: dict[str, tuple[Callable[[], tuple[Member, ...]], str]] = {
    "absolute": (lambda: (member("/etc/passwd"),), "'/etc/passwd' does not belong"),
    "upwards": (lambda: (member(RUN + "/hosts/../../../x/manifest.json"),), "does not belong into the"),
    "hidden": (lambda: (member(".ssh/hosts/a/b/manifest.json"),), "does not belong"),
    "another file": (lambda: (member(BUNDLE + "run.py"),), "does not belong"),
    "a product": (lambda: (member(RUN + "/report.html"),), "does not belong"),
    "a link": (lambda: (member(BUNDLE + "manifest.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),),
               "is no regular file of one run"),
    "a hard link": (lambda: (member(BUNDLE + "records.bin", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"),),
                    "is no regular file"),
    "a device": (lambda: (member(BUNDLE + "records.bin", b"", type=tarfile.CHRTYPE),), "is no regular file"),
    "a long name": (lambda: (member(BUNDLE + "x" * 200),), "does not belong"),
    "two runs": (lambda: (MANIFEST, member("other/hosts/a/b/manifest.json")), "is no regular file of one run"),
    "twice": (lambda: (MANIFEST, MANIFEST), "or is there twice"),
    "a bomb": (lambda: (member(BUNDLE + "records.bin", size=1 << 50),), "take more room than there is, or than 64 GiB"),
    "less than nothing": (lambda: (member(BUNDLE + "records.bin", size=-(1 << 40)),), "take more room than there is"),
    "too short": (lambda: (member(BUNDLE + "records.bin", size=1 << 20),), "it ends within a file"),
    "no checksums": (lambda: (MANIFEST,), "it ends without its checksums"),
    "another checksum": (lambda: (MANIFEST, sums(member(BUNDLE + "manifest.json", b"{ }"))), "do not have the"),
    "a file too few": (lambda: (MANIFEST, sums(MANIFEST, member(BUNDLE + "records.bin"))), "do not have the checksums"),
    "a file too many": (lambda: (MANIFEST, member(BUNDLE + "tracer.log"), sums(MANIFEST)), "do not have the checksums"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    make, sentence = HOSTILE[name]
    path = write(tmp_path / "sent.tar.zst", *make())
    with pytest.raises(MergeError) as refusal:
        unpack(str(path))
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(str(path))
    assert os.listdir(tmp_path) == ["sent.tar.zst"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x28\xb5\x2f\xfd" + bytes(40)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sent.tar.zst"
    path.write_bytes(content)
    with pytest.raises(MergeError) as refusal:
        unpack(str(path))
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_is_there_already_is_left_alone(captured: Path, tmp_path: Path) -> None:
    path = pack(str(captured))
    (captured / "outcome.json").write_text("{}")
    with pytest.raises(MergeError, match="is there already, and is not what the archive holds"):
        unpack(path)
    assert (captured / "outcome.json").read_text() == "{}"
