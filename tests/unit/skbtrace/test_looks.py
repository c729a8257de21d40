# SPDX-License-Identifier: Apache-2.0
"""Who takes packets out of queues, found and looked at in /proc: what it says, whatever processes call themselves."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import wait_until

from skbtrace.capture import evidence, watch
from skbtrace.host import holders, looks

OWN = "/proc/self/ns/net"
TAIL = " %s 1 7 7 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n"
HOLDS = """
import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
print(one.getsockname()[1], flush=True)
sys.stdin.read()
"""


def stat(where: pathlib.Path, comm: bytes, state: str = "S", flags: int = 0x400000) -> str:
    """A directory like that of a process."""
    (where / "stat").write_bytes(b"7 (" + comm + b")" + (TAIL % (state, flags)).encode())
    return str(where)


@pytest.mark.parametrize(("comm", "shown"), [
    (b"qemu-kvm", "qemu-kvm"), (b"CPU 0/KVM", "CPU 0/KVM"), (b"a) R 1 (b", "a) R 1 (b"), (b") T 9 9", ") T 9 9"),
    (b"\x1b[2J\nx", "\\x1b[2J\\nx"), (b"\xff{{7*7}}", "\\xff{{7*7}}"), (b"", "")])
def test_a_process_may_call_itself_anything(tmp_path: pathlib.Path, comm: bytes, shown: str) -> None:
    found = holders.stat_of(stat(tmp_path, comm))
    assert found == holders.Stat(shown, "S", 0x400000, "4711")


def test_a_process_that_is_gone_has_no_stat(tmp_path: pathlib.Path) -> None:
    assert holders.stat_of(str(tmp_path / "7")) is None
    (tmp_path / "stat").write_text("7 (x) S 1")
    assert holders.stat_of(str(tmp_path)) is None


@pytest.mark.parametrize(("comm", "flags", "is_so"), [
    ("vhost-2211", 0x208040, True), ("vhost-2211", 0x404040, True), ("vhost-2211", 0x400000, False),
    ("vhost-", 0x208040, False), ("vhost-x", 0x208040, False), ("kworker/0:1", 0x208040, False)])
def test_only_the_kernel_makes_vhost_threads(comm: str, flags: int, is_so: bool) -> None:
    assert holders._is_vhost(holders.Stat(comm, "S", flags, "1")) is is_so


@pytest.mark.parametrize(("text", "times"), [
    ("39854549 336763107 12\n", (39854549, 336763107)), ("", (0, 0)), ("1 2\n", (0, 0))])
def test_how_long_a_thread_ran_and_waited(text: str, times: tuple[int, int]) -> None:
    assert looks.times_of(text) == times


def test_what_a_cpu_s_time_went_to() -> None:
    text = ("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 40 5 6 7 8 0 0\ncpu2 1 0 0 0 0 0 0 0 0 0\nintr 5 0 cpu\n"
            "cpu3 1 1 1 1 1 1 1 1 1 1\n")
    assert looks.cpus_of(text) == {"0": [72, 8, 7], "2": [1, 0, 0]}
    assert looks.cpus_of("") == {}


@contextlib.contextmanager
def process() -> Iterator[subprocess.Popen]:
    """A process that holds a UDP socket."""
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        yield child
        child.stdin.close()


def holder_of(content: dict[str, Any], pid: int) -> dict[str, Any]:
    (found,) = [one for one in content["holders"] if one["pid"] == pid]
    return found


def test_the_owner_of_a_socket_is_found_and_its_state_is_seen() -> None:
    with process() as child:
        port = int(child.stdout.readline())
        found = looks.Looks(holders.find([OWN], 30))
        inodes = [int(line.split()[9]) for line in pathlib.Path("/proc/net/udp").read_text().splitlines()
                  if line.split()[1] == "0100007F:%04X" % port]
        wait_until(lambda: state(child.pid) == "S", "it waits")
        found.look()
        os.kill(child.pid, 19)
        wait_until(lambda: state(child.pid) == "T", "it is stopped")
        found.look()
        os.kill(child.pid, 9)
        child.wait()
        found.look()
    content = json.loads(json.dumps(found.content()))
    seen = holder_of(content, child.pid)
    assert seen["netns"] == os.stat(OWN).st_ino and seen["taps"] == []
    assert seen["sockets"] == inodes != []
    (task,) = seen["tasks"]
    assert (task["tid"], task["vhost"], task["states"]) == (child.pid, False, "ST-")
    assert task["ran"][1] >= task["ran"][0] > 0 == task["ran"][2]     # being stopped takes it some time, too
    assert content["times"] == sorted(content["times"]) and len(content["times"]) == len(content["memory_us"]) == 3
    assert all(len(rows) == 3 for rows in content["cpus"].values())


def state(pid: int) -> str:
    found = holders.stat_of("/proc/%d" % pid)
    return found.state if found else ""


def test_one_that_took_a_dead_one_s_number_is_not_taken_for_it() -> None:
    with process() as child:
        child.stdout.readline()
        found = holders.find([OWN], 30)
        for one in found.holders:
            one["tasks"] = [task._replace(began="1") for task in one["tasks"]]
        seen = looks.Looks(found)
        seen.look()
        assert holder_of(seen.content(), child.pid)["tasks"][0]["states"] == "-"


def test_however_long_it_takes_few_looks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1000))
    monkeypatch.setattr(looks.clock, "monotonic_ns", lambda: next(times))
    seen = looks.Looks(holders.Found())
    assert seen.most == looks.MOST_LOOKS
    for _ in range(700):
        seen.look()
    content = seen.content()
    assert content["times"][0] == 0 and content["times"][-1] == 699
    assert len(content["times"]) <= looks.MOST_LOOKS and content["times"] == sorted(content["times"])
    assert {len(rows) for rows in content["cpus"].values()} == {len(content["times"])}


def test_of_many_threads_fewer_looks_are_kept() -> None:
    found = holders.Found()
    task = holders.Task("/proc/none", 7, "x", False, "1")
    found.holders = [{"pid": 7, "tasks": [task] * 1000}]
    assert looks.Looks(found).most == 40
    found.holders = [{"pid": 7, "tasks": [task] * holders.MOST_TASKS}]
    assert looks.Looks(found).most == looks.FEWEST


def test_what_is_too_many_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with process() as child:
        child.stdout.readline()
        monkeypatch.setattr(holders, "MOST_TASKS", 0)
        found = holders.find([OWN], 30)
        assert found.holders == [] and found.left_out >= 1
        monkeypatch.setattr(holders, "MOST_SOCKETS", 0)
        found = holders.find([OWN], 30)
        assert not found.whole and [one for one in found.holders if one["sockets"]] == []


def test_no_time_is_said() -> None:
    found = holders.find([OWN], -1)
    assert (found.holders, found.whole) == ([], False)


def test_a_namespace_that_is_gone_has_no_sockets() -> None:
    assert [one for one in holders.find(["/run/netns/gone"], 30).holders if one["sockets"]] == []


def test_it_looks_from_the_first_word_to_the_end() -> None:
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(b"\n")
        ours.shutdown(socket.SHUT_WR)
        said: list[str] = []
        content = looks.watch([OWN], its.fileno(), lambda: said.append("ready"))
    assert said == ["ready"] and len(content["times"]) == 3     # to be ready, at the first word, at the end
    assert set(content) == {"times", "holders", "cpus", "memory_us", "left_out", "unread", "whole", "everybody"}


def test_who_is_never_told_to_begin_has_the_look_of_being_ready() -> None:
    ours, its = socket.socketpair()
    with its:
        ours.close()
        assert len(looks.watch([OWN], its.fileno(), lambda: None)["times"]) == 1


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The run directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_program_itself(here: pathlib.Path) -> None:
    one = evidence.Evidence([OWN])
    one.prepare()
    one.wait()
    assert (here / "evidence-during.json").stat().st_size    # it is ready
    one.opened()
    one.closed()
    one.write()
    during = json.loads((here / "evidence.json").read_text())["during"]
    assert len(during["times"]) == 3 and during["whole"] is True
    assert os.listdir(here) == ["evidence.json"]


def test_a_directory_that_was_removed_is_not_waited_for(here: pathlib.Path) -> None:
    one = evidence.Evidence([OWN])
    one.prepare()
    (here / "evidence-during.json").unlink()
    one.wait()
    one.write()
    assert "why" in json.loads((here / "evidence.json").read_text())["during"]


@pytest.mark.parametrize(("code", "why"), [
    ("import time; time.sleep(600)", "it did not end within 0.2 s"), ("raise SystemExit(3)", "it ended with status 3")])
def test_a_program_that_does_not_look_is_ended_and_said(here, monkeypatch, code: str, why: str) -> None:
    path = here.parent / (here.name + ".py")
    path.write_text(code)
    monkeypatch.setattr(evidence, "_PROGRAM", str(path))
    for name in ("_GRACE_SECONDS", "_READY_SECONDS"):
        monkeypatch.setattr(watch, name, 0.2)
    monkeypatch.setattr(evidence, "_GRACE_SECONDS", -5.0)
    one = evidence.Evidence([])
    one.prepare()
    one.wait()
    one.opened()
    one.closed()
    one.write()
    assert json.loads((here / "evidence.json").read_text())["during"] == {"why": why}
