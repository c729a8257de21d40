# SPDX-License-Identifier: Apache-2.0
"""Where records are missing nobody is accused: no false "vanished", and what cannot be known is called unknown."""
import pathlib
import subprocess
import sys

import pytest
from faults import thinned, wire
from faults.capture import MERGER, Capture
from faults.scene import COUNT, PORT, Scene
from faults.table import HYPERVISORS, UDP
from faults.truth import losses, unknown

MANY = 6000


def merged(run: pathlib.Path) -> dict:
    """Merge what there is; both hypervisors were asked for."""
    return Capture(run, HYPERVISORS, []).merge()


def reported(summary: dict) -> str:
    """What the summary says to a person, as one text."""
    return " ".join([*summary["verdict"], *summary.get("doubts", []), *(loss["why"] for loss in summary["losses"])])


@pytest.fixture(scope="module")
def healthy_run(lab, runs) -> pathlib.Path:
    """A capture of healthy traffic both ways."""
    capture = Capture(runs / "trust-healthy", HYPERVISORS, UDP)
    scene = Scene(lab, capture)
    with scene.receiver(MANY) as server, scene.window():
        scene.talk()
        scene.send(MANY)
        assert server.wait()["distinct"] == MANY
    return capture.run


@pytest.fixture(scope="module")
def lossy_run(lab, runs) -> tuple[pathlib.Path, int]:
    """A capture of traffic of which the wire takes every seventh datagram, and how many those are."""
    capture = Capture(runs / "trust-lossy", HYPERVISORS, UDP)
    (loss,) = wire.exact_loss(Scene(lab, capture))
    return capture.run, loss.packets


@pytest.mark.parametrize("hosts", [["hv-a"], ["hv-b"], HYPERVISORS], ids=["first", "second", "both"])
def test_one_record_in_a_hundred_missing(healthy_run, run, hosts: list[str]) -> None:
    thinned.copy(healthy_run, run, HYPERVISORS)
    for seed, host in enumerate(hosts):
        assert thinned.thin(run, host, 100, seed) > 0
    summary = merged(run)
    assert losses(summary) == []
    if "hv-b" in hosts:
        assert unknown(summary)
        assert all("lost" in loss["why"] for loss in unknown(summary))
    assert all(summary["hosts"][host]["lost"] > 0 for host in hosts)


def test_one_record_in_a_hundred_missing_beside_a_real_loss(lossy_run, run) -> None:
    whole, lost = lossy_run
    thinned.copy(whole, run, HYPERVISORS)
    missing = thinned.thin(run, "hv-b", 100)
    summary = merged(run)
    certain = sum(loss.packets for loss in losses(summary))
    assert certain <= lost
    assert lost <= certain + sum(loss["packets"] for loss in unknown(summary)) <= lost + missing


def test_the_source_lost_records_but_the_loss_behind_it_is_real(lossy_run, run) -> None:
    whole, lost = lossy_run
    thinned.copy(whole, run, HYPERVISORS)
    missing = thinned.thin(run, "hv-a", 100)
    summary = merged(run)
    assert all(loss.between == wire.A_TO_B for loss in losses(summary))
    seen = sum(loss["packets"] for loss in summary["losses"])
    assert lost - missing <= seen <= lost


def test_a_ring_that_is_too_small(lab, run) -> None:
    capture = Capture(run, HYPERVISORS, UDP, own={"hv-b": ["--buffer-pages", 8]})
    scene = Scene(lab, capture)
    with scene.receiver(MANY) as server, scene.window():
        scene.talk()
        scene.send(MANY, rate=20000)
        assert server.wait()["distinct"] == MANY
    assert capture.manifest("hv-b")["counters"]["lost"] > 0
    summary = capture.merge()
    assert losses(summary) == []
    assert unknown(summary)
    assert all("lost" in loss["why"] for loss in unknown(summary))


def test_a_rate_limit_that_is_too_low(lab, run) -> None:
    """All packets arrive; of most, hv-b has no record, and nobody is accused."""
    rate = 3000
    capture = Capture(run, HYPERVISORS, UDP, own={"hv-b": ["--max-rate", rate]})
    scene = Scene(lab, capture)
    with scene.receiver(MANY) as server, scene.window():
        scene.talk()
        scene.send(MANY, rate=20000)
        assert server.wait()["distinct"] == MANY
    counters = capture.manifest("hv-b")["counters"]
    assert counters["shed"] > 0
    assert counters["matched"] == counters["written"] + counters["shed"]
    summary = capture.merge()
    assert losses(summary) == []
    assert unknown(summary)
    assert all("shed" in loss["why"] for loss in unknown(summary))
    assert (summary["hosts"]["hv-b"]["shed"], summary["hosts"]["hv-a"]["shed"]) == (counters["shed"], 0)
    assert f"hv-b shed {counters['shed']} records of its datapath_tracing to keep to its limit of {rate} records" in \
        reported(summary)


def test_a_missing_host(healthy_run, run) -> None:
    thinned.copy(healthy_run, run, ["hv-a"])
    summary = merged(run)
    assert losses(summary) == []
    assert summary["hosts"]["hv-b"]["status"] == "missing"
    assert "hv-b" in reported(summary)


def test_a_missing_host_and_a_real_loss(lossy_run, run) -> None:
    whole, _ = lossy_run
    thinned.copy(whole, run, ["hv-a"])
    summary = merged(run)
    assert losses(summary) == []
    assert "hv-b" in reported(summary)


def test_a_late_host(lab, run) -> None:
    """hv-b begins when a third of the datagrams has gone by."""
    capture = Capture(run, HYPERVISORS, UDP)
    scene = Scene(lab, capture)
    with capture.running(), scene.receiver(3 * COUNT) as server:
        capture.arm()
        start = capture.open(["hv-a"])
        scene.talk()
        for number in range(3):
            if number == 1:
                capture.open(["hv-b"], start)
            before = scene.hv_b.counters("vnet0")["tx_packets"]
            scene.send(COUNT, port=PORT)
            scene.until(lambda before=before: scene.hv_b.counters("vnet0")["tx_packets"] - before, COUNT, "all arrived")
        scene.talk()
        assert server.wait()["datagrams"] == 3 * COUNT
        capture.close()
    assert capture.manifest("hv-b")["window"]["late_by_ns"] > 0
    summary = capture.merge()
    assert losses(summary) == []
    assert summary["hosts"]["hv-b"]["late_us"] > 0
    assert "late" in reported(summary)


def test_merging_twice_says_the_same(lossy_run, tmp_path) -> None:
    whole, _ = lossy_run
    run = thinned.copy(whole, tmp_path / "twice", HYPERVISORS)
    first, second = merged(run), merged(run)
    assert first["losses"] == second["losses"]
    done = subprocess.run([sys.executable, MERGER, "--check", run], check=False, capture_output=True)
    assert done.returncode == 0
