# SPDX-License-Identifier: Apache-2.0
"""The real playbooks on the lab: what they bring home, what they survive, what they refuse."""
import json

import duckdb
import pytest
from support.lab import ROOT, Lab, wait_until
from support.playbooks import LOSS, PARTIAL, REFUSED, Play, kill, tracers_on, wait_for_open_window, wait_for_state

BOTH = ("hv-a", "hv-b")
PING = {"capture_src": "192.168.32.10", "capture_dst": "192.168.32.20", "capture_protocol": "icmp",
        "capture_bidirectional": True}
VENV_PYTHON = str(ROOT / ".venv" / "bin" / "python")  # it has no bcc


@pytest.fixture
def play(tmp_path) -> Play:
    return Play(tmp_path / "captures")


def nothing_is_left(lab: Lab, hosts=BOTH) -> bool:
    """Whether no tracer runs and no directory of ours is there."""
    return all(not tracers_on(lab.netns(name)) and lab.netns(name).run(["test", "!", "-e", "/tmp/skbfleet"])
               for name in hosts)


def test_a_command_is_traced_on_both_hosts(lab, play):
    done = play.run("reproduce.yml", **PING, capture_run_id="r", capture_duration=60,
                    capture_fields=["sk_buff.dev->mtu"], capture_stacks=["dev.tx"],
                    reproduce_command="ip netns exec vm-a ping -q -c 20 -i 0.02 -p 5ca1ab1e 192.168.32.20; exit 3")
    assert done.returncode == 0, done.stdout
    assert play.summary("r")["reproduce"]["status"] == 3
    for host in BOTH:
        outcome = play.outcome("r")["hosts"][host]
        assert (outcome["status"], outcome["why"], outcome["failed"]) == ("complete", "", False)
        manifest = play.manifest("r", host, "datapath_tracing")
        # there and back at two devices, each time once received and once sent
        assert manifest["per_point"]["dev.rx"]["matched"] == 2 * 20
        assert manifest["per_point"]["dev.tx"]["matched"] == 2 * 20
        assert "skb.drop" not in manifest["per_point"]
        assert manifest["fields"] == [{"name": "sk_buff.dev->mtu", "kind": "unsigned"}]
        records = (play.output_dir / "r" / "hosts" / host / "datapath_tracing" / "records.bin").read_bytes()
        assert bytes([192, 168, 32, 10, 192, 168, 32, 20]) in records
        assert bytes.fromhex("5ca1ab1e") not in records  # payload stays on the hypervisor
        assert manifest["counters"]["lost"] == 0
        assert manifest["window"]["ended_ns"] - manifest["window"]["start_ns"] < 30e9  # closed when the command ended
    events = duckdb.sql("""SELECT point, stack IS NOT NULL, "sk_buff.dev->mtu", count(*) FROM '%s' WHERE point IN
                        ('dev.rx', 'dev.tx') GROUP BY ALL ORDER BY ALL""" % (play.output_dir / "r" / "events.parquet"))
    assert events.fetchall() == [("dev.rx", False, 1500, 2 * 2 * 20), ("dev.tx", True, 1500, 2 * 2 * 20)]
    assert nothing_is_left(lab)


DROPS_PINGS = """
table bridge kept {
  chain kept {
    type filter hook forward priority 0
    icmp type echo-reply counter drop
    icmp type echo-request counter drop
  }
}
"""


def test_the_rule_that_drops_is_named(lab, play):
    with lab.netns("hv-b").nft(DROPS_PINGS):
        done = play.run("reproduce.yml", **PING, capture_run_id="n", capture_duration=60,
                        reproduce_command="ip netns exec vm-a ping -q -c 5 -i 0.02 -W 1 192.168.32.20 || true")
    assert done.returncode == LOSS, done.stdout
    summary = play.summary("n")
    (loss,) = [loss for loss in summary["losses"] if loss["kind"] == "drop"]
    assert (loss["host"], loss["packets"], loss["cause"]["certainty"]) == ("hv-b", 5, "certain")
    (rule,) = loss["cause"]["candidates"]
    assert (rule["rule"], rule["rose"]) == ("icmp type echo-request counter drop", 5)
    assert [doubt for doubt in summary["doubts"] if "configuration" in doubt] == []
    for host in BOTH:
        bundles = play.output_dir / "n" / "hosts" / host
        found = {path.parent.name: json.loads(path.read_text()) for path in bundles.glob("*/evidence.json")}
        assert {name: sorted(parts) for name, parts in found.items()} == {
            "drop_monitor": ["after", "before", "during", "format"],
            "datapath_tracing": ["format", "switch-after", "switch-before"]}    # that saw packets come in
        assert {path.stat().st_mode & 0o777 for path in bundles.glob("*/evidence.json")} == {0o600}
    assert nothing_is_left(lab)


def test_the_controller_is_killed_inside_the_window(lab, play):
    killed = play.begin("datapath_tracing.yml", **PING, capture_run_id="k", capture_duration=8)
    for host in BOTH:
        wait_for_open_window(lab.netns(host), "k", "datapath_tracing", 60)
    kill(killed)
    lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.02", lab.address("vm-b")])
    for host in BOTH:
        wait_for_state(lab.netns(host), "k", "datapath_tracing", "finished", 30)
        wait_until(lambda host=host: not tracers_on(lab.netns(host)), "the tracer has ended", 5)

    done = play.run("collect.yml", capture_run_id="k")
    assert done.returncode == 0, done.stdout
    starts = set()
    for host in BOTH:
        assert play.outcome("k")["hosts"][host]["status"] == "complete"
        manifest = play.manifest("k", host, "datapath_tracing")
        assert manifest["status"] == "complete"
        assert manifest["ended_by"] == "window"
        assert manifest["per_point"]["dev.rx"]["matched"] == 2 * 5
        starts.add(manifest["window"]["start_realtime_ns"])
    assert len(starts) == 1
    assert nothing_is_left(lab)


def test_a_connection_that_is_lost_in_the_window_costs_nothing_for_good(lab, play):
    """hv-b's connection goes down while its tracer records; hv-a is merged, and hv-b brought home when it is back."""
    ping = "ip netns exec vm-a ping -q -c 5 -i 0.02 192.168.32.20"
    done = play.run("reproduce.yml", **PING, capture_run_id="l", capture_duration=5,
                    reproduce_command=f"ip -n hv-b link set mgmt0 down; {ping}")
    lab.netns("hv-b").run(["ip", "link", "set", "mgmt0", "up"])
    assert done.returncode == PARTIAL, done.stdout
    before = play.outcome("l")["hosts"]
    assert {name: one["status"] for name, one in before.items()} == {"hv-a": "complete", "hv-b": "missing"}
    assert before["hv-b"]["why"].endswith("its records wait for playbooks/collect.yml")

    done = play.run("collect.yml", capture_run_id="l")
    assert done.returncode == 0, done.stdout
    after = play.outcome("l")
    assert after["hosts"]["hv-a"] == before["hv-a"]
    assert after["hosts"]["hv-b"]["status"] == "complete"
    assert after["reproduce"]["exit_status"] == 0
    assert play.manifest("l", "hv-b", "datapath_tracing")["per_point"]["dev.rx"]["matched"] == 2 * 5
    assert nothing_is_left(lab)


def test_a_killed_run_can_be_cleaned_up(lab, play):
    killed = play.begin("drop_monitor.yml", capture_run_id="k", capture_duration=600)
    for host in BOTH:
        wait_for_state(lab.netns(host), "k", "drop_monitor", "started", 60)
    kill(killed)
    done = play.run("cleanup.yml")
    assert done.returncode != 0
    assert "hv-a: run k, still running" in " ".join(done.stdout.split())
    assert tracers_on(lab.netns("hv-a"))
    done = play.run("cleanup.yml", capture_yes=True)
    assert done.returncode == 0, done.stdout
    assert "k/drop_monitor: SIGTERM" in done.stdout
    assert nothing_is_left(lab)
    assert "removed: nothing" in play.run("cleanup.yml", capture_run_id="k").stdout


def test_a_host_that_cannot_be_reached_costs_its_own_data(lab, play, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text("hypervisors:\n  hosts:\n    hv-0: {ansible_host: 10.77.0.250, ansible_ssh_common_args: "
                    "'-F none -o ConnectTimeout=2'}\n")
    done = play.run("drop_monitor.yml", "-i", str(ROOT / "inventories" / "lab"), "-i", str(more),
                    capture_run_id="u", capture_duration=1)
    assert done.returncode == PARTIAL, done.stdout
    assert "failed   hv-0: takes no further part; why is told at the end" in done.stdout.splitlines()
    assert [line[:33] for line in done.stdout.splitlines() if line.startswith("ERROR")] == [
        "ERROR    1 of 3 hosts failed, the"]
    assert "hv-0: it cannot be reached" in done.stdout
    assert "Traceback" not in done.stdout
    outcome = play.outcome("u")["hosts"]
    assert {name: one["status"] for name, one in outcome.items()} == {
        "hv-0": "missing", "hv-a": "complete", "hv-b": "complete"}
    assert outcome["hv-0"]["why"].startswith("it cannot be reached: ")
    assert play.summary("u")["hosts"]["hv-0"]["status"] == "missing"
    assert nothing_is_left(lab)


def test_a_run_that_reaches_no_host_says_so(play, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("hypervisors:\n  hosts:\n    hv-0: {ansible_host: 127.0.0.1, ansible_port: 9}\n")
    done = play.run("drop_monitor.yml", "-i", str(inventory), capture_run_id="n", capture_duration=1)
    assert done.returncode != 0
    assert "1 of 1 hosts failed: hv-0: it cannot be reached: " in " ".join(done.stdout.split())
    assert play.outcome("n")["hosts"]["hv-0"]["status"] == "missing"


def test_eight_hosts_share_one_window_with_two_forks(lab, play):
    lab.up(8)
    hosts = [f"hv-{letter}" for letter in "abcdefgh"]
    done = play.run("drop_monitor.yml", "-i", str(ROOT / "inventories" / "lab"),
                    "-i", str(ROOT / "inventories" / "lab_wide"), "--forks", "2",
                    capture_run_id="w", capture_duration=2, capture_protocol="sctp")
    assert done.returncode == 0, done.stdout
    windows = [play.manifest("w", host, "drop_monitor")["window"] for host in hosts]
    assert len({(window["start_realtime_ns"], window["end_realtime_ns"]) for window in windows}) == 1
    assert [window["late_by_ns"] for window in windows] == [0] * 8
    assert nothing_is_left(lab, hosts)


@pytest.mark.parametrize(("variables", "sentence"), [
    ({"capture_src": "192.168.32.300"}, "capture_src is '192.168.32.300': it must be an IPv4 or IPv6 address"),
    ({"capture_src": "192.168.32.10", "capture_dst": "fd00:32::20"}, "both must be IPv4 or both IPv6"),
    ({"capture_dst_port": 443}, "capture_dst_port is 443 but capture_protocol is all: a port needs tcp, udp or sctp"),
    ({"capture_profile": ["nics"]}, "capture_profile is 'nics': it must be one of"),
    ({"capture_points": ["dev.rxx"]}, "capture_points is 'dev.rxx': it must be one of"),
    ({"capture_duration": 0}, "capture_duration is '0': it must be more than 0 and at most 86400 seconds"),
    ({"capture_duration": 90000}, "capture_duration is '90000': it must be more than 0 and at most 86400 seconds"),
    ({"capture_everything": False}, "capture_everything is false and no filter is set: set capture_src or "),
    ({"captur_case": "x.yml"}, "captur_case is not a variable of skbfleet, and was set to 'x.yml': did you mean"),
    ({"capture_interface": "eth0"}, "capture_interface is not a variable of skbfleet, and was set to 'eth0': "),
    ({"capture_src": "{{ lookup('pipe', 'touch MARK') }}"}, "it must be a plain value, templates are not evaluated"),
    ({"capture_src": "$(touch MARK)"}, "capture_src is '$(touch MARK)': it must be an IPv4 or IPv6 address"),
])
def test_bad_input_is_refused_before_any_host_is_touched(play, tmp_path, variables, sentence):
    mark = tmp_path / "mark"
    given = {name: value.replace("MARK", str(mark)) if isinstance(value, str) else value
             for name, value in variables.items()}
    # hosts that do not exist: whoever speaks to one of them fails in another way
    done = play.run("capture.yml", "-i", "192.0.2.1,192.0.2.2,", **given)
    assert done.returncode == REFUSED, done.stdout
    assert sentence.replace("MARK", str(mark)) in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    assert "cannot be reached" not in done.stdout
    assert not mark.exists()
    assert not play.output_dir.exists()


def test_half_a_filter_is_refused(play):
    """Ansible takes `tcp` for the value of -e capture_filter='tcp port 443', and keeps the rest for itself."""
    done = play.run("capture.yml", "-i", "192.0.2.1,", "-e", "capture_filter=tcp port 443")
    assert done.returncode == REFUSED
    assert "-e has 'port 443', which belongs to no variable: it must be name=value" in done.stdout
    assert not play.output_dir.exists()


def test_one_hosts_bad_variable_stops_all_before_any_is_touched(play, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("hypervisors:\n  hosts:\n    hv-a: {ansible_host: 192.0.2.1}\n"
                         "    hv-b: {ansible_host: 192.0.2.2, capture_sorce: 192.0.2.9}\n")
    done = play.run("capture.yml", "-i", str(inventory))
    assert done.returncode == REFUSED
    assert "capture_sorce is not a variable of skbfleet, and was set to '192.0.2.9': did you mean" in done.stdout
    assert "cannot be reached" not in done.stdout


@pytest.mark.parametrize("refused", [
    {"hv-a": ({"capture_interfaces": ["nope0"]}, "capture_interfaces is 'nope0'"),
     "hv-b": ({"capture_netns": "nowhere"}, "capture_netns is 'nowhere'")},
    {"hv-a": ({"capture_tracer_python": "/nowhere/python3"}, "capture_tracer_python is '/nowhere/python3': it must be"),
     "hv-b": ({"capture_tracer_python": VENV_PYTHON}, "bcc")},
])
def test_what_a_host_refuses_is_one_sentence_and_leaves_nothing(lab, play, tmp_path, refused):
    more = tmp_path / "more.yml"
    more.write_text(json.dumps({"hypervisors": {"hosts": {host: given for host, (given, _) in refused.items()}}}))
    done = play.run("drop_monitor.yml", "-i", str(ROOT / "inventories" / "lab"), "-i", str(more),
                    capture_run_id="x", capture_duration=1)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    for host, (_given, sentence) in refused.items():
        outcome = play.outcome("x")["hosts"][host]
        assert outcome["status"] == "missing"
        assert sentence in outcome["why"]
        assert "\n" not in outcome["why"]
    assert nothing_is_left(lab)


def test_a_full_disk_costs_its_host_alone(lab, play):
    hypervisor = lab.netns("hv-a")
    hypervisor.run(["mkdir", "/tmp/skbfleet"])
    hypervisor.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=711", "tmpfs", "/tmp/skbfleet"])
    try:
        done = play.run("drop_monitor.yml", capture_run_id="f", capture_duration=1)
    finally:
        hypervisor.run(["umount", "/tmp/skbfleet"])
        hypervisor.run(["rm", "-rf", "/tmp/skbfleet"])
    assert done.returncode != 0
    outcome = play.outcome("f")["hosts"]
    assert outcome["hv-a"]["status"] == "missing"
    assert "capture_remote_dir has 1 MiB free on this host (/tmp/skbfleet)" in outcome["hv-a"]["why"]
    assert outcome["hv-b"]["status"] == "complete"


def test_check_mode_touches_nothing(lab, play):
    done = play.run("capture.yml", "--check", capture_run_id="c", capture_duration=1)
    assert done.returncode == 0, done.stdout
    assert not (play.output_dir / "c").exists()
    assert nothing_is_left(lab)


def test_a_host_without_a_required_point_does_not_take_part(lab, play, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text(json.dumps({"hypervisors": {"hosts": {"hv-a": {"capture_required_points": ["ovs.ct"]},
                                                          "hv-b": {"capture_required_points": ["sock.deliver"]}}}}))
    done = play.run("capture.yml", "-i", str(ROOT / "inventories" / "lab"), "-i", str(more), capture_run_id="q",
                    capture_duration=1, capture_tracers=["datapath_tracing", "drop_monitor"])
    outcome = play.outcome("q")["hosts"]
    assert done.returncode != 0
    assert outcome["hv-a"]["status"] == "missing"
    assert outcome["hv-a"]["why"].startswith("capture_required_points is 'ovs.ct', which cannot be had on this host: "
                                             "module openvswitch is not loaded")
    assert outcome["hv-b"]["status"] == "complete"
    assert "sock.deliver" in play.manifest("q", "hv-b", "datapath_tracing")["per_point"]
    assert nothing_is_left(lab)
