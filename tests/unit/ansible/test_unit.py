# SPDX-License-Identifier: Apache-2.0
"""Tracers as units of systemd: how they are started, what of that an old one refuses, how they end, what is left."""
import json
import os
import pathlib
import signal
import tarfile
import time

import pytest
from ansible.module_utils import skbfleet_ending, skbfleet_rundir, skbfleet_unit
from ansible.module_utils.skbfleet_rundir import Tracer
from ansible.module_utils.skbfleet_states import STATES
from support.lab import wait_until

FAKE = pathlib.Path(__file__).parents[2] / "support" / "fake_systemd.py"
UNIT = "skbfleet-run1-drop_monitor.service"
LIMITS = {"max_cpu": 50, "max_memory": 256 << 20, "lasts": 120.5}
NOT_INITIAL = pathlib.Path("/proc/self/ns/pid").stat().st_ino != skbfleet_ending._INITIAL_PIDS


class Host:
    """One run with one tracer on a host with systemd."""

    def __init__(self, base: pathlib.Path, fakes: pathlib.Path, python: str, systemd: pathlib.Path) -> None:
        self.base, self.python, self.systemd = base, python, systemd
        (base / "run1").mkdir(parents=True, mode=0o711)
        with tarfile.open(base / "run1" / "tools.tar.gz", "w:gz") as tar:
            for path in fakes.iterdir():
                tar.add(path, arcname=path.name)
        self.tracer = Tracer(str(base / "run1"), "drop_monitor")

    def state(self, state: str, **params) -> dict:
        defaults = {"run_id": "run1", "remote_dir": str(self.base), "tracers": {"drop_monitor": ["--src=$HOME %n"]},
                    "python": self.python, "host": "hv-a", "wait_window": 20, "measure": 0, "timeout": 10,
                    "close": False, "owner": os.getuid(), "clock_difference_ns": 0, "unit": True, **LIMITS}
        return STATES[state]({**defaults, **params}, False)

    def calls(self) -> list[dict]:
        """The properties with which systemd-run was called, each time."""
        calls = json.loads((self.systemd / "calls.json").read_text())
        return [dict(word.split("=", 1)[1].split("=", 1) for word in call if word.startswith("--property="))
                for call in calls]

    def units(self) -> list[str]:
        return sorted(path.name for path in self.systemd.glob("*.*") if path.suffix in (".service", ".failed"))

    def kill(self, result: str) -> None:
        """End the tracer, as systemd then shows it."""
        pid = self.tracer.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.tracer.pid(), "the tracer is gone")
        (self.systemd / f"{UNIT}.failed").write_text(result)


@pytest.fixture
def host(tmp_path, fake_tools, python, monkeypatch):
    monkeypatch.setattr(skbfleet_rundir, "TERM_GRACE_S", 0.5)
    systemd = tmp_path / "systemd"
    systemd.mkdir()
    for name in ("systemd-run", "systemctl"):
        (systemd / name).symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{systemd}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(systemd))
    monkeypatch.setattr(skbfleet_unit, "BOOTED", str(systemd))
    monkeypatch.setattr(skbfleet_unit, "_space", lambda _process, space: space)
    monkeypatch.setattr(skbfleet_ending, "KMSG", str(tmp_path / "kmsg"))
    host = Host(tmp_path / "skbfleet", fake_tools, python, systemd)
    yield host
    host.tracer.stop()


def test_a_capture_as_a_unit_leaves_none(host):
    armed = host.state("armed")
    assert armed["units"] == {"drop_monitor": {"name": UNIT, "why": "", "refused": []}}
    assert armed["tracers"]["drop_monitor"]["state"] == "armed"
    assert int((host.systemd / UNIT).read_text()) == host.tracer.pid()
    (given,) = host.calls()
    assert (given["CPUQuota"], given["MemoryMax"], given["RuntimeMaxSec"]) == ("50%", str(256 << 20), "120")
    assert given["ReadWritePaths"].split()[:2] == [host.tracer.directory, "/run"]
    now = time.time_ns()
    host.state("started", start_ns=now, end_ns=now + 10 ** 8)
    ended = host.state("finished")
    assert ended["tracers"]["drop_monitor"]["state"] == "finished"
    host.state("absent")
    assert host.units() == []


def test_what_the_tracer_is_told_reaches_it_unchanged(host):
    """systemd would expand it."""
    host.state("armed")
    words = pathlib.Path(f"/proc/{host.tracer.pid()}/cmdline").read_text().split("\0")
    assert "--src=$HOME %n" in words
    environment = pathlib.Path(f"/proc/{host.tracer.pid()}/environ").read_text().split("\0")
    assert "SKBTRACE_NAMES=capture_" in environment


@pytest.mark.parametrize("sentence", [
    "Unknown assignment OOMPolicy=continue.", "Unknown assignment: OOMPolicy=continue",
    "Failed to start transient service unit: Cannot set property OOMPolicy, or unknown property."])
def test_what_an_old_systemd_does_not_know_is_left_out_and_named(host, sentence):
    (host.systemd / "refuses.txt").write_text(
        f"OOMPolicy: {sentence}\nRuntimeMaxSec: Cannot set property RuntimeMaxUSec, or unknown property.\n"
        "MemoryMax: Unknown assignment MemoryMax=268435456.\n")
    armed = host.state("armed")
    assert set(armed["units"]["drop_monitor"]["refused"]) == {"OOMPolicy", "RuntimeMaxSec", "MemoryMax"}
    first, *_, last = host.calls()
    assert set(first) - set(last) == {"OOMPolicy", "RuntimeMaxSec", "MemoryMax"}
    assert last["MemoryLimit"] == first["MemoryMax"]


def test_a_systemd_that_refuses_it_is_done_without(host):
    (host.systemd / "refuses.txt").write_text("all: Failed to start transient service unit: Connection timed out\n")
    armed = host.state("armed")
    assert armed["tracers"]["drop_monitor"]["state"] == "armed"
    (unit,) = armed["units"].values()
    assert (unit["name"], unit["refused"]) == ("", [])
    assert unit["why"] == "systemd-run: Failed to start transient service unit: Connection timed out"
    pid = host.tracer.pid()
    assert os.getpriority(os.PRIO_PROCESS, pid) == skbfleet_unit.NICE
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert [line.split()[3] for line in limits.splitlines() if line.startswith("Max data size")] == [str(256 << 20)]
    assert [line.split()[3] for line in limits.splitlines() if line.startswith("Max cpu time")] == ["61"]


def test_a_unit_that_was_given_up_does_not_begin_after_all(host, tmp_path):
    """systemd-run had no answer in time: the tracer was started by itself, and systemd gets round to it later."""
    (tmp_path / "process.json").write_text(json.dumps({"pid": 1, "command": ["/bin/touch", str(tmp_path / "begun")]}))
    skbfleet_unit.start(UNIT, host.python, str(tmp_path), [])
    pid = int((host.systemd / UNIT).read_text())
    wait_until(lambda: (skbfleet_rundir.process_state(pid) or "Z")[0] == "Z", "it has ended")
    assert not (tmp_path / "begun").exists()
    assert not (tmp_path / "tracer.log").exists()


def test_records_that_take_memory_have_their_own(host, monkeypatch, tmp_path):
    monkeypatch.setattr("ansible.module_utils.skbfleet_states.in_memory", lambda _directory: True)
    host.state("armed", tracers={"drop_monitor": ["--max-bytes=1000"]})
    (given,) = host.calls()
    assert given["MemoryMax"] == str((256 << 20) + 1000)


def test_what_takes_memory(tmp_path):
    assert skbfleet_unit.in_memory("/dev/shm")
    assert not skbfleet_unit.in_memory("/proc")


def test_a_unit_whose_number_nobody_noted_is_found(host):
    """The module died with its connection, just when it had started it."""
    host.state("armed")
    path = pathlib.Path(host.tracer.path("process.json"))
    process = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in process.items() if name not in ("pid", "start_ticks")}))
    assert Tracer(str(host.base / "run1"), "drop_monitor").pid() == process["pid"]


@pytest.mark.parametrize(("change", "why"), [
    ({"BOOTED": "/nowhere"}, "systemd does not run here"),
    ({"_space": lambda process, space: space + (process if space == "mnt" else "")}, "another mnt namespace"),
    ({"NAME": skbfleet_unit.re.compile("no")}, "cannot be a unit's"),
    ({"PLACE": skbfleet_unit.re.compile("no")}, "cannot be a unit's"),
])
def test_where_there_can_be_no_unit(host, monkeypatch, change, why):
    for name, value in change.items():
        monkeypatch.setattr(skbfleet_unit, name, value)
    (unit,) = host.state("armed")["units"].values()
    assert unit["name"] == ""
    assert why in unit["why"]
    assert host.tracer.pid()


@pytest.mark.parametrize(("result", "why"), [
    ("timeout 9 121", "systemd killed it because it had not ended by itself 120 s after its start"),
    ("timeout 9 20", "systemd killed it because it had not ended when it was told to"),
    ("signal 9 20", "it was gone before its end, killed by SIGKILL"),
    ("oom-kill 9 20", "it was killed because memory was short"),
])
def test_why_a_unit_is_gone(host, result, why):
    host.state("armed")
    host.kill(result)
    assert host.state("finished")["why"] == why
    host.state("absent")
    assert host.units() == []


MEMCG = ("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/system.slice{},"
         "task_memcg=/system.slice/" + UNIT + ",task=python3,pid=77,uid=0")
GLOBAL = ("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
          "task_memcg=/system.slice/" + UNIT + ",task=python3,pid=77,uid=0")
KILLED = "Out of memory: Killed process 77 (python3) total-vm:1kB"
OWN, HOST, GROUP = "used more than 256 MiB", "the host had no memory left", "a control group that it was in"


@pytest.mark.parametrize(("lines", "why"), [
    ([MEMCG.format("/" + UNIT), "Memory cgroup out of memory: Killed process 77 (python3) total-vm:1kB"], OWN),
    ([MEMCG.format(""), "Memory cgroup out of memory: Killed process 77 (python3) total-vm:1kB"], GROUP),
    ([GLOBAL, KILLED], HOST),
    (["Out of memory: Kill process 77 (python3) score 900 or sacrifice child", "Killed process 77 (python3)"], HOST),
    (["Memory cgroup out of memory: Kill process 77 (python3) score 9", "Killed process 77 (python3)"], GROUP),
])
def test_whose_memory_it_was(lines, why):
    group = skbfleet_ending._out_of_memory(lines, 77)
    assert why in skbfleet_ending._memory(group, UNIT, LIMITS)


@pytest.mark.parametrize("lines", [
    [], [KILLED.replace("77", "7")], ["Killed process 7 (Killed process 77)", "a (Out of memory: Killed process 77 (b"],
    [GLOBAL.replace("pid=77,", "pid=7,").replace("python3", "x,pid=77"), "Out of memory: Killed process 7 (x,pid=77)"],
])
def test_somebody_else_was_killed(lines):
    assert skbfleet_ending._out_of_memory(lines, 77) is None


@pytest.mark.skipif(NOT_INITIAL, reason="the kernel's log has other process numbers than this PID namespace")
def test_only_the_kernel_is_believed(tmp_path, monkeypatch):
    """A process of root's can write to the log, too; a pipe gives one record at a time, as the log does."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    monkeypatch.setattr(skbfleet_ending, "KMSG", f"/proc/self/fd/{read}")
    os.write(write, b"12,1,1,-;Out of memory: Killed process 77 (x)\n")
    assert skbfleet_ending.why({"pid": 77, "boot_id": skbfleet_ending.boot_id()}) == skbfleet_ending.GONE
    os.write(write, b"3,1,1,-;Out of memory: Killed process 77 (x)\n")
    assert HOST in skbfleet_ending.why({"pid": 77, "boot_id": skbfleet_ending.boot_id()})


@pytest.mark.skipif(NOT_INITIAL, reason="the kernel's log has other process numbers than this PID namespace")
@pytest.mark.parametrize(("seconds", "said"), [(6000, True), (9000, False)])
def test_an_earlier_process_of_the_same_number_is_another_one(monkeypatch, seconds, said):
    """One that was killed long before this one began; the log's clock may be off by some minutes."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    monkeypatch.setattr(skbfleet_ending, "KMSG", f"/proc/self/fd/{read}")
    os.write(write, b"3,1,5000000000,-;Out of memory: Killed process 77 (x)\n")
    begun = {"pid": 77, "boot_id": skbfleet_ending.boot_id(), "start_ticks": seconds * os.sysconf("SC_CLK_TCK")}
    assert (HOST in skbfleet_ending.why(begun)) == said


def test_numbers_of_another_namespace_are_nobody_s(monkeypatch, tmp_path):
    monkeypatch.setattr(skbfleet_ending, "_INITIAL_PIDS", 1)
    (tmp_path / "kmsg").write_text("3,1,1,-;Out of memory: Killed process 77 (x)\n")
    monkeypatch.setattr(skbfleet_ending, "KMSG", str(tmp_path / "kmsg"))
    assert skbfleet_ending.why({"pid": 77, "boot_id": skbfleet_ending.boot_id()}) == skbfleet_ending.GONE


def test_an_earlier_boot_s_number_is_nobody_s(tmp_path):
    assert skbfleet_ending.why({"pid": 77, "boot_id": "before"}) == "it was gone before its end: the host went down"
