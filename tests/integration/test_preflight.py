# SPDX-License-Identifier: Apache-2.0
"""The preflight on the lab: what it says of hosts, good and bad, and that it leaves nothing there."""
import contextlib
import json
import stat
import subprocess
from collections.abc import Iterator

import pytest
from support.lab import PYTHON, ROOT, Lab
from support.playbooks import Play

BOTH = ("hv-a", "hv-b")
VENV_PYTHON = str(ROOT / ".venv" / "bin" / "python")  # it has no bcc
BUSY = """
import json, os, sys, time
os.makedirs(sys.argv[1])
ticks = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19])
json.dump({"pid": os.getpid(), "start_ticks": ticks}, open(sys.argv[1] + "/process.json", "w"))
print("ready", flush=True)
time.sleep(600)
"""
SILENT = "{ansible_host: 10.77.0.250, ansible_ssh_common_args: '-F none -o ConnectTimeout=2'}"


@pytest.fixture
def play(tmp_path) -> Play:
    return Play(tmp_path / "captures")


def answers(play: Play) -> dict:
    """What the preflight wrote down for each host."""
    path = play.output_dir / "preflight.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())["hosts"]


def programs_of(lab: Lab, host: str) -> list[str]:
    """What could keep a BPF program alive on a host: a process of ours, or a pinned program."""
    processes = lab.netns(host).run(["ps", "-ww", "-eo", "args"]).stdout.splitlines()
    pinned = lab.netns(host).run(["ls", "-A", "/sys/fs/bpf"]).stdout.splitlines()
    return [line for line in processes if "skbfleet" in line] + [
        name for name in pinned if not name.endswith(".debug")]  # the kernel's own


def files_of(lab: Lab, host: str) -> set[str]:
    """What lies in the places where something could be left, but for Ansible's own directory."""
    listing = lab.netns(host).run(["find", "/tmp", "/var/tmp", "/run", "-maxdepth", "2", "-not", "-path", "/proc*",
                                   "-name", "*skbfleet*"]).stdout
    return set(listing.splitlines()) | set(lab.netns(host).run(["ls", "-A", "/tmp"]).stdout.splitlines())


def test_both_hosts_are_ready_with_gaps_and_nothing_is_left(lab, play):
    before = {host: files_of(lab, host) - {".ansible"} for host in BOTH}
    done = play.run("preflight.yml")
    assert done.returncode == 0, done.stdout
    assert {host: files_of(lab, host) - {".ansible"} for host in BOTH} == before
    assert [programs_of(lab, host) for host in BOTH] == [[], []]
    found = answers(play)
    assert set(found) == set(BOTH)
    for host in BOTH:
        one = found[host]
        assert one["ready"] is True
        assert one["verdict"].startswith("ready with gaps: not every point of the profiles ")
        assert one["trial"]["profiles"]["nic"] == []
        assert one["trial"]["profiles"]["queues"] == ["udp.deliver"]  # it needs a probe of a function
        assert "br.rx" in one["trial"]["profiles"]["bridge"]
        assert set(one["trial"]["attached"].values()) == {"raw_tracepoint"}
        roles = {device["name"]: device["role"] for device in one["trial"]["devices"]}
        assert (roles["vnet0"], roles["br0"]) == ("vnet", "bridge")
        assert "eth0" in roles
        assert one["clock"]["clock_error_ns"] > 0
        # one machine, one clock
        assert abs(one["clock"]["clock_difference_ns"]) <= one["clock"]["clock_error_ns"]
    row = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["hv-a"])
    assert one["facts"]["kernel"] in row
    assert "4/4" in row.split()
    assert "devices: 1 vnet (vnet0), 1 bridge (br0)" in done.stdout


def test_a_required_profile_that_is_not_complete_is_not_ready(lab, play):
    done = play.run("preflight.yml", preflight_profile="nic,bridge")
    assert done.returncode != 0
    for host in BOTH:
        assert answers(play)[host]["verdict"].startswith("not ready: the profile bridge lacks ")


def test_a_host_that_is_down_gets_its_row(lab, play, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text(f"hypervisors:\n  hosts:\n    hv-0: {SILENT}\n"
                    "    nopython: {ansible_host: 10.77.0.11, ansible_python_interpreter: /usr/bin/python9}\n"
                    "    nosudo: {ansible_host: 10.77.0.11, ansible_become_user: daemon, "
                    "ansible_become_exe: /nowhere/sudo}\n")
    done = play.run("preflight.yml", "-i", str(ROOT / "inventories" / "lab"), "-i", str(more))
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    found = answers(play)
    assert {host for host in found if found[host]["ready"]} == set(BOTH)
    assert found["hv-0"]["verdict"].startswith("not ready: it cannot be reached: Failed to connect")
    assert found["hv-0"]["verdict"].endswith("do this: check its address, its ssh daemon and the network in between")
    assert found["nopython"]["verdict"].startswith("not ready: Ansible finds no Python there: ")
    assert found["nosudo"]["verdict"].startswith("not ready: Ansible cannot become root there: ")
    for host in found:
        assert any(line.split()[:1] == [host] for line in done.stdout.splitlines())


def test_a_host_without_bcc_is_told_what_to_install(lab, play):
    done = play.run("preflight.yml", capture_tracer_python=VENV_PYTHON)
    assert done.returncode != 0
    for host in BOTH:
        assert answers(play)[host]["verdict"] == (
            f"not ready: {VENV_PYTHON} has no module bcc, do this: install python3-bpfcc (Debian, openEuler) or "
            "python3-bcc (RHEL family), or run playbooks/prereqs.yml, or set capture_tracer_python to a Python with "
            "bcc")
    assert all("skbfleet" not in " ".join(files_of(lab, host)) for host in BOTH)


def test_a_full_disk_and_an_unknown_device_cost_their_host(lab, play):
    hypervisor = lab.netns("hv-a")
    hypervisor.run(["mkdir", "/tmp/skbfleet"])
    hypervisor.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=711", "tmpfs", "/tmp/skbfleet"])
    try:
        done = play.run("preflight.yml")
    finally:
        hypervisor.run(["umount", "/tmp/skbfleet"])
        hypervisor.run(["rm", "-rf", "/tmp/skbfleet"])
    assert done.returncode != 0
    found = answers(play)
    assert found["hv-a"]["verdict"].startswith("not ready: the disk of /tmp/skbfleet has 1 MiB free")
    assert found["hv-b"]["ready"]

    assert play.run("preflight.yml", capture_interfaces=["nope0"]).returncode != 0
    assert answers(play)["hv-b"]["verdict"].startswith("not ready: capture_interfaces is 'nope0': there is no such ")


def test_a_kernel_that_does_not_tell_its_types_is_told_what_to_install(lab, play):
    hypervisor = lab.netns("hv-a")
    release = hypervisor.run(["uname", "-r"]).stdout.strip()
    if hypervisor.run(["test", "-e", f"/lib/modules/{release}/build"], check=False).returncode == 0:
        pytest.skip("this kernel's headers are installed: the tracers would take them")
    hypervisor.run(["mount", "-t", "tmpfs", "tmpfs", "/sys/kernel/btf"])
    try:
        play.run("preflight.yml")
    finally:
        hypervisor.run(["umount", "/sys/kernel/btf"])
    found = answers(play)
    assert found["hv-a"]["verdict"].startswith("not ready: this kernel has neither BTF (/sys/kernel/btf/vmlinux) nor ")
    assert f"do this: install linux-headers-{release} (Debian)" in found["hv-a"]["verdict"]
    assert found["hv-b"]["ready"]


@contextlib.contextmanager
def busy(hypervisor, run_id: str) -> Iterator[subprocess.Popen]:
    """A run that is in progress on a host, as far as anyone can see: a process where a tracer would be."""
    process = hypervisor.popen([PYTHON, "-c", BUSY, f"/tmp/skbfleet/{run_id}/drop_monitor"])
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()
        hypervisor.run(["rm", "-rf", "/tmp/skbfleet"])


def test_a_run_in_progress_is_in_the_way_and_survives(lab, play):
    with busy(lab.netns("hv-a"), "busy") as process:
        done = play.run("preflight.yml")
        assert done.returncode != 0
        assert answers(play)["hv-a"]["verdict"] == (
            "not ready: the run busy is in progress there, do this: wait for its end, or, if its controller is gone, "
            "bring it home with playbooks/collect.yml -e capture_run_id=busy")
        assert answers(play)["hv-b"]["ready"]
        # a capture of the same name, from a controller that does not know the other, leaves it alone
        done = play.run("drop_monitor.yml", capture_run_id="busy", capture_duration=1)
        assert done.returncode != 0
        outcome = play.outcome("busy")["hosts"]
        assert outcome["hv-a"]["why"].startswith("the run busy is in progress there")
        assert outcome["hv-b"]["status"] == "complete"
        assert process.poll() is None
        assert lab.netns("hv-a").run(["ls", "-A", "/tmp/skbfleet/busy"]).stdout == "drop_monitor\n"


@pytest.mark.parametrize(("variables", "sentence"), [
    ({"preflight_profile": "ovz"}, "ovz in preflight_profile is not a profile: it must be one of bridge, drop, full"),
    ({"preflight_profil": "ovs"}, "preflight_profil is not a variable of skbfleet, and was set to 'ovs': did you mean"),
    ({"capture_remote_dir": "relative"}, "capture_remote_dir is 'relative': it must be an absolute path"),
])
def test_bad_input_is_refused_before_any_host_is_asked(play, variables, sentence):
    done = play.run("preflight.yml", "-i", "192.0.2.1,192.0.2.2,", **variables)
    assert done.returncode != 0
    assert sentence in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    assert "cannot be reached" not in done.stdout
    assert not play.output_dir.exists()
