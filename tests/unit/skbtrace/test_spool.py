# SPDX-License-Identifier: Apache-2.0
"""The file of records: whole records only, and what others do to it is noticed and counted."""
import os
import pathlib

import pytest

from skbtrace.capture.spool import Budget, Spool

STRIDE = 10


@pytest.fixture
def spool(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("skbtrace.host.limits.DISK_RESERVE", 0)
    return Spool(str(tmp_path), Budget(None, None, STRIDE), STRIDE)


def test_records_are_kept_in_order(spool, tmp_path):
    for byte in (b"a", b"b"):
        spool.take(byte * 3 * STRIDE)
        assert spool.check()
    spool.close()
    assert (spool.budget.kept, spool.budget.cut, spool.budget.limits) == (6, 0, [])
    assert (tmp_path / "records.bin").read_bytes() == b"a" * 30 + b"b" * 30


@pytest.mark.parametrize(("touch", "left"), [
    (os.unlink, 0), (lambda path: os.truncate(path, 15), 10), (lambda path: os.rename(path, str(path) + ".old"), 0),
], ids=["removed", "cut off", "moved"])
@pytest.mark.parametrize("looks", [True, False])
def test_a_file_that_somebody_touched_ends_the_capture(spool, tmp_path, touch, left, looks):
    spool.take(bytes(3 * STRIDE))
    touch(tmp_path / "records.bin")
    assert not looks or spool.check()
    spool.take(bytes(2 * STRIDE))
    spool.close()
    assert (spool.budget.kept, spool.budget.cut) == (3, 2)
    assert [limit["limit"] for limit in spool.budget.limits] == ["spool"]
    assert (tmp_path / "records.bin").stat().st_size == left


def test_what_comes_when_a_limit_was_reached_is_kept_if_there_is_room(spool, tmp_path):
    spool.budget.hit("disk", 0, "little room")
    spool.take(bytes(2 * STRIDE))
    spool.close()
    assert (spool.budget.kept, len(spool.budget.limits)) == (2, 1)


@pytest.mark.parametrize(("free", "ended"), [(75, False), (74, True)])
def test_records_leave_room_to_be_packed(spool, monkeypatch, free, ended):
    monkeypatch.setattr("skbtrace.host.limits.free_bytes", lambda _place: free)
    spool.take(bytes(30 * STRIDE))
    assert spool.check()
    assert [limit["limit"] for limit in spool.budget.limits] == ["disk"] * ended


def test_a_directory_that_is_gone_ends_it(spool, tmp_path):
    (tmp_path / "records.bin").unlink()
    tmp_path.rmdir()
    assert not spool.check()
