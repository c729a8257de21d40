# SPDX-License-Identifier: Apache-2.0
"""The directories of runs on a host: who may own them, what is brought there, what stays, and what goes."""
import base64
import os
import stat
import tarfile

import pytest
from ansible.module_utils import skbfleet_examine
from ansible.module_utils.skbfleet_rundir import RunError, Tracer, strike_off


def test_a_run_that_is_not_there(host):
    with pytest.raises(RunError, match="there is no run run1 in .* on this host"):
        host.state("finished")


@pytest.mark.parametrize("params", [{"run_id": "../x"}, {"run_id": ".."}, {"remote_dir": "/var/tmp"},
                                    {"remote_dir": "/x\0/skbfleet"}, {"run_id": "x\0"}])
def test_names_that_lead_elsewhere_are_refused(host, params):
    with pytest.raises(RunError, match="it must be"):
        host.state("absent", **params)


def test_absent_without_a_name_removes_all_runs_and_nothing_else(host):
    host.push()
    host.push("run2")
    other = host.base / "precious"
    other.mkdir()
    (other / "file").write_text("x")
    assert host.state("absent", run_id=None)["removed"] == [str(host.base / "run1"), str(host.base / "run2")]
    assert (other / "file").exists()


def test_the_run_s_directory_is_made_for_root_alone(host):
    host.base.parent.mkdir(exist_ok=True)
    assert host.state("prepared")["changed"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (host.base, host.run_dir)] == [0o711, 0o711]


def test_what_was_brought_is_armed_and_was_checked(host):
    host.base.parent.mkdir(exist_ok=True)
    answer = host.state("prepared")
    assert (answer["error"], answer["runs"]) == ("", {})
    assert answer["facts"]["kernel"] == os.uname().release
    assert (host.run_dir / "tools" / "packet_datapath_tracing.py").exists()
    assert not host.state("armed")["failed"]
    assert host.state("prepared", run_id="run1")["runs"] == {"run1": "running"}


@pytest.mark.parametrize("check_mode", [True, False])
def test_nothing_stays_where_something_is_in_the_way(host, check_mode):
    host.base.parent.mkdir(exist_ok=True)
    answer = host.state("prepared", check_mode, arguments=["--src=bad"])
    assert answer["error"] == "capture_src is 'bad': allowed is an address."
    assert not host.base.exists()


def test_nothing_stays_of_tools_that_are_none(host):
    host.base.parent.mkdir(exist_ok=True)
    with pytest.raises(tarfile.TarError):
        host.state("prepared", tools=base64.b64encode(b"no archive").decode())
    assert not host.base.exists()


def test_check_mode_checks_and_makes_nothing(host):
    host.base.parent.mkdir(exist_ok=True)
    answer = host.state("prepared", check_mode=True)
    assert (answer["changed"], answer["error"]) == (True, "")
    assert not host.base.exists()


def test_a_run_that_someone_else_began_is_theirs(host):
    """Two controllers with one name for their runs, which both found the host free."""
    host.base.parent.mkdir(exist_ok=True)
    host.state("prepared")
    second = host.state("prepared")
    assert (second["failed"], second["taken"], second["changed"]) == (True, True, False)
    assert "the run run1 was begun on this host by someone else" in second["msg"]


def test_an_empty_directory_of_runs_goes_whoever_emptied_it(host):
    host.base.mkdir(parents=True, mode=0o711)
    assert not host.state("absent")["changed"]
    assert not host.base.exists()


def test_what_waits_is_told_before_and_when_it_is_removed(host):
    host.push()
    host.state("armed", tracers={"drop_monitor": []})
    waiting = {"run1": {"records": 0, "bytes": 0, "running": True}}
    assert host.state("absent", check_mode=True)["waiting"] == waiting
    Tracer(str(host.run_dir), "drop_monitor").stop()
    assert host.state("absent", check_mode=True)["waiting"] == {}
    (host.run_dir / "drop_monitor" / "records.bin").write_bytes(b"x" * 10)
    assert host.state("absent")["waiting"] == {"run1": {"records": 0, "bytes": 10, "running": False}}


STRANGER = 12345
EVERY_STATE = ["prepared", "armed", "started", "finished", "absent"]


def call(host, state):
    """Call a state as it would be."""
    return host.start() if state == "started" else host.state(state)


@pytest.mark.parametrize("state", EVERY_STATE)
@pytest.mark.parametrize("whose", ["base", "run", "base is a link", "run is a link", "above", "above is a link",
                                   "above is writable", "others may write"])
def test_nothing_is_touched_where_someone_else_could_have_been(host, state, whose, tmp_path):
    """A stranger made the directory, or a link to what is root's, or could exchange it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory to someone else")
    home = tmp_path / "elsewhere"
    (home / "run1").mkdir(parents=True)
    (home / "run1" / "tools.tar.gz").write_text("precious")
    above = tmp_path / "shared"
    above.mkdir()
    above.chmod(0o1777)
    host.base = above / "skbfleet"
    host.run_dir = host.base / "run1"
    if whose == "base is a link":
        host.base.symlink_to(home)
    elif whose == "run is a link":
        host.base.mkdir(mode=0o711)
        host.run_dir.symlink_to(home / "run1")
    else:
        host.push()
    if whose == "above is a link":
        link = tmp_path / "link"
        link.symlink_to(above)
        os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
        host.base = link / "skbfleet"
    {"base": lambda: os.chown(host.base, STRANGER, -1), "run": lambda: os.chown(host.run_dir, STRANGER, -1),
     "above": lambda: os.chown(above, STRANGER, -1), "above is writable": lambda: above.chmod(0o777),
     "others may write": lambda: host.base.chmod(0o777)}.get(whose, lambda: None)()
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    if whose == "run is a link" and state == "absent":
        assert host.state("absent")["removed"] == []
    else:
        with pytest.raises(RunError, match="must be a directory that belongs to root alone|nobody but root may own"):
            call(host, state)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert (home / "run1" / "tools.tar.gz").read_text() == "precious"


def test_a_host_where_someone_was_faster_says_so(host):
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory to someone else")
    host.push()
    os.chown(host.base, STRANGER, -1)
    with pytest.raises(RunError, match="must be a directory that belongs to root alone, and no link: remove it, or"):
        skbfleet_examine.runs(str(host.base))


def test_what_a_killed_tracer_left_for_other_captures_to_see_goes_with_its_run(tmp_path):
    place = tmp_path / "skbfleet"
    place.mkdir()
    for name in ("run1@17-5", "run1@18-5", "run12@19-5"):
        (place / name).touch()
    strike_off("run1", str(place))
    assert [path.name for path in place.iterdir()] == ["run12@19-5"]
    strike_off("run12", str(place))
    assert not place.exists()
    strike_off("run12", str(place))
