# SPDX-License-Identifier: Apache-2.0
"""A controller dies, a host cannot be reached, two controllers are at work: the playbooks bring home what there is."""
import os
import pathlib
import signal

import pytest
from failures.host import Host
from support.lab import Lab, wait_until
from support.playbooks import (
    PARTIAL,
    Play,
    kill,
    tracers_on,
    wait_for_open_window,
    wait_for_state,
)

BOTH = ("hv-a", "hv-b")
PING = {"capture_src": "192.168.32.10", "capture_dst": "192.168.32.20", "capture_protocol": "icmp",
        "capture_bidirectional": True}
NO_SSH = """
table inet cut {
  chain input {
    type filter hook input priority 0
    tcp dport 22 reject with tcp reset
  }
}
"""


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    return Play(tmp_path / "captures")


def nothing_is_left(lab: Lab) -> bool:
    """Whether no tracer runs and no directory of ours is there, on any host."""
    return all(not tracers_on(lab.netns(name)) and lab.netns(name).run(["test", "!", "-e", "/tmp/skbfleet"])
               for name in BOTH)


def statuses(play: Play, run_id: str) -> dict[str, str]:
    """What became of each host."""
    return {name: one["status"] for name, one in play.outcome(run_id)["hosts"].items()}


def ping(lab: Lab) -> None:
    lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.02", lab.address("vm-b")])


def test_a_run_is_collected_host_by_host_and_again(lab: Lab, play: Play) -> None:
    """Its controller is killed in the window; hv-b lets nobody in when it is collected for the first time."""
    killed = play.begin("datapath_tracing.yml", **PING, capture_run_id="c", capture_duration=4)
    for host in BOTH:
        wait_for_open_window(lab.netns(host), "c", "datapath_tracing", 60)
    kill(killed)
    ping(lab)
    for host in BOTH:
        wait_for_state(lab.netns(host), "c", "datapath_tracing", "finished", 30)
    with lab.netns("hv-b").nft(NO_SSH):
        done = play.run("collect.yml", capture_run_id="c")
    assert done.returncode == PARTIAL, done.stdout
    assert statuses(play, "c") == {"hv-a": "complete", "hv-b": "missing"}
    assert play.outcome("c")["hosts"]["hv-b"]["why"].endswith("its records wait for playbooks/collect.yml")
    assert play.summary("c")["hosts"]["hv-b"]["status"] == "missing"
    for _ in range(2):
        done = play.run("collect.yml", capture_run_id="c")
        assert done.returncode == 0, done.stdout
        assert statuses(play, "c") == {"hv-a": "complete", "hv-b": "complete"}
        assert [flow["packets"] for flow in play.summary("c")["flows"]] == [5, 5]
        for host in BOTH:
            counters = play.manifest("c", host, "datapath_tracing")["counters"]
            assert counters["matched"] == counters["written"] > 0
        assert nothing_is_left(lab)


def test_a_host_that_is_cut_off_before_it_knows_its_window(lab: Lab, play: Play) -> None:
    """The controller is held up when hv-b has armed, until nobody can get there. The others go on; and hv-b alone is
    cleaned up, when that is possible again, and once more."""
    playbook = play.begin("datapath_tracing.yml", **PING, capture_run_id="s", capture_duration=1)
    cut = Host(lab, "hv-b", "s")
    wait_until(lambda: cut.file("status.json").get("state") == "armed", "hv-b is armed", 60)
    os.killpg(playbook.pid, signal.SIGSTOP)
    with lab.netns("hv-b").nft(NO_SSH):
        os.killpg(playbook.pid, signal.SIGCONT)
        assert playbook.wait(timeout=120) == PARTIAL
    assert statuses(play, "s") == {"hv-a": "complete", "hv-b": "missing"}
    assert "connection was lost" in play.outcome("s")["hosts"]["hv-b"]["why"]
    assert tracers_on(lab.netns("hv-a")) == []
    done = play.run("cleanup.yml", "--limit", "hv-b", capture_run_id="s", capture_yes=True)
    assert done.returncode == 0, done.stdout
    assert "removed: /tmp/skbfleet/s" in done.stdout
    assert nothing_is_left(lab)
    assert "removed: nothing" in play.run("cleanup.yml", "--limit", "hv-b", capture_run_id="s").stdout


def test_two_controllers_that_begin_the_same_run_at_once(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Each host belongs to one of them, which gets its records; the other one is told so, and harms nothing."""
    plays = [Play(tmp_path / name / "captures") for name in ("one", "two")]
    for one in plays:
        one.output_dir.parent.mkdir()
    playbooks = [one.begin("datapath_tracing.yml", **PING, capture_run_id="t", capture_duration=2) for one in plays]
    ended = [playbook.wait(timeout=120) for playbook in playbooks]
    outcomes = [one.outcome("t")["hosts"] for one in plays]
    for host in BOTH:
        (got,) = [outcome[host] for outcome in outcomes if outcome[host]["status"] == "complete"]
        (other,) = [outcome[host] for outcome in outcomes if outcome[host] is not got]
        assert other["status"] == "missing"
        assert "the run t" in other["why"]
    assert all(status for status, outcome in zip(ended, outcomes, strict=True)
               if any(one["failed"] for one in outcome.values()))
    assert nothing_is_left(lab)


def test_a_run_that_someone_else_has_just_begun_stays_theirs(lab: Lab, play: Play) -> None:
    """There was nothing on hv-b when it was asked, and a directory when the run began there."""
    hypervisor = lab.netns("hv-b")
    hypervisor.run(["mkdir", "-p", "-m", "711", "/tmp/skbfleet", "/tmp/skbfleet/o"])
    try:
        done = play.run("datapath_tracing.yml", **PING, capture_run_id="o", capture_duration=1)
        assert hypervisor.run(["ls", "/tmp/skbfleet"]).stdout == "o\n"
    finally:
        hypervisor.run(["rm", "-rf", "/tmp/skbfleet"])
    assert done.returncode == PARTIAL, done.stdout
    assert statuses(play, "o") == {"hv-a": "complete", "hv-b": "missing"}
    assert play.outcome("o")["hosts"]["hv-b"]["why"].startswith("the run o was begun on this host by someone else")
    wait_until(lambda: nothing_is_left(lab), "nothing is left")
