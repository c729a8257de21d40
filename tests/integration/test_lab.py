# SPDX-License-Identifier: Apache-2.0
"""The lab itself: what every other integration test relies on."""
import json
import signal
import subprocess

import pytest
from support.lab import ELSEWHERE, TOOL, Lab, wait_until

LINGER = 15  # slots of a tap's ring whose packet was read but which are not free yet: that happens 16 at a time


@pytest.fixture
def other_lab():
    """A second lab beside the session's, on "another machine", with nothing in it yet."""
    machine = subprocess.Popen([ELSEWHERE, "sh", "-c", "echo ready; exec sleep infinity"], stdout=subprocess.PIPE)
    assert machine.stdout.readline() == b"ready\n"
    with open(f"/proc/{machine.pid}/task/{machine.pid}/children") as children:
        first = children.read().strip()
    yield Lab(["nsenter", "--target", first, "--net", "--mount", "--pid", "--"])
    machine.kill()
    machine.communicate()


@pytest.mark.parametrize("version", [4, 6])
def test_vms_reach_each_other(lab, version):
    done = lab.netns("vm-a").run(["ping", "-q", "-c", "3", "-i", "0.05", lab.address("vm-b", version)])
    assert "3 packets transmitted, 3 received" in done.stdout


def test_hypervisors_are_machines_of_their_own(lab):
    for name in ("hv-a", "hv-b"):
        place = lab.netns(name)
        assert place.run(["hostname"]).stdout == name + "\n"
        assert place.run(["ip", "netns", "identify"]).stdout == name + "\n"
        assert place.run(["cat", "/proc/1/comm"]).stdout == "sshd\n"
        assert set(place.run(["ls", "/sys/class/net"]).stdout.split()) == {"br0", "eth0", "lo", "mgmt0", "vnet0"}
        place.run(["test", "-r", "/sys/kernel/btf/vmlinux"])
    lab.netns("hv-a").run(["touch", "/tmp/a", "/var/tmp/a", "/run/a"])
    assert lab.netns("hv-b").run(["sh", "-c", "ls -d /tmp/a /var/tmp/a /run/a"], check=False).stdout == ""
    lab.netns("hv-a").run(["rm", "/tmp/a", "/var/tmp/a", "/run/a"])


def test_signals_reach_a_command_in_a_hypervisor(lab):
    # not SIGINT: where the tests run in the background it is ignored, and a shell cannot trap what it found ignored
    script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    process = lab.netns("hv-a").popen(["sh", "-c", script])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "got it\n"
    assert process.returncode == 7


def test_gso_packets_cross(lab):
    size = 50_000_000
    before = [lab.netns("hv-b").counters("vnet0"), lab.netns("hv-a").counters("eth0")]
    with lab.netns("vm-b").serve("tcp", lab.address("vm-b"), 4430, count=1) as server:
        assert lab.netns("vm-a").send("tcp", lab.address("vm-b"), 4430, bytes=size)["received"] == size
        assert server.wait() == {"connections": 1, "bytes": size}
    after = [lab.netns("hv-b").counters("vnet0"), lab.netns("hv-a").counters("eth0")]
    for one, other in zip(before, after, strict=True):
        assert other["tx_bytes"] - one["tx_bytes"] > size
        assert other["tx_packets"] - one["tx_packets"] < size / 1448 / 4  # four segments and more per packet


def test_20000_datagrams_a_second_lose_none(lab):
    def dropped():
        return {f"{place} {device}": lab.netns(place).counters(device)["tx_dropped"]
                for place, device in (("vm-a", "eth0"), ("hv-a", "eth0"), ("wire", "p-b"), ("hv-b", "vnet0"))}
    before = dropped()
    with lab.netns("vm-b").serve("udp", lab.address("vm-b"), 5000, count=40000) as server:
        lab.netns("vm-a").send("udp", lab.address("vm-b"), 5000, count=40000, rate=20000)
        assert dropped() == before
        assert server.wait()["distinct"] == 40000


def test_paused_guest_drops_what_the_ring_cannot_hold(lab):
    host, guest, count = lab.netns("hv-b"), lab.netns("vm-b"), 2000
    ring = json.loads(host.run(["ip", "-j", "link", "show", "vnet0"]).stdout)[0]["txqlen"]
    dropped_before = host.counters("vnet0")["tx_dropped"]
    arrived_before, received_before = host.counters("eth0")["rx_packets"], guest.counters("eth0")["rx_packets"]
    with guest.serve("udp", lab.address("vm-b"), 5000) as server:
        with lab.paused("vm-b"):
            lab.netns("vm-a").send("udp", lab.address("vm-b"), 5000, count=count, rate=20000)
            wait_until(lambda: host.counters("eth0")["rx_packets"] - arrived_before >= count, "all to arrive at hv-b")
            dropped = host.counters("vnet0")["tx_dropped"] - dropped_before
        kept = count - dropped
        wait_until(lambda: guest.counters("eth0")["rx_packets"] - received_before >= kept, "the rest to be delivered")
        assert server.stop()["distinct"] == kept
    assert ring - LINGER <= kept <= ring
    assert host.counters("vnet0")["tx_dropped"] - dropped_before == dropped


def test_up_twice_changes_nothing(lab):
    before = lab.status()
    assert lab.up() == []
    assert lab.status() == before


def test_half_built_lab_is_completed(other_lab):
    assert "hv-b" in other_lab.up(2)
    broken = other_lab.status()["hypervisors"]
    victims = [str(broken["hv-a"]["init_pid"]), str(broken["hv-b"]["shuttle_pid"])]
    subprocess.run([*other_lab.wrapper, "kill", "-KILL", *victims], check=True)
    subprocess.run([*other_lab.wrapper, "ip", "-n", "hv-b", "link", "del", "eth0"], check=True)
    assert not other_lab.status()["running"]
    made = other_lab.up(3)
    assert {"wire/p-b", "shuttle of vm-b", "sshd of hv-a", "hv-c"} <= set(made)
    other_lab.settle()
    assert other_lab.status()["running"]


def test_down_removes_a_half_built_lab(other_lab):
    other_lab.up(2)
    root = [*other_lab.wrapper]
    stray = other_lab.netns("vm-a").popen(["sleep", "infinity"])
    subprocess.run([*root, "rm", "-r", "/run/skbfleet-lab"], check=True)  # it no longer knows what it started
    subprocess.run([*root, "ip", "link", "del", "mgmt-hv-b"], check=True)
    subprocess.run([*root, "touch", "/run/netns/hv-c"], check=True)       # a namespace that was never finished
    assert set(other_lab.down()) == {"wire", "vm-a", "hv-a", "vm-b", "hv-b", "hv-c", "mgmt-hv-a", "skbfleet-mgmt"}
    assert stray.wait(timeout=10) == -signal.SIGKILL
    assert subprocess.run([*root, "ls", "/run/netns"], capture_output=True, check=True).stdout == b""
    assert other_lab.down() == []


@pytest.mark.parametrize(("words", "text"), [
    (["exec", "hv-z", "--", "true"], "there is no hv-z in the lab"),
    (["pause", "vm-z"], "vm-z does not run"),
])
def test_one_sentence_for_what_is_not_there(other_lab, words, text):
    done = other_lab.tool(*words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: " + text)
    assert done.stderr.count("\n") == 1


def test_only_root(lab):
    done = subprocess.run(["unshare", "--user", str(TOOL), "up"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: the lab needs root: it makes network namespaces\n")
