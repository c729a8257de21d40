# SPDX-License-Identifier: Apache-2.0
"""Captures at once on a host see each other, and what a dead one leaves is nobody's."""
import os
import pathlib
import subprocess
import sys
import types

import pytest

from skbtrace.capture import sharing
from skbtrace.host import clock, roster

ROOT = pathlib.Path(__file__).resolve().parents[3]
JOIN = """
import sys
sys.path.insert(0, sys.argv[1])
from skbtrace.host.roster import Roster
one = Roster(sys.argv[3], sys.argv[2])
one.join()
print("joined", flush=True)
sys.stdin.read()
one.leave()
"""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "skbfleet"


@pytest.fixture
def join(place):
    """Join as a process of its own."""
    started = []

    def begin(capture: str) -> subprocess.Popen:
        words = [sys.executable, "-c", JOIN, str(ROOT / "bpftools"), str(place), capture]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "joined\n"
        return process
    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_captures_see_each_other_but_not_their_own_other_tracer(place, join):
    mine = roster.Roster("mine", str(place))
    mine.join()
    assert mine.others() == []
    join("mine")
    join("theirs")
    leaves = join("third")
    assert mine.others() == ["theirs", "third"]
    leaves.communicate("")
    assert mine.others() == ["theirs"]


def test_a_tracer_that_was_killed_does_not_count_and_its_file_is_removed(place, join):
    mine = roster.Roster("mine", str(place))
    killed = join("theirs")
    assert mine.others() == ["theirs"]
    killed.kill()
    killed.wait()
    assert mine.others() == []
    assert list(place.iterdir()) == []


def test_whoever_leaves_last_leaves_nothing(place, join):
    other = join("theirs")
    mine = roster.Roster("mine", str(place))
    mine.join()
    assert (place.stat().st_mode & 0o777, len(list(place.iterdir()))) == (0o700, 2)
    mine.leave()
    mine.leave()
    assert len(list(place.iterdir())) == 1
    other.communicate("")
    assert not place.exists()
    assert mine.others() == []


def test_what_lies_there_is_only_looked_at(place, join):
    """Root alone can put anything there; a link or a pipe is not followed, and does not hold anybody up."""
    outside = place.parent / "outside"
    outside.write_text("")
    mine = roster.Roster("mine", str(place))
    mine.join()
    (place / "link@1").symlink_to(outside)
    os.mkfifo(place / "pipe@1")
    (place / "directory@1").mkdir()
    assert mine.others() == []
    assert outside.exists()
    assert (place / "directory@1").exists()


@pytest.mark.parametrize("prepare", [
    lambda place: place.symlink_to(place.parent), lambda place: place.write_text(""),
    lambda place: (place.mkdir(), place.chmod(0o777)),
], ids=["link", "file", "open"])
def test_a_directory_of_others_is_not_used(place, prepare):
    prepare(place)
    with pytest.raises(OSError, match="does not belong"):
        roster.Roster("mine", str(place)).join()


class Limit:
    """A rate limit without a kernel."""

    records_per_s = now = 100

    def divide(self, parts: int) -> None:
        self.now = 100 // parts


@pytest.fixture
def share(place):
    """A capture that shares its limit, and its window, which is open."""
    window = types.SimpleNamespace(start_ns=clock.monotonic_ns(), is_set=lambda: True)
    return sharing.Sharing("mine", Limit(), str(place)), window


def test_the_limit_is_shared_while_there_are_others(share, join):
    mine, window = share
    mine.look(window)
    assert (mine._limit.now, mine.guards(), mine.met) == (100, {}, [])
    second, third = join("second"), join("third")
    mine.look(window)
    assert mine._limit.now == 33
    third.communicate("")
    mine.look(window)
    assert mine._limit.now == 50
    second.kill()
    second.wait()
    mine.look(window)
    assert mine._limit.now == 100
    assert mine.guards() == {"captures": 3, "least_rate": 33}
    assert mine.met == ["second", "third"]
    mine.end()


def test_a_window_far_away_takes_nothing_of_the_ceiling(share, place):
    mine, window = share
    window.start_ns = clock.monotonic_ns() + 60 * 10 ** 9
    mine.look(window)
    assert not place.exists()
    window.start_ns = clock.monotonic_ns() + 10 ** 8
    mine.look(window)
    assert len(list(place.iterdir())) == 1
    mine.end()
    assert not place.exists()


def test_a_host_where_others_cannot_be_seen_says_so_and_goes_on(share, place):
    mine, window = share
    place.write_text("")
    mine.look(window)
    mine.look(window)
    assert "does not belong" in mine.problem
    assert (mine._limit.now, mine.guards()) == (100, {})
    mine.end()
