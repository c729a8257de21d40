# SPDX-License-Identifier: Apache-2.0
"""A filter that is wrong in one thing, while known traffic flows: the verdict names the traffic, and the thing."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from support.bundles import ethernet, ipv4, udp
from support.fleet import merged
from support.lab import PYTHON, Lab, wait_until
from support.playbooks import NOTHING_MATCHED, Play, tracers_on
from support.tracers import COMMANDS

A, B = "192.168.32.10", "192.168.32.20"
TAGGED = ethernet(ipv4("10.77.0.1", "10.77.0.2", udp(7001, 7002, 10)), vlan=[100])
SEND = """
import select, socket, sys
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.bind((sys.argv[1], 40000))
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0))
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    plain.sendto(bytes(10), (sys.argv[2], 5001))
    link.send(bytes.fromhex(sys.argv[3]))
"""
UDP = f"{A}:40000 > {B}:5001 udp"


@pytest.fixture
def traffic(lab: Lab) -> Iterator[None]:
    """Datagrams from vm-a to vm-b, plain and with a tag, until the test has ended."""
    with lab.netns("vm-b").serve("udp", B, 5001), sending(lab):
        yield


@contextlib.contextmanager
def sending(lab: Lab) -> Iterator[None]:
    process = lab.netns("vm-a").popen([PYTHON, "-c", SEND, A, B, TAGGED.hex()], stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.poll() is None, process.stdout.read()
    finally:
        process.communicate()  # the end of its input ends it


def traced(path: pathlib.Path, *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Capture in hv-a for a moment; return the manifest, and what the merger makes of it."""
    run = path / "r" / "hosts" / "hv-a" / "datapath_tracing"
    done = subprocess.run(["ip", "netns", "exec", "hv-a", PYTHON, COMMANDS["datapath_tracing"], "--netns=self", *words,
                           "--duration=0.3", "--host=hv-a", "--run-id=r", "--run-dir", run], text=True, timeout=60,
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads((run / "manifest.json").read_text()), merged(path / "r")


@pytest.mark.parametrize(("words", "flow", "differs"), [
    ([f"--dst={B}", "--protocol=udp", "--dst-port=5002"], UDP,
     "the filter's destination address and protocol, but another destination port"),
    (["--src=192.168.32.11", "--protocol=udp", "--dst-port=5001"], UDP,
     "the filter's protocol and destination port, but another source address"),
    (["--dst=10.77.0.2", "--vlan=200"], "10.77.0.1:7001 > 10.77.0.2:7002 udp vlan=100",
     "the filter's destination address, but another VLAN"),
    ([f"--src={A}", "--protocol=udp", "--dst-port=5001", "--vlan=100"], UDP,
     "the filter's source address, protocol and destination port, but no VLAN tag"),
    ([f"--src={B}", f"--dst={A}", "--protocol=udp", "--dst-port=5001"], UDP,
     "the filter's source address, destination address, protocol and destination port, but in the other direction"),
    ([f"--dst={B}", "--protocol=tcp", "--dst-port=5001"], UDP,
     "the filter's destination address and destination port, but another protocol"),
    ([f"--dst={B}", "--protocol=udp", "--interface=lo"], UDP,
     "the filter's destination address and protocol, but at another device")],
    ids=["port", "address", "VLAN", "no VLAN", "direction", "protocol", "device"])
def test_the_traffic_and_what_differs_are_named(traffic: None, tmp_path: pathlib.Path, words: list[str], flow: str,
                                                differs: str) -> None:
    manifest, summary = traced(tmp_path, *words)
    nearest = summary["hosts"]["hv-a"]["nearest"]
    first = nearest["flows"][0]
    assert (first["flow"], first["differs"]) == (flow, differs)
    assert {"netns": "hv-a", "device": "vnet0", "point": "dev.rx"} in first["places"]
    assert 0 < first["packets"] <= nearest["packets"] <= 256
    assert nearest["why"] == "" and manifest["status"] == "complete"
    (doubt,) = [doubt for doubt in summary["doubts"] if doubt.startswith("Nearest of")]
    assert f"window: {flow} at " in doubt and f" ({differs})" in doubt
    assert summary["result"] == "nothing matched"


def test_a_filter_that_matches_takes_no_sample(traffic: None, tmp_path: pathlib.Path) -> None:
    manifest, summary = traced(tmp_path, f"--dst={B}", "--protocol=udp", "--dst-port=5001")
    assert manifest["counters"]["matched"] > 0 and manifest["nearest"] == {}
    assert "nearest" not in summary["hosts"]["hv-a"]


def test_who_wants_no_sample_has_none(traffic: None, tmp_path: pathlib.Path) -> None:
    manifest, summary = traced(tmp_path, "--dst=192.168.32.99", "--no-nearest")
    assert manifest["counters"]["matched"] == 0 and manifest["nearest"] == {}
    assert summary["result"] == "nothing matched"


def test_a_person_is_told_at_the_end(traffic: None) -> None:
    words = [PYTHON, COMMANDS["datapath_tracing"], "--netns=self", f"--dst={B}", "--protocol=udp", "--dst-port=5002",
             "--duration=0.3"]
    done = subprocess.run(["ip", "netns", "exec", "hv-a", *words], text=True, timeout=60, capture_output=True,
                          check=True)
    lines = done.stderr.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("nothing matched; nearest of "))
    assert lines[place + 1].startswith(f"    {UDP} at ")
    assert lines[place + 1].endswith(" (the filter's destination address and protocol, but another destination port)")
    assert lines[-1].startswith("seen ") and done.stdout == ""


def sampler_of(process: subprocess.Popen) -> int:
    """The process that samples for a tracer; 0 if there is none (yet)."""
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if b"--no-nearest" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_nothing_is_left_of_a_sample_that_is_cut_short(lab: Lab, tmp_path: pathlib.Path,
                                                       number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--netns=hv-a", "--dst=192.168.32.99",
                                "--duration=0.1", "--run-dir", run])
    sampler = wait_until(lambda: sampler_of(process), "it samples", 60)
    os.kill(process.pid, number)
    process.communicate(timeout=20)
    wait_until(lambda: not pathlib.Path(f"/proc/{sampler}").exists(), "its sampler is gone")
    if number == signal.SIGTERM:
        manifest = json.loads((run / "manifest.json").read_text())
        assert process.returncode == 0 and manifest["nearest"] == {"why": "the tracer was stopped"}
        assert (manifest["status"], manifest["ended_by"]) == ("complete", "window")


def test_a_run_on_two_hosts_names_it_on_both(lab: Lab, traffic: None, tmp_path: pathlib.Path) -> None:
    play = Play(tmp_path / "captures")
    done = play.run("capture.yml", capture_everything=False, capture_dst=B, capture_protocol="udp",
                    capture_dst_port=5002, capture_duration=1, capture_run_id="n")
    assert done.returncode == NOTHING_MATCHED, done.stdout
    summary = play.summary("n")
    for host in ("hv-a", "hv-b"):
        assert summary["hosts"][host]["status"] == "complete"
        assert summary["hosts"][host]["nearest"]["flows"][0]["flow"] == UDP
        assert play.manifest("n", host, "drop_monitor")["nearest"] == {}
        assert not tracers_on(lab.netns(host))
    verdict = (play.output_dir / "n" / "verdict.txt").read_text()
    assert " ".join(verdict.split()).count(UDP) >= 2
