# SPDX-License-Identifier: Apache-2.0
"""Files of a run directory: private, whole, never by way of a link, and written even to a disk that is full by then."""
import json
import os
import pathlib
import stat
import subprocess
import types

import pytest

from skbtrace.capture import files, rundir
from skbtrace.errors import InputError


def test_a_link_is_replaced_and_never_followed(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "records.bin").symlink_to(victim)
    with files.open_new(str(tmp_path / "records.bin")) as handle:
        handle.write(b"records")
    assert victim.read_text() == "precious"
    assert (tmp_path / "records.bin").read_bytes() == b"records"
    assert stat.S_IMODE((tmp_path / "records.bin").lstat().st_mode) == 0o600


def test_neither_links_nor_pipes_are_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"."):
            files.read_foreign(str(tmp_path / name), 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_the_manifest_has_its_room_on_a_full_disk(tmp_path: pathlib.Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=True)
    try:
        reserved = files.ReservedJson(str(tmp_path / "manifest.json"), 1 << 17)
        with pytest.raises(OSError, match="No space left"), open(tmp_path / "filler", "wb", 0) as filler:
            while True:
                filler.write(bytes(4096))
        with pytest.raises(OSError, match="No space left"):
            files.write_json(str(tmp_path / "status.json"), {"state": "x" * 100})
        reserved.write({"why": "y" * 100000})
        assert len(json.loads((tmp_path / "manifest.json").read_text())["why"]) == 100000
        with pytest.raises(OSError, match="No space left"):
            files.ReservedJson(str(tmp_path / "another"), 1 << 20)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def run_dir(path: pathlib.Path) -> rundir.RunDir:
    """The directory as the tracer takes it; the test goes on where it was."""
    before = os.getcwd()
    try:
        return rundir.RunDir(types.SimpleNamespace(run_dir=str(path), wait_window=None, measure=None))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700])
def test_a_directory_that_was_there_keeps_its_mode(tmp_path: pathlib.Path, mode: int) -> None:
    place = tmp_path / "there"
    place.mkdir()
    place.chmod(mode)
    run_dir(place)
    assert stat.S_IMODE(place.stat().st_mode) == mode
    assert stat.S_IMODE((place / "status.json").stat().st_mode) == 0o600


def test_a_directory_that_is_made_is_its_owner_s_alone(tmp_path: pathlib.Path) -> None:
    run_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_directory_into_which_everybody_may_write_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    with pytest.raises(InputError, match="it must be a directory into which not everybody may write"):
        run_dir(tmp_path / "open")
    assert list((tmp_path / "open").iterdir()) == []


def test_links_of_the_directory_s_owner_lead_nowhere(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    (tmp_path / "theirs").mkdir()
    for name in ("status.json", "status.json.new"):
        (tmp_path / "theirs" / name).symlink_to(victim)
    run_dir(tmp_path / "theirs")
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)
    assert not (tmp_path / "theirs" / "status.json").is_symlink()
