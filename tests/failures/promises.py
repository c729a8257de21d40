# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever fails, each promise a function that asserts it.

kept      all whole records that were written can be read, and are those of the datagrams that were sent
counted   what matched is what was written, shed and lost, to the packet
told      the verdict names the host and what it lacks, and the exit status says so
clean     no process, no program, no file is left on the host; before that, none outside the run's directory
"""
import json
import re

import numpy as np
from failures.host import TRACER, Host
from failures.run import Run
from support.lab import wait_until

from fleetmerge import merge
from fleetmerge.bundle import find
from fleetmerge.bundle.manifest import Bundle, open_bundle
from fleetmerge.findings import topology
from fleetmerge.products.summary import Request

LOSSES = ("lost", "shed", "cut", "sampled_out")


def bundle_of(run: Run, host: Host) -> Bundle:
    """A host's bundle, as the merger opens it."""
    return open_bundle(str(run.directory / "hosts" / host.name / TRACER))


def kept(run: Run, host: Host, count: int) -> None:
    """So many records came home, each whole, and of a datagram that was sent."""
    bundle = bundle_of(run, host)
    assert bundle.records == bundle.promised == count, (bundle.records, bundle.promised, count)
    read = np.fromfile(bundle.path, bundle.dtype)
    window = bundle.manifest["window"]
    assert ((read["time_ns"] >= window["start_ns"]) & (read["time_ns"] < window["end_ns"])).all()
    assert set(read["point"]) <= set(bundle.points())


def counted(run: Run, host: Host) -> dict:
    """Return the counters, which add up: in all, and at each point."""
    manifest = bundle_of(run, host).manifest
    counters = manifest["counters"]
    assert counters["matched"] == counters["written"] + sum(counters[name] for name in LOSSES), counters
    for name in ("matched", "lost", "shed", "sampled_out"):
        assert counters[name] == sum(row[name] for row in manifest["per_point"].values()), name
    return counters


def merged(run: Run) -> dict:
    """Merge what came home of the run, with what its hosts answered; returns the summary."""
    whys = {name: answer.get("msg") or answer.get("why", "") for name, answer in run.answers.items()}
    expected = {host.name: find.Expected([TRACER], whys[host.name]) for host in run.hosts}
    merge.merge(Request(find.find([str(run.directory)], None), expected, topology.read(str(run.directory))))
    return json.loads((run.directory / "summary.json").read_text())


def told(summary: dict, host: Host, status: str, words: str) -> None:
    """The verdict says what the host's data is, and in these words (a regular expression), if any, what is wrong."""
    assert summary["hosts"][host.name]["status"] == status, summary["doubts"]
    assert status == "complete" or summary["result"] == "partial"
    said = [sentence for sentence in summary["doubts"] if host.name in sentence and re.search(words, sentence)]
    assert said or not words, (words, summary["doubts"])


def contained(host: Host, before: set[str]) -> None:
    """There is no file on the host that was not there before, but in the run's directory and where captures meet."""
    inside = re.compile(rf"{host.base}(/|$)|/run/skbfleet(/|$)")
    assert {path for path in host.files() - before if not inside.match(path)} == set()


def clean(host: Host, files: set[str], processes: dict[int, str]) -> None:
    """There is on the host what was there before: files, processes, and no program of the tracer."""
    wait_until(lambda: not host.processes().keys() - processes.keys(), f"of {host.name} no process is left: "
               f"{host.processes()}")
    assert host.files() - files == set()
    # the kernel frees a program a grace period after its last user
    wait_until(lambda: not host.loaded(), f"of {host.name} no program is left in the kernel: {host.loaded()}")
