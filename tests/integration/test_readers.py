# SPDX-License-Identifier: Apache-2.0
"""Who did not take packets from a tap or a socket, told apart by what was read of them while real packets were lost."""
import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest
from support.fleet import merged
from support.lab import PYTHON, Lab, Netns, wait_until
from support.queues import ADDRESSES, FRAMES, TAPS, devices
from support.tracers import COMMANDS, until

TAP = ("ip tuntap add queue0 mode tap", "ip link set queue0 txqueuelen 100 up")
SLEEPS = TAPS + """
import sys
tap = open_tap("queue0", 0x1002)
until_active("queue0")
print(os.getpid(), flush=True)
sys.stdin.read()
"""
SEND = FRAMES + """
import sys
link = link_to("queue0")
for number in range(int(sys.argv[1])):
    send(link, number)
"""
SOCKET = """
import socket, sys, os
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
reader.bind(("10.99.0.1", 9))
print(os.getpid(), flush=True)
sys.stdin.read()
"""
DATAGRAMS = """
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(100):
    out.sendto(bytes(500), ("10.99.0.1", 9))
"""


@contextlib.contextmanager
def reader(place: Netns, code: str, *words: object) -> Iterator[tuple[subprocess.Popen, int]]:
    """A process and its pid, when it has opened what it has to."""
    process = place.popen([PYTHON, "-c", code, *words], stdin=subprocess.PIPE)
    pid = int(process.stdout.readline())
    try:
        yield process, pid
    finally:
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)


@contextlib.contextmanager
def capture(lab: Lab, place: str, directory: pathlib.Path, *options: str) -> Iterator[None]:
    """The drops of a namespace, and who was looked at meanwhile."""
    run = directory / "hosts" / "here" / "drop_monitor"
    run.parent.mkdir(parents=True)
    tracer = lab.here().popen([PYTHON, COMMANDS["drop_monitor"], "--netns", place, *options, "--evidence", "--host",
                               "here", "--run-id", "run", "--run-dir", run])
    try:
        until("started", run)
        yield
        tracer.send_signal(signal.SIGTERM)
        assert tracer.communicate(timeout=60)[0] == ""
    finally:
        if tracer.poll() is None:
            tracer.kill()
            tracer.communicate()


def cause_of(directory: pathlib.Path, reason: str) -> dict:
    """The cause of the drops with this reason, which is one for all, and in the verdict."""
    summary = merged(directory)
    causes = [loss["cause"] for loss in summary["losses"] if loss.get("reason") == reason]
    assert causes and all(cause == causes[0] for cause in causes), causes
    assert any(causes[0]["words"] in sentence for sentence in summary["verdict"]), summary["verdict"]
    return causes[0]


def state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(("stop", "told", "seen"), [(True, "stopped", "T"), (False, "asleep", "S")],
                         ids=["stopped", "asleep"])
def test_a_reader_that_does_not_read(lab: Lab, tmp_path: pathlib.Path, stop: bool, told: str, seen: str) -> None:
    """It is stopped, or sleeps; another one of a tap of that name, in another namespace, does the opposite."""
    vm, other = lab.netns("vm-a"), lab.netns("vm-b")
    with (devices(vm, "queue0", *TAP), devices(other, "queue0", *TAP), reader(vm, SLEEPS) as (_, pid),
          reader(other, SLEEPS) as (_, beside)):
        os.kill(pid if stop else beside, signal.SIGSTOP)
        wait_until(lambda: state(pid if stop else beside) == "T" and state(beside if stop else pid) == "S", "both wait")
        with capture(lab, "vm-a", tmp_path, "--interface", "queue0", "--protocol", "253"):
            vm.python(SEND, 150)
            dropped = vm.counters("queue0")["tx_dropped"]
    cause = cause_of(tmp_path, "FULL_RING")
    assert cause["drops"] == dropped == 50
    assert cause["certainty"] == "certain", cause
    (candidate,) = cause["candidates"]
    assert (candidate["kind"], candidate["state"], candidate["pid"]) == ("reader", told, pid)
    assert candidate["states"] == {seen: candidate["looks"]} and candidate["ran_ms"] == 0


def test_the_owner_of_a_socket_that_sleeps(lab: Lab, tmp_path: pathlib.Path) -> None:
    vm = lab.netns("vm-a")
    with (devices(vm, "queue0", *TAP, "ip link set lo up",
                  *(words.format("queue0") for words in ADDRESSES)), reader(vm, SOCKET) as (_, pid)):
        wait_until(lambda: state(pid) == "S", "it sleeps")
        with capture(lab, "vm-a", tmp_path, "--protocol", "udp", "--dst-port", "9"):
            vm.python(DATAGRAMS)
    (candidate,) = cause_of(tmp_path, "SOCKET_RCVBUFF")["candidates"]
    owner = candidate["owner"]
    assert (candidate["kind"], owner["pid"], owner["ran_ms"]) == ("socket", pid, 0)
    assert owner["states"] == {"S": owner["looks"]}
