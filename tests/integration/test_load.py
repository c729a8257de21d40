# SPDX-License-Identifier: Apache-2.0
"""A capture that would record too much stops before its window opens, on all hosts, and leaves nothing."""
import contextlib
import json
import pathlib
import re
from collections.abc import Iterator

import pytest
from support.lab import PYTHON, ROOT, TRAFFIC, Lab
from support.playbooks import Play, tracers_on

BOTH = ("hv-a", "hv-b")
PORT, RATE = 5033, 2000  # datagrams a second
FLOW = {"capture_dst": "192.168.32.20", "capture_protocol": "udp", "capture_dst_port": str(PORT),
        "capture_everything": False, "capture_duration": 1, "capture_max_load": 100}


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    return Play(tmp_path / "captures")


@contextlib.contextmanager
def steady(lab: Lab) -> Iterator[None]:
    """Datagrams from vm-a to vm-b, about RATE a second, while the block runs."""
    with lab.netns("vm-b").serve("udp", lab.address("vm-b"), PORT):
        sender = lab.netns("vm-a").popen([PYTHON, TRAFFIC, "udp-send", lab.address("vm-b"), PORT, "--count", 10 ** 6,
                                          "--rate", RATE])
        try:
            yield
        finally:
            sender.kill()
            sender.communicate()


def assert_nothing_is_left(lab: Lab) -> None:
    for host in BOTH:
        assert tracers_on(lab.netns(host)) == []
        for place in ("/tmp/skbfleet", "/run/skbfleet"):
            lab.netns(host).run(["test", "!", "-e", place])


def test_a_load_above_the_limit_stops_the_run_on_all_hosts(lab: Lab, play: Play) -> None:
    with steady(lab):
        done = play.run("capture.yml", **FLOW, capture_run_id="busy")
    assert done.returncode != 0
    assert "the run stops before its window if a host would make more than 100" in done.stdout
    assert "The window lasts" not in done.stdout
    assert_nothing_is_left(lab)
    said = re.compile(r"the run was stopped before its window opened: (hv-.) would make (\d+) records a second \((\d+) "
                      r"matching packets a second at its busiest point, (?:dev\.\wx|skb\.free)\), and "
                      r"capture_max_load is 100; narrow the filter, set capture_sample, or set "
                      r"capture_accept_load=true")
    for host in BOTH:  # each forwards the flow
        outcome = play.outcome("busy")["hosts"][host]
        assert (outcome["status"], outcome["failed"]) == ("missing", True)
        found = said.fullmatch(outcome["why"])
        assert found, outcome["why"]
        assert found[1] == host
        assert 100 < int(found[3]) < int(found[2])  # it comes in at one device, and leaves at another
        assert outcome["why"] in done.stdout


def test_hosts_without_load_stop_too_and_name_the_one_that_has_it(lab: Lab, play: Play, tmp_path: pathlib.Path) -> None:
    """Of hv-a only what is dropped there is asked for, and nothing is."""
    more = tmp_path / "more.yml"
    more.write_text(json.dumps({"hypervisors": {"hosts": {"hv-a": {"capture_tracers": ["drop_monitor"]}}}}))
    with steady(lab):
        done = play.run("reproduce.yml", "-i", str(ROOT / "inventories" / "lab"), "-i", str(more), **FLOW,
                        capture_run_id="one", reproduce_command=f"touch {tmp_path}/ran")
    assert done.returncode != 0
    assert not (tmp_path / "ran").exists()
    hosts = play.outcome("one")["hosts"]
    assert hosts["hv-a"]["why"] == ("the run was stopped before its window opened, for what would be recorded on hv-b")
    assert "hv-b would make" in hosts["hv-b"]["why"]
    assert_nothing_is_left(lab)


def test_a_load_that_is_accepted_or_thinned_out_is_recorded(lab: Lab, play: Play) -> None:
    with steady(lab):
        accepted = play.run("datapath_tracing.yml", **FLOW, capture_run_id="yes", capture_accept_load=True)
        thinned = play.run("datapath_tracing.yml", **{**FLOW, "capture_max_load": RATE}, capture_run_id="thin",
                           capture_sample="100")
    for run, done in (("yes", accepted), ("thin", thinned)):
        assert [one["status"] for one in play.outcome(run)["hosts"].values()] == ["complete"] * 2, done.stdout
    assert "the run stops before its window" not in accepted.stdout
    assert "load     hv-" in accepted.stdout
    for run, one_in in (("yes", 1), ("thin", 100)):
        manifest = play.manifest(run, "hv-a", "datapath_tracing")
        load = manifest["load"]
        assert load["packets_per_s"] > 100
        assert manifest["counters"]["written"] > 0
        # what was counted before the window is what was let through while it was closed, and no more
        outside = sum(row["outside_window"] for row in manifest["per_point"].values())
        assert load["records_per_s"] * load["seconds"] * one_in <= outside + one_in
    assert_nothing_is_left(lab)
