# SPDX-License-Identifier: Apache-2.0
"""The playbooks over ssh, on each kernel: preflight, a run to its end, a run that is cleaned up in its window."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from emulated.machine import Machine
from emulated.tracing import leftovers, nothing_new, workload
from support.lab import wait_until
from support.playbooks import LOSS, PARTIAL, Play, kill

ROOT = Path(__file__).parent.parent.parent
TOOL = ROOT / "tests/hypervisors/hypervisors.py"
PASSED, DROPPED, EXCEEDED = 40, 25, 15
OPEN, CLOSED, POLICED = 5000, 4321, 4444
WHAT = f"'{OPEN} {PASSED}' '{CLOSED} {DROPPED}' '{POLICED} {EXCEEDED}'"
SEND = f"for n in {WHAT}; do python3 /opt/workload.py udp bridge $n || exit; done"
RUNS = "/var/tmp/skbfleet"
MEMORY = 256 << 20
# what systemd, and the kernel, say of a tracer's unit
SHOWN = {"MemoryMax": str(MEMORY), "MemorySwapMax": "0", "CPUQuotaPerSecUSec": "1.500000s", "Nice": "5",
         "OOMScoreAdjust": "1000", "OOMPolicy": "continue", "KillMode": "mixed", "NoNewPrivileges": "yes",
         "ProtectSystem": "strict", "ActiveState": "active"}
SHOW = "systemctl show skbfleet-whole-datapath_tracing.service > /root/shown"
# A process in the tracer's unit that takes nearly all of its memory, and would be the last to be killed for that.
HOARD = """
import os, sys, time
for place, word in (("/proc/self/oom_score_adj", "-1000"), (sys.argv[1] + "/cgroup.procs", str(os.getpid()))):
    with open(place, "w") as handle:
        handle.write(word)
hoard = b"x" * int(sys.argv[2])
time.sleep(600)
"""
SWITCH = """ovs-ofctl --no-stats dump-flows ovs0; ovs-vsctl -f csv list Port; ovs-appctl dpif/show | tail -n +2
ovs-ofctl -O OpenFlow13 dump-meters ovs0 | tail -n +2"""


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
                    capture_max_cpu=150, capture_max_memory=MEMORY,
                    reproduce_command=f"{TOOL} run {machine.name} {shlex.quote(SEND + '; ' + SHOW)}")  # fmt: skip
    assert done.returncode == LOSS, done.stdout[-3000:]
    seen = play.manifest("whole", machine.name, "datapath_tracing")["per_point"]
    for point in ("dev.tx", "dev.rx"):  # before the bridge, and behind it
        assert seen[point]["matched"] == PASSED + DROPPED + EXCEEDED + PASSED
    losses = [loss for loss in play.summary("whole")["losses"] if loss["kind"] == "drop"]
    assert [(loss["host"], loss["packets"], loss["certainty"]) for loss in losses] == [
        (machine.name, DROPPED, "certain"), (machine.name, EXCEEDED, "certain")]
    assert_causes(losses)
    shown = dict(line.split("=", 1) for line in machine.fetch("/root/shown").decode().splitlines() if "=" in line)
    assert {name: shown[name] for name in SHOWN} == SHOWN
    assert set(shown["IPAddressDeny"].split()) == {"::/0", "0.0.0.0/0"}
    held = play.manifest("whole", machine.name, "datapath_tracing")["confinement"]
    assert held == {"unit": "skbfleet-whole-datapath_tracing.service", "memory_max": MEMORY, "cpus": 1.5, "nice": 5,
                    "oom_score_adj": 1000}
    nothing_new(machine, before)


def assert_causes(losses: list[dict]) -> None:
    """The rule and the policer are named, by what they counted."""
    causes = [loss["cause"] for loss in losses]
    assert [(cause["certainty"], cause["drops"]) for cause in causes] == [
        ("certain", DROPPED), ("certain", EXCEEDED)], causes
    (rule,), (policer,) = (cause["candidates"] for cause in causes)
    assert (rule["kind"], rule["chain"], rule["rose"]) == ("nftables", "forward", DROPPED)
    assert (policer["kind"], policer["filter"], policer["pref"], policer["device"], policer["rose"]) == (
        "tc", "flower", 7, "p-src", EXCEEDED)


def test_a_tracer_that_uses_too_much_memory_dies_alone(machine: Machine, inventory: str, play: Play) -> None:
    """The kernel kills it, and nobody else; what it had recorded comes home, and the verdict says why."""
    before = leftovers(machine)
    begun = play.begin("drop_monitor.yml", "-i", inventory, capture_run_id="big", capture_duration=900,
                       capture_protocol="udp", capture_max_memory=MEMORY)
    status = f"cat {RUNS}/big/drop_monitor/status.json"
    wait_until(lambda: '"started"' in machine.run(status, check=False).stdout, "the tracer is at work", 900)
    kill(begun)
    start_ns = int(re.findall(r'"start_realtime_ns": (\d+)', machine.run(status).stdout)[0])
    wait_until(lambda: int(machine.run("date +%s%N").stdout) > start_ns, "the window is open", 60)
    workload(machine, "udp", "bridge", CLOSED, DROPPED)
    wait_until(lambda: f'"records": {DROPPED}' in machine.run(status).stdout, "all drops are recorded", 60)
    unit = "/sys/fs/cgroup/system.slice/skbfleet-big-drop_monitor.service"
    machine.run(f"timeout 600 python3 - {unit} {MEMORY - (16 << 20)}", check=False, data=HOARD.encode(), timeout=600)
    done = play.run("collect.yml", "-i", inventory, timeout=900, capture_run_id="big")
    assert done.returncode == PARTIAL, done.stdout[-3000:]
    assert play.manifest("big", machine.name, "drop_monitor")["counters"]["written"] == DROPPED
    assert any("it was killed because it used more than 256 MiB of memory" in doubt
               for doubt in play.summary("big")["doubts"])
    nothing_new(machine, before)


def test_the_openflow_rule_is_named_and_nothing_is_changed(machine: Machine, inventory: str, play: Play) -> None:
    """Open vSwitch is asked by its own socket; its rules, ports and addresses are what they were before."""
    send = f"for n in '{OPEN} {PASSED}' '{CLOSED} {DROPPED}'; do python3 /opt/workload.py udp ovs $n || exit; done"
    before = machine.run(SWITCH).stdout
    done = play.run("reproduce.yml", "-i", inventory, timeout=900, capture_run_id="switched", capture_protocol="udp",
                    capture_dst="192.168.33.20", capture_dst_port=f"{CLOSED}-{OPEN}", capture_duration=300,
                    reproduce_command=f"{TOOL} run {machine.name} {shlex.quote(send)}")  # fmt: skip
    assert done.returncode == LOSS, done.stdout[-3000:]
    assert machine.run(SWITCH).stdout == before
    causes = [loss["cause"] for loss in play.summary("switched")["losses"] if loss["kind"] == "drop"]
    assert [(one["certainty"], one["drops"] >= DROPPED - 1) for one in causes] == [("certain", True)]
    (rule,) = causes[0]["candidates"]
    assert (rule["kind"], rule["bridge"], rule["match"], rule["actions"], rule["rose"]) == (
        "openflow", "ovs0", f"udp,tp_dst={CLOSED}", "drop", DROPPED)  # fmt: skip


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
