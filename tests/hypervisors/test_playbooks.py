# SPDX-License-Identifier: Apache-2.0
"""The playbooks over ssh, on each kernel: preflight, a run to its end, a run that is cleaned up in its window."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from emulated.machine import Machine
from emulated.tracing import leftovers, nothing_new
from support.lab import wait_until
from support.playbooks import LOSS, Play, kill

ROOT = Path(__file__).parent.parent.parent
TOOL = ROOT / "tests/hypervisors/hypervisors.py"
PASSED, DROPPED = 40, 25
OPEN, CLOSED = 5000, 4321
SEND = f"for n in '{OPEN} {PASSED}' '{CLOSED} {DROPPED}'; do python3 /opt/workload.py udp bridge $n || exit; done"
RUNS = "/var/tmp/skbfleet"


@pytest.fixture
def inventory(machine: Machine, tmp_path: Path) -> str:
    """An inventory with this machine alone."""
    shutil.copytree(ROOT / "inventories/hypervisors/group_vars", tmp_path / "inventory/group_vars")
    hosts = {"hypervisors": {"hosts": {machine.name: {"ansible_port": machine.port}}}}
    (tmp_path / "inventory/hosts.json").write_text(json.dumps(hosts))
    return str(tmp_path / "inventory")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """The playbooks, with an output directory of the test's own."""
    return Play(tmp_path / "captures")


def test_preflight_calls_it_ready(machine: Machine, inventory: str, play: Play) -> None:
    done = play.run("preflight.yml", "-i", inventory, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    report = json.loads((play.output_dir / "preflight.json").read_text())
    assert machine.name in json.dumps(report)
    assert "not ready" not in done.stdout


def test_a_run_with_both_tracers_counts_right_and_leaves_nothing(machine: Machine, inventory: str, play: Play) -> None:
    before = leftovers(machine)
    done = play.run("reproduce.yml", "-i", inventory, timeout=900, capture_run_id="whole", capture_protocol="udp",
                    capture_dst="192.168.32.20", capture_dst_port=f"{CLOSED}-{OPEN}", capture_duration=300,
                    reproduce_command=f"{TOOL} run {machine.name} {shlex.quote(SEND)}")  # fmt: skip
    assert done.returncode == LOSS, done.stdout[-3000:]
    seen = play.manifest("whole", machine.name, "datapath_tracing")["per_point"]
    for point in ("dev.tx", "dev.rx"):  # before the bridge, and behind it
        assert seen[point]["matched"] == PASSED + DROPPED + PASSED
    losses = [loss for loss in play.summary("whole")["losses"] if loss["kind"] == "drop"]
    assert [(loss["host"], loss["packets"], loss["certainty"]) for loss in losses] == [
        (machine.name, DROPPED, "certain")]
    nothing_new(machine, before)


def test_a_run_whose_controller_died_is_cleaned_up(machine: Machine, inventory: str, play: Play) -> None:
    before = leftovers(machine)
    begun = play.begin("drop_monitor.yml", "-i", inventory, capture_run_id="cut", capture_duration=900)
    status = f"cat {RUNS}/cut/drop_monitor/status.json"
    wait_until(lambda: '"started"' in machine.run(status, check=False).stdout, "the tracer is at work", 300)
    kill(begun)
    assert leftovers(machine)["programs"] != before["programs"]
    done = play.run("cleanup.yml", "-i", inventory, timeout=300, capture_yes=True)
    assert done.returncode == 0, done.stdout[-3000:]
    nothing_new(machine, before)
