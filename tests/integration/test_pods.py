# SPDX-License-Identifier: Apache-2.0
"""Containers of one host: a drop between them, seen from the host's side over all its network namespaces."""
import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fleet import flow, merged, segment
from support.lab import PYTHON, Lab, Netns
from support.tracers import COMMANDS, until

ADDRESSES = {"pod-1": "10.9.0.1", "pod-2": "10.9.0.2"}
OPEN, CLOSED, COUNT = 5000, 4321, 40
RULES = """table bridge guard { chain forward {
    type filter hook forward priority 0; udp dport %d counter drop; }; }""" % CLOSED
ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    server.sendto(*server.recvfrom(2048))
"""
ASK = """
import socket, sys
address, port, closed, count = sys.argv[1], *map(int, sys.argv[2:])
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("", 6000))
client.settimeout(10)
for number in range(count):
    client.sendto(b"question %d" % number, (address, port))
    assert client.recv(2048) == b"question %d" % number
    client.sendto(b"no answer %d" % number, (address, closed))
"""


@pytest.fixture
def pods(lab: Lab) -> Iterator[dict[str, Netns]]:
    """Two namespaces with an eth0 each, joined by a bridge of this machine; the lab has VMs' taps."""
    here, spaces = lab.here(), {name: lab.netns(name) for name in ADDRESSES}
    with contextlib.ExitStack() as ends:
        here.run(["ip", "link", "add", "pods0", "type", "bridge"])
        ends.callback(here.run, ["ip", "link", "del", "pods0"])
        here.run(["ip", "link", "set", "pods0", "up"])
        for number, (name, space) in enumerate(spaces.items()):
            here.run(["ip", "netns", "add", name])
            ends.callback(here.run, ["ip", "netns", "del", name])
            here.run(["ip", "link", "add", "veth%d" % number, "type", "veth", "peer", "name", "eth0", "netns", name])
            here.run(["ip", "link", "set", "veth%d" % number, "master", "pods0", "up"])
            space.run(["ip", "addr", "add", ADDRESSES[name] + "/24", "dev", "eth0"])
            space.run(["ip", "link", "set", "eth0", "up"])
        yield spaces


@contextlib.contextmanager
def echoing(pod: Netns, *arguments: object) -> Iterator[None]:
    process = pod.popen([PYTHON, "-c", ECHO, *arguments])
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


def test_a_drop_between_two_pods(lab: Lab, pods: dict[str, Netns], tmp_path: Path) -> None:
    """What the echoing socket reads is freed unseen, and answers leave in the same memory: they are packets of their
    own. Each pod's eth0 is told from the other's."""
    run = tmp_path / "hosts/hv/datapath_tracing"
    run.parent.mkdir(parents=True)
    address = ADDRESSES["pod-2"]
    with lab.here().nft(RULES), echoing(pods["pod-2"], address, OPEN):
        tracer = subprocess.Popen([PYTHON, COMMANDS["datapath_tracing"], "--protocol", "udp", "--dst", address,
                                   "--both-directions", "--host", "hv", "--run-id", "pods", "--run-dir", run])
        try:
            until("started", run)
            pods["pod-1"].python(ASK, address, OPEN, CLOSED, COUNT)
            tracer.send_signal(signal.SIGINT)
            assert tracer.wait(30) == 0
        finally:
            tracer.kill()
            tracer.wait()
    summary = merged(tmp_path)
    assert [(loss["kind"], loss["certainty"], loss["packets"], loss["device"], loss["reason"])
            for loss in summary["losses"]] == [("drop", "certain", COUNT, "veth1", "NETFILTER_DROP")]
    questions = flow(summary, f"{ADDRESSES['pod-1']}:6000 > {address}:{OPEN}")
    answers = flow(summary, f"{address}:{OPEN} > {ADDRESSES['pod-1']}:6000")
    assert (questions["packets"], answers["packets"]) == (COUNT, COUNT)
    assert segment(summary, "hv veth1 dev.tx", "hv eth0@pod-2 dev.rx")["packets"] == COUNT
    assert segment(summary, "hv veth0 dev.tx", "hv eth0@pod-1 dev.rx")["packets"] == COUNT
