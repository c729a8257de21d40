# SPDX-License-Identifier: Apache-2.0
"""Both tracers armed for an hour (SOAK_SECONDS) over all of a machine, while traffic of every kind passes, and devices,
namespaces and processes of random names come and go: neither grows, and all that they count adds up."""
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.bundles import stride_dtype
from support.lab import PYTHON, Lab, Netns
from support.tracers import COMMANDS, open_window, until

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
PORT, CLOSED, TCP_PORT = 45871, 45872, 45873    # nobody else on this machine sends there: all of it is looked at
SENT, DROPPED, AWAY, PINGS, TCP_BYTES = 30, 5, 10, 5, 300_000    # of each in a round
AWAY_ADDRESS = "10.99.0.9"
RULES = f"""
table bridge known {{
  chain known {{
    type filter hook forward priority 0
    udp dport {CLOSED} drop
  }}
}}
"""
MOST_GROWTH = 4 << 20            # bytes, between the first third and the last
MOST_MANIFEST = 4 << 20
COMING_AND_GOING = pathlib.Path(__file__).with_name("coming_and_going.py")
PLACES = ("vm-a", "hv-a", "wire", "hv-b", "vm-b")
SIDES = ("written", "cut", "shed", "lost", "sampled_out")


@dataclass
class Watched:
    """A tracer, and what it had of the machine after each round."""

    process: subprocess.Popen
    run: pathlib.Path
    memory: list[int] = field(default_factory=list)    # bytes that are nobody else's
    files: list[int] = field(default_factory=list)

    def look(self) -> None:
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        words = (proc / "status").read_text().split("RssAnon:")[1].split()
        self.memory.append(int(words[0]) << 10)
        self.files.append(len(os.listdir(proc / "fd")))

    def end(self) -> dict:
        """Return the manifest of a tracer that was told to end."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=120)
        assert (output, self.process.returncode) == ("", 0)
        assert (self.run / "manifest.json").stat().st_size < MOST_MANIFEST
        return json.loads((self.run / "manifest.json").read_text())


def start(lab: Lab, tracer: str, run: pathlib.Path, *options: object) -> Watched:
    """An armed tracer whose window is open."""
    words = ["--protocol", "udp", "--max-records", 10**9, "--max-bytes", 10**12, *options]
    process = lab.here().popen([PYTHON, COMMANDS[tracer], "--run-dir", run, "--wait-window", 60, *words])
    until("armed", run)
    open_window(run)
    return Watched(process, run)


def one_round(lab: Lab, number: int) -> None:
    """Traffic of every kind, some of it in a namespace that is not there before or after."""
    vm_a, address = lab.netns("vm-a"), lab.address("vm-b")
    vm_a.send("udp", address, PORT, count=SENT, rate=2000)
    vm_a.send("udp", address, CLOSED, count=DROPPED)
    assert vm_a.send("tcp", address, TCP_PORT, bytes=TCP_BYTES)["received"] == TCP_BYTES
    vm_a.run(["ping", "-q", "-c", PINGS, "-i", "0.01", address])
    lab.here().run([PYTHON, COMING_AND_GOING, number, AWAY_ADDRESS, PORT, AWAY])


def soak(lab: Lab, watched: list[Watched]) -> int:
    """Return how many rounds there were in so many seconds, a few at the least."""
    end, rounds = time.monotonic() + SECONDS, 0
    while rounds < 6 or time.monotonic() < end:
        one_round(lab, rounds)
        rounds += 1
        for one in watched:
            assert one.process.poll() is None, one.process.communicate()
            one.look()
    return rounds


def grown(measured: list[int]) -> int:
    """By how much the last third is above the first, both at their most."""
    third = len(measured) // 3
    return max(measured[-third:]) - max(measured[:third])


@pytest.fixture(scope="module")
def watched(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Watched]]:
    """Both tracers: of what arrives, at every point of two profiles, and of what is dropped."""
    place = tmp_path_factory.mktemp("soak")
    both = [start(lab, "datapath_tracing", place / "datapath", "--profile", "queues", "--profile", "bridge",
                  "--dst-port", PORT), start(lab, "drop_monitor", place / "drops", "--dst-port", CLOSED)]
    yield both
    for one in both:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.fixture(scope="module")
def soaked(lab: Lab, watched: list[Watched]) -> tuple[int, list[Watched], list[dict]]:
    """Rounds, tracers and their manifests."""
    vm_b, address = lab.netns("vm-b"), lab.address("vm-b")
    with lab.netns("hv-b").nft(RULES), vm_b.serve("tcp", address, TCP_PORT), \
            vm_b.serve("udp", address, PORT) as server:
        rounds = soak(lab, watched)
        assert server.stop()["distinct"] == SENT
    print(f"{rounds} rounds; bytes more: {[grown(one.memory) for one in watched]}")
    return rounds, watched, [one.end() for one in watched]


def test_neither_grows(soaked) -> None:
    _, watched, _ = soaked
    for one in watched:
        assert grown(one.memory) <= MOST_GROWTH
        assert grown(one.files) == 0


def test_all_that_is_counted_adds_up(soaked) -> None:
    _, watched, manifests = soaked
    for one, manifest in zip(watched, manifests, strict=True):
        counters = manifest["counters"]
        assert (manifest["ended_by"], manifest["limits"], counters["lost"], counters["shed"]) == ("signal", [], 0, 0)
        assert counters["matched"] == sum(counters[name] for name in SIDES)
        stride = manifest["record"]["stride"]
        assert (one.run / "records.bin").stat().st_size == counters["written"] * stride


def test_every_packet_is_there(lab: Lab, soaked) -> None:
    """What came to its receiver, and what was sent where nobody looks for long."""
    rounds, (datapath, _), (manifest, dropped) = soaked
    assert dropped["counters"]["written"] == rounds * DROPPED
    (point,) = [point["id"] for point in manifest["points"]["attached"] if point["name"] == "dev.tx"]
    records = np.fromfile(datapath.run / "records.bin", stride_dtype(manifest["record"]))
    sent = records[records["point"] == point]
    last = (sent["netns"] == inode(lab.netns("hv-b"))) & (sent["ifindex"] == index(lab.netns("hv-b"), "vnet0"))
    assert last.sum() == rounds * SENT
    of_lab = np.isin(sent["netns"], [inode(lab.netns(name)) for name in PLACES])
    assert (~of_lab).sum() == rounds * AWAY


def inode(place: Netns) -> int:
    """The number of a namespace."""
    return int(place.run(["stat", "-Lc", "%i", "/proc/self/ns/net"]).stdout)


def index(place: Netns, device: str) -> int:
    """The number of a device in its namespace."""
    return int(place.run(["cat", f"/sys/class/net/{device}/ifindex"]).stdout)
