# SPDX-License-Identifier: Apache-2.0
"""The module's states, against tracers that behave and tracers that do not."""
import json
import os
import pathlib
import signal
import stat
import subprocess
import tarfile
import time

import pytest
from ansible.module_utils import skbfleet_bundle, skbfleet_rundir
from ansible.module_utils.skbfleet_rundir import RunError, Tracer
from support.lab import wait_until
from support.states import BOTH


def misbehave(host, how):
    """Tell the fakes how to fail, before they are pushed."""
    (host.fakes / "fake_tracer.txt").write_text(how)


@pytest.mark.parametrize(("tracers", "readers"), [
    (BOTH, {"drop_monitor": "--evidence=host", "datapath_tracing": "--evidence=switch"}),
    ({"datapath_tracing": []}, {"datapath_tracing": "--evidence"})])
def test_the_configuration_is_read_once(host, tracers, readers):
    """Open vSwitch is asked by the tracer that saw packets come in."""
    for evidence, expected in ((True, readers), (False, {})):
        commands = host.state("armed", True, tracers=tracers, evidence=evidence)["commands"]
        assert {name: word for name, words in commands.items() for word in words if "--evidence" in word} == expected


def test_a_capture_from_armed_to_absent(host):
    host.push()
    armed = host.state("armed")
    assert armed["changed"]
    assert not armed["failed"]
    assert {one["state"] for one in armed["tracers"].values()} == {"armed"}

    begun = host.start()
    assert begun["late_by_ns"] == 0
    assert begun["clock_correction_ns"] == 0
    windows = [one["window"] for one in begun["tracers"].values()]
    assert windows[0]["start_realtime_ns"] == windows[1]["start_realtime_ns"]

    ended = host.state("finished")
    assert (ended["status"], ended["why"]) == ("complete", "")
    assert ended["bundle"]["sha256"] == skbfleet_bundle.sha256(ended["bundle"]["path"])

    removed = host.state("absent")
    assert removed == {"changed": True, "stopped": {}, "removed": [str(host.run_dir)], "waiting": {}}
    assert not host.base.exists()
    assert host.state("absent") == {"changed": False, "stopped": {}, "removed": [], "waiting": {}}


def test_what_a_module_may_not_return(host):
    """async_status takes the keys started and finished for the job's own."""
    host.push()
    results = [host.state("armed"), host.start(), host.state("finished"), host.state("absent")]
    assert not {"started", "finished"} & {key for result in results for key in result}


def test_arming_twice_changes_nothing(host):
    host.push()
    first = host.state("armed")
    pids = [Tracer(str(host.run_dir), name).pid() for name in BOTH]
    again = host.state("armed")
    assert not again["changed"]
    assert again["tracers"] == first["tracers"]
    assert pids == [Tracer(str(host.run_dir), name).pid() for name in BOTH]


def test_a_tracer_that_fails_to_arm_fails_the_host_with_its_own_words(host):
    misbehave(host, "fail")
    host.push()
    armed = host.state("armed")
    assert armed["failed"]
    assert armed["msg"] == "capture_interfaces is 'eth9': there is no such device on this host."


def test_one_tracer_that_fails_leaves_the_other(host):
    host.push()
    armed = host.state("armed", tracers={"drop_monitor": ["--src=bad"], "datapath_tracing": []})
    assert not armed["failed"]
    assert armed["why"] == "drop_monitor: capture_src is 'bad': allowed is an address."
    host.start()
    ended = host.state("finished")
    assert ended["status"] == "partial"
    assert ended["why"] == armed["why"]
    assert ended["tracers"]["datapath_tracing"]["state"] == "finished"


def test_a_tracer_that_does_not_arm_in_time_is_ended(host):
    misbehave(host, "slow")
    host.push()
    armed = host.state("armed", timeout=0.2)
    assert armed["failed"]
    assert armed["msg"] == "not armed within 0.2 s"
    assert all(Tracer(str(host.run_dir), name).pid() is None for name in BOTH)


def test_a_python_that_is_not_there(host):
    host.push()
    with pytest.raises(RunError, match="capture_tracer_python is '/nowhere/python3': it must be a Python that runs"):
        host.state("armed", python="/nowhere/python3")


@pytest.mark.parametrize("prepare", [
    lambda base: (base / "run1").chmod(0o777),
    lambda base: base.chmod(0o777),
    lambda base: ((base / "run1").rename(base / "other"), (base / "run1").symlink_to(base / "other")),
])
def test_a_directory_that_others_could_have_prepared_is_refused(host, prepare):
    host.push()
    prepare(host.base)
    with pytest.raises(RunError, match="must be a directory that belongs to"):
        host.state("armed")


def test_no_room_on_the_host(host, monkeypatch):
    host.push()
    room = os.statvfs(host.base)
    full = os.statvfs_result(list(room[:3]) + [0, 0] + list(room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(RunError, match="capture_remote_dir has 0 MiB free on this host .*: at least 16 MiB are needed"):
        host.state("armed")


def test_an_archive_cannot_write_elsewhere(host, tmp_path):
    host.push()
    with tarfile.open(host.run_dir / "tools.tar.gz", "w:gz") as tar:
        tar.add(__file__, arcname="../../evil")
    with pytest.raises(RunError, match="which is not a file of the tracers"):
        host.state("armed")
    assert not (tmp_path / "evil").exists()


def test_a_clock_that_is_right_is_left_alone_and_one_that_is_wrong_is_corrected(host):
    host.push()
    host.state("armed")
    begun = host.start(clock_ahead_s=3600, opens_in=5)
    assert begun["clock_correction_ns"] == 3600e9
    window = json.loads((host.run_dir / "drop_monitor" / "window.json").read_text())
    assert window["clock_correction_ns"] == begun["clock_correction_ns"]
    assert window["start_realtime_ns"] == pytest.approx((time.time() + 5) * 1e9, abs=2e9)


def test_a_small_difference_is_the_hosts_own_affair(host):
    host.push()
    host.state("armed")
    assert host.start(clock_ahead_s=1.5, opens_in=3)["clock_correction_ns"] == 0
    window = json.loads((host.run_dir / "drop_monitor" / "window.json").read_text())
    assert window["start_realtime_ns"] == pytest.approx((time.time() + 1.5) * 1e9, abs=1.4e9)


def test_a_late_host_says_so(host):
    host.push()
    host.state("armed")
    assert host.start(opens_in=-0.5, seconds=1)["late_by_ns"] > 0.5e9
    ended = host.state("finished")
    assert ended["status"] == "partial"
    assert ended["why"].startswith("it was told the window 0.5")


def test_a_window_can_be_closed_before_its_end(host):
    host.push()
    host.state("armed")
    host.start(seconds=600)
    assert host.state("finished", close=True)["status"] == "complete"


def test_finished_waits_for_the_end_of_the_window(host):
    host.push()
    host.state("armed")
    host.start(opens_in=2.0, seconds=1.0)
    ended = host.state("finished", timeout=2.5)
    assert (ended["status"], ended["why"]) == ("complete", "")


def test_a_tracer_that_hangs_hands_nothing_over_and_is_ended(host):
    misbehave(host, "hang")
    host.push()
    host.state("armed", tracers={"drop_monitor": []})
    host.start()
    ended = host.state("finished", timeout=0.3, close=True)
    assert (ended["status"], ended["why"]) == ("missing", "it has not ended yet (started)")
    assert ended["bundle"] == {}
    assert host.state("absent")["stopped"] == {"run1/drop_monitor": "SIGTERM"}


def test_a_tracer_that_ignores_sigterm_is_killed(host):
    misbehave(host, "deaf")
    host.push()
    host.state("armed")
    pids = [Tracer(str(host.run_dir), name).pid() for name in BOTH]
    stopped = host.state("absent")["stopped"]
    assert stopped == {"run1/drop_monitor": "SIGKILL", "run1/datapath_tracing": "SIGKILL"}
    assert all((skbfleet_rundir.process_state(pid) or "Z")[0] == "Z" for pid in pids)


def test_a_tracer_that_was_killed_is_told_from_one_that_ended(host):
    host.push()
    host.state("armed")
    os.kill(Tracer(str(host.run_dir), "drop_monitor").pid(), signal.SIGKILL)
    host.start()
    ended = host.state("finished")
    assert ended["status"] == "partial"
    assert ended["tracers"]["drop_monitor"]["state"] == "killed"
    assert ended["why"] == "drop_monitor: it was gone before its end"


def test_no_window_no_records(host):
    host.push()
    host.state("armed", wait_window=0.1)
    ended = host.state("finished")
    assert (ended["status"], ended["why"]) == ("missing", "no window was set within 0.1 s")


def test_a_process_id_that_went_to_someone_else_is_left_alone(host):
    host.push()
    host.state("armed", tracers={"drop_monitor": []})
    tracer = Tracer(str(host.run_dir), "drop_monitor")
    process = json.loads((host.run_dir / "drop_monitor" / "process.json").read_text())
    other = subprocess.Popen(["sleep", "60"])
    wait_until(lambda: b"sleep" in pathlib.Path(f"/proc/{other.pid}/cmdline").read_bytes(), "sleep has started")
    for change in ({"start_ticks": process["start_ticks"] - 1},  # the same command line, started at another time
                   {"pid": other.pid, "start_ticks": skbfleet_rundir.process_state(other.pid)[1]}):
        skbfleet_rundir.write_json(tracer.path("process.json"), {**process, **change})
        assert tracer.pid() is None
        assert tracer.stop() is None
    assert other.poll() is None
    other.kill()
    other.wait()
    skbfleet_rundir.write_json(tracer.path("process.json"), process)
    assert tracer.pid() == process["pid"]


def test_check_mode_changes_nothing(host):
    host.push()
    before = sorted(host.base.rglob("*"))
    assert host.state("armed", check_mode=True)["changed"]
    assert sorted(host.base.rglob("*")) == before
    host.state("armed")
    assert host.state("absent", check_mode=True)["stopped"] == {"run1/drop_monitor": "SIGTERM",
                                                                "run1/datapath_tracing": "SIGTERM"}
    assert Tracer(str(host.run_dir), "drop_monitor").pid()


def test_captured_data_is_private(host):
    host.push()
    host.state("armed")
    host.start()
    bundle = pathlib.Path(host.state("finished")["bundle"]["path"])
    for tracer in BOTH:
        assert stat.S_IMODE((host.run_dir / tracer).stat().st_mode) == 0o700
    for path in host.run_dir.rglob("*"):
        if path.is_file() and "tools" not in path.parts:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
