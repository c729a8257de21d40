# SPDX-License-Identifier: Apache-2.0
"""vm_pair.yml on the lab: two addresses are enough, and what is not clear is one sentence."""
import contextlib
import json
import stat
from collections.abc import Iterator

import pytest
from support.lab import ROOT, Lab
from support.playbooks import LOSS, NOTHING_MATCHED, Play, tracers_on

PAIR = {"pair_src": "192.168.32.10", "pair_dst": "192.168.32.20"}
BOTH = ("hv-a", "hv-b")
WIDE = ("-i", str(ROOT / "inventories" / "lab"))


@pytest.fixture
def play(tmp_path) -> Play:
    return Play(tmp_path / "captures")


@pytest.fixture
def three(lab, tmp_path) -> tuple[str, ...]:
    """The words that name an inventory with a third hypervisor."""
    lab.up(3)
    lab.settle()
    more = tmp_path / "more.yml"
    more.write_text("hypervisors:\n  hosts:\n    hv-c: {ansible_host: 10.77.0.13}\n")
    return (*WIDE, "-i", str(more))


@contextlib.contextmanager
def pinging(lab: Lab) -> Iterator[None]:
    """vm-a pings vm-b all the time."""
    process = lab.netns("vm-a").popen(["ping", "-q", "-i", "0.05", lab.address("vm-b")])
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextlib.contextmanager
def never_asking(lab: Lab) -> Iterator[None]:
    """vm-a knows vm-b's MAC for good, and so does not ask for it, which vm-b would answer."""
    entry = ["to", lab.address("vm-b"), "dev", "eth0"]
    vm, mac = lab.netns("vm-a"), lab.status()["hypervisors"]["hv-b"]["vm_mac"]
    vm.run(["ip", "neigh", "replace", *entry, "lladdr", mac, "nud", "permanent"])
    try:
        yield
    finally:
        vm.run(["ip", "neigh", "del", *entry])


def forget(lab: Lab, host: str) -> None:
    """Empty the forwarding table of a hypervisor's bridge, and give its tap a MAC that says nothing of the VM's."""
    lab.netns(host).run(["ip", "link", "set", "vnet0", "address", "fe:00:00:00:00:77"])
    lab.netns(host).run(["bridge", "fdb", "flush", "dev", "vnet0"], check=False)


def remember(lab: Lab, host: str) -> None:
    number = 10 * (ord(host[-1]) - ord("a") + 1)
    lab.netns(host).run(["ip", "link", "set", "vnet0", "address", f"fe:54:00:32:00:{number:02x}"])


def said(done) -> str:
    """What a playbook printed, without the breaks of its lines."""
    return " ".join(done.stdout.split())


def test_two_addresses_are_enough_and_only_their_hypervisors_are_captured(lab, play, three):
    with pinging(lab):
        done = play.run("vm_pair.yml", *three, **PAIR, capture_run_id="p", capture_duration=2)
    assert done.returncode == 0, done.stdout
    summary = play.summary("p")
    assert {name: host["status"] for name, host in summary["hosts"].items()} == dict.fromkeys(BOTH, "complete")
    assert set(summary["tracers"]) == {"drop_monitor", "datapath_tracing"}
    assert set(play.outcome("p")["hosts"]) == set(BOTH)
    pings = []
    for host in BOTH:
        manifest = play.manifest("p", host, "datapath_tracing")
        assert (manifest["filter"]["src"], manifest["filter"]["dst"]) == (PAIR["pair_src"], PAIR["pair_dst"])
        # each ping comes in at one device on its way there, and at the other on its way back
        pings.append(manifest["per_point"]["dev.rx"]["matched"] / 2)
    assert min(pings) > 20
    assert abs(pings[0] - pings[1]) <= 1  # one may be on its way when the window opens or closes
    taps = {(end["host"], end["device"]) for segment in summary["segments"] for end in (segment["from"], segment["to"])}
    assert {("hv-a", "vnet0"), ("hv-b", "vnet0")} <= taps
    assert summary["losses"] == []

    path = play.output_dir / "p" / "topology.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    topology = json.loads(path.read_text())
    assert {end: (found["host"], found["device"], found["mac"]) for end, found in topology["pair"].items()} == {
        "src": ("hv-a", "vnet0", "52:54:00:32:00:0a"), "dst": ("hv-b", "vnet0", "52:54:00:32:00:14")}
    assert {name: (host["taps"], host["uplinks"], host["toward"]) for name, host in topology["hosts"].items()} == {
        "hv-a": (["vnet0"], ["eth0"], {PAIR["pair_dst"]: ["eth0"]}),
        "hv-b": (["vnet0"], ["eth0"], {PAIR["pair_src"]: ["eth0"]})}
    for host in (*BOTH, "hv-c"):
        assert not tracers_on(lab.netns(host))
        assert lab.netns(host).run(["test", "!", "-e", "/tmp/skbfleet"])


def test_what_never_comes_to_the_other_host_has_vanished(lab, play):
    """Nothing of the flow shows where it should have come in: that is known from where the pair was found, which makes
    it likely and no more."""
    cut = ("table bridge cut { chain forward { type filter hook forward priority 0; ip protocol icmp drop; "
           "arp daddr ip 192.168.32.0/24 drop; }; }")
    with lab.netns("wire").nft(cut), never_asking(lab), pinging(lab):
        done = play.run("vm_pair.yml", **PAIR, capture_run_id="cut", capture_duration=6)
    assert done.returncode == LOSS, done.stdout
    losses = {loss["certainty"]: loss for loss in play.summary("cut")["losses"] if "icmp" in loss["flow"]}
    for loss in losses.values():
        assert loss["kind"] == "vanished"
        assert loss["between"] == [{"host": "hv-a", "device": "eth0", "point": "dev.tx"},
                                   {"host": "hv-b", "device": "eth0", "point": "dev.rx"}]
    # nothing came back, so the clocks may be two seconds apart: of each end of the window nobody can tell
    assert set(losses) == {"likely", "unknown"}
    assert 0 < losses["likely"]["packets"] <= 45
    sent = sum(flow["packets"] for flow in play.summary("cut")["flows"] if "icmp" in flow["key"])
    assert losses["likely"]["packets"] + losses["unknown"]["packets"] == sent
    assert "known from the topology alone" in losses["likely"]["why"]
    assert not any("were seen there" in ground for loss in losses.values() for ground in loss["grounds"])
    assert any("Probably %d packets vanished between hv-a eth0" % losses["likely"]["packets"] in sentence
               for sentence in play.summary("cut")["verdict"])
    assert "the clocks of hv-a and hv-b cannot be compared" in losses["unknown"]["why"]


@pytest.mark.parametrize("pair", [PAIR, {"pair_src": "fd00:32::10", "pair_dst": "fd00:32::20"}])
def test_a_quiet_vm_is_found_because_it_is_asked(lab, play, pair):
    for host in BOTH:
        forget(lab, host)
    try:
        done = play.run("vm_pair.yml", **pair, capture_run_id="q", capture_duration=1)
        unasked = play.run("vm_pair.yml", **pair, capture_run_id="n", pair_probe=False)
    finally:
        for host in BOTH:
            remember(lab, host)
    assert done.returncode == NOTHING_MATCHED, done.stdout
    topology = json.loads((play.output_dir / "q" / "topology.json").read_text())
    assert {end: found["host"] for end, found in topology["pair"].items()} == {"src": "hv-a", "dst": "hv-b"}
    for found in topology["pair"].values():
        assert "answer of the VM" in found["found_in"]
        assert found["known_from"] == ["answer of the VM"]
    # without asking nobody can know a MAC
    assert unasked.returncode != 0
    assert "none of hv-a, hv-b knows a MAC for it" in said(unasked)


def test_an_address_that_nobody_carries_is_one_sentence_and_leaves_nothing(lab, play):
    done = play.run("vm_pair.yml", pair_src="192.168.32.10", pair_dst="192.168.32.99", capture_run_id="x")
    assert done.returncode != 0
    assert said(done).count("pair_dst is '192.168.32.99': no hypervisor of this play carries it; none of hv-a, hv-b "
                            "knows a MAC for it; set pair_dst_host to the hypervisor that carries it, or pair_dst_mac "
                            "to the MAC of the VM") == 1
    assert "Traceback" not in done.stdout
    assert not play.output_dir.exists()
    for host in BOTH:
        assert not tracers_on(lab.netns(host))
        assert lab.netns(host).run(["test", "!", "-e", "/tmp/skbfleet"])


def test_one_host_carries_both_when_the_variables_say_so(lab, play):
    done = play.run("vm_pair.yml", pair_src="192.168.32.10", pair_dst="192.168.32.99", pair_dst_host="hv-a",
                    capture_run_id="o", capture_duration=1)
    assert done.returncode == NOTHING_MATCHED, done.stdout
    assert set(play.summary("o")["hosts"]) == {"hv-a"}
    topology = json.loads((play.output_dir / "o" / "topology.json").read_text())
    assert (topology["pair"]["dst"]["given"], topology["pair"]["src"]["given"]) == (True, False)


def test_a_host_that_cannot_be_reached_is_named_and_does_no_harm(lab, play, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text("hypervisors:\n  hosts:\n    hv-0: {ansible_host: 10.77.0.250, ansible_ssh_common_args: "
                    "'-F none -o ConnectTimeout=2'}\n")
    done = play.run("vm_pair.yml", *WIDE, "-i", str(more), **PAIR, capture_run_id="u", capture_duration=1)
    assert "hv-0: it cannot be reached" in said(done)
    assert set(play.summary("u")["hosts"]) == set(BOTH)
    assert done.returncode == NOTHING_MATCHED, done.stdout


@pytest.mark.parametrize(("variables", "sentence"), [
    ({"pair_dst": "192.168.32.20"}, "pair_src is not set: it must be the IPv4 or IPv6 address of a VM"),
    ({**PAIR, "pair_source": "x"}, "pair_source is not a variable of skbfleet, and was set to 'x': did you mean"),
    ({**PAIR, "pair_src_host": "hv-x"}, "pair_src_host is 'hv-x': it must be one of the hosts of this play"),
    ({**PAIR, "capture_src": "192.0.2.9"}, "capture_src is '192.0.2.9' in the case or in -e: leave it out"),
    ({**PAIR, "capture_duration": 0}, "capture_duration is '0': it must be more than 0"),
    ({**PAIR, "pair_src": "{{ lookup('pipe', 'touch MARK') }}"}, "it must be a plain value, templates are not"),
])
def test_bad_input_is_refused_before_any_host_is_asked(play, tmp_path, variables, sentence):
    mark = tmp_path / "mark"
    given = {name: value.replace("MARK", str(mark)) if isinstance(value, str) else value
             for name, value in variables.items()}
    done = play.run("vm_pair.yml", "-i", "192.0.2.1,192.0.2.2,", **given)
    assert done.returncode != 0
    assert sentence in said(done)
    assert "Traceback" not in done.stdout
    assert "cannot be reached" not in done.stdout
    assert not mark.exists()
    assert not play.output_dir.exists()
