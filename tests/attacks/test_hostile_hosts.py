# SPDX-License-Identifier: Apache-2.0
"""Hosts that lie to the real playbooks, with the newest and the oldest Ansible: what they say stays text."""
import json

import pytest
from support.attack import Attack
from support.playbooks import NOTHING_MATCHED


@pytest.fixture
def attack(either) -> Attack:
    """All of this is tried on both versions of Ansible."""
    return either


def liars(attack: Attack) -> dict[str, dict]:
    """A host for each place where a host's words come in: its name is the place."""
    word, tracer = attack.word, {"state": "finished", "why": attack.word("tracer")}
    return {
        "login": attack.host(id={"lost": word("login")}),
        "clock": attack.host(id=word("clock")),
        "error": attack.host(**attack.examined(error=word("error"))),
        "runs": attack.host(**attack.examined(runs={"r": word("runs")})),
        "fields": attack.host(**attack.examined({word("fields"): word("fields"), "facts": [word("fields")]})),
        "refused": attack.host(**attack.examined({"failed": True, "facts": 1, "unknown": [], "msg": word("refused")})),
        "output": attack.host(**attack.examined(word("output"))),
        "arm": attack.host(skbfleet_capture__armed={"failed": True, "msg": word("arm")}),
        "armlost": attack.host(skbfleet_capture__armed={"lost": word("armlost")}),
        "sudo": attack.host(skbfleet_capture__armed={"broken": word("sudo")}),
        "start": attack.host(skbfleet_capture__started={"failed": True, "msg": word("start")}),
        "why": attack.host(skbfleet_capture__finished={
            "status": word("status"), "why": word("why"), "late_by_ns": word("late"), "bundle": {},
            "tracers": {word("name"): tracer, "drop_monitor": tracer}}),
        "path": attack.host(skbfleet_capture__finished={
            "status": "complete", "why": word("path"), "tracers": {"drop_monitor": tracer},
            "bundle": {"path": word("path") + "\n!touch " + str(attack.marks / "sftp"), "sha256": word("sum")}}),
        "remove": attack.host(skbfleet_capture__absent={"failed": True, "msg": word("remove")},
                              skbfleet_capture__armed={"failed": True, "msg": "no"}),
    }


def test_words_of_hosts_are_kept_and_shown_but_never_evaluated(attack):
    hosts = liars(attack)
    done = attack.run("capture.yml", hosts)
    assert attack.executed() == []
    outcome = attack.outcome()
    assert set(outcome) == set(hosts)
    for name in set(hosts) - {"fields", "runs", "path"}:
        assert attack.word(name) in outcome[name]["why"], name
    assert "its answer is none that skbfleet_capture gives" in outcome["fields"]["why"]
    assert "records of an earlier run r wait there" in outcome["runs"]["why"]
    assert "Traceback" not in done.stdout
    assert "undefined" not in done.stdout
    assert attack.word("why") in done.stdout


def test_a_run_is_collected_again_and_what_was_written_is_data(attack):
    run = attack.captures / "r"
    run.mkdir(parents=True)
    word = attack.word("written")
    remote = str(attack.directory / "skbfleet")
    (run / "run.json").write_text(json.dumps({"run_id": "r", "hosts": {
        name: {"remote_dir": remote, "tracers": ["drop_monitor"], "src": word} for name in ("hv-a", "hv-b", "hv-c")}}))
    (run / "outcome.json").write_text(json.dumps({"run_id": word, "hosts": {
        "hv-a": {"status": "missing", "why": word, "failed": True, "tracers": [word]},
        "hv-b": {"status": "complete", "why": word, "failed": True, "tracers": {word: {"state": word}}},
        "hv-c": {"status": "missing", "why": "x", "failed": True, "tracers": []}},
        "reproduce": {"command": word, "exit_status": 0}}))
    hosts = {"hv-a": attack.host(id={"lost": attack.word("lost")}), "hv-b": attack.host(),
        "hv-c": attack.host(skbfleet_capture__finished={"failed": True, "msg": attack.word("ended")})}
    done = attack.run("collect.yml", hosts)
    assert attack.executed() == []
    outcome = attack.outcome()
    assert outcome["hv-a"]["why"] == (
        f"it cannot be reached: {attack.word('lost')}, do this: check its address, its ssh daemon and the network in "
        "between; its records wait for playbooks/collect.yml")
    assert outcome["hv-b"]["why"] == word
    assert attack.word("ended") in outcome["hv-c"]["why"]
    assert done.returncode != 0
    assert "3 of 3 hosts failed" in done.stdout


def test_what_a_manifest_says_is_data(attack):
    word = attack.word("manifest")
    devices = [{"netns": 4026531840, "ifindex": 2, "name": word, "kind": word, "role": word, "mac": word}]
    bundle = attack.bundle("hv-a", devices=devices, why=word, status="partial", command_line=[word],
                           netns={"4026531840": word}, drop_reasons={"2": word})
    done = attack.run("capture.yml", {"hv-a": attack.host(**bundle)})
    assert attack.executed() == []
    assert "lookup" in (attack.captures / "r" / "verdict.txt").read_text()
    assert "Traceback" not in done.stdout


def test_the_preflight_shows_every_host_whatever_it_says(attack):
    hosts = {name: host for name, host in liars(attack).items()
             if name in ("login", "clock", "error", "refused", "output", "fields")}
    hosts["become"] = attack.host(skbfleet_info={"broken": "Missing sudo password"})
    done = attack.run("preflight.yml", hosts, given={"capture_run_id": None})
    assert attack.executed() == []
    shown = " ".join(done.stdout.split())
    for name in ("login", "clock", "error", "refused", "output"):
        assert attack.word(name) in shown, name
    assert "Ansible cannot become root there: Missing sudo password" in shown
    assert done.stdout.count("not ready: ") == len(hosts)


def test_the_pair_is_decided_without_evaluating_what_hosts_say(attack):
    place = {"mac": "52:54:00:00:00:01", "device": attack.word("device"), "role": attack.word("role"), "here": True,
             "bridge": attack.word("bridge"), "uplinks": [attack.word("uplink")], "vlan": 0, "known_from": [],
             "found_in": [attack.word("found")]}
    src, dst = "192.0.2.1", "192.0.2.2"
    hosts = {
        "hv-a": attack.host(skbfleet_locate={"places": {src: [place], dst: []}, "gaps": {"x": attack.word("gap")}}),
        "hv-b": attack.host(skbfleet_locate={"places": {src: [], dst: [place]}, "gaps": {}}),
        "hv-c": attack.host(skbfleet_locate={"lost": attack.word("lost")}),
        "hv-d": attack.host(skbfleet_locate={"places": {src: [{"mac": attack.word("mac")}]}}),
        "hv-e": attack.host(skbfleet_locate=attack.word("output"))}
    done = attack.run("vm_pair.yml", hosts, variables={"capture_src": "", "pair_src": src, "pair_dst": dst})
    assert attack.executed() == []
    assert "hv-a behind {{ lookup" in done.stdout
    assert "it cannot be reached: {{ lookup" in done.stdout
    assert set(attack.outcome()) == {"hv-a", "hv-b"}
    topology = json.loads((attack.captures / "r" / "topology.json").read_text())
    assert topology["pair"]["src"]["device"] == attack.word("device")


def test_a_module_cannot_set_variables_nor_the_inventory(attack):
    evil = {"ansible_facts": {"capture_remote_dir": "/evil/skbfleet", "__capture_run_dir": str(attack.marks),
                              "ansible_connection": "local", "merge_python": "/bin/false"},
            "add_host": {"host_name": "localhost", "groups": ["hypervisors"], "host_vars": {"merge_python": "/evil"}},
            "_ansible_verbose_always": True, "warnings": [attack.word("warning")]}
    good = attack.host()
    answers = {key.replace(":", "__"): {**value, **evil} for key, value in good.items() if isinstance(value, dict)}
    bundle = attack.bundle("hv-a")
    answers["skbfleet_capture__finished"] = {**bundle["skbfleet_capture__finished"], **evil}
    done = attack.run("capture.yml", {"hv-a": attack.host(**answers, fetch=bundle["fetch"])})
    assert done.returncode == NOTHING_MATCHED, done.stdout
    assert attack.executed() == []
    assert attack.outcome()["hv-a"]["status"] == "complete"
    assert (attack.captures / "r" / "verdict.txt").exists()
    assert not (attack.marks / "outcome.json").exists()


def test_a_host_that_speaks_for_another_is_refused_and_costs_its_own_data(attack):
    liar = attack.bundle("hv-a", "hv-b", kernel={"boot_id": "liar", "release": "x"})
    done = attack.run("capture.yml", {"hv-a": attack.host(**attack.bundle("hv-a")), "hv-b": attack.host(**liar)})
    assert done.returncode != 0
    outcome = attack.outcome()
    assert outcome["hv-a"]["status"] == "complete"
    assert outcome["hv-b"]["why"] == (
        "the manifest of the datapath_tracing says that its host is 'hv-a': it came from 'hv-b', in run r; its records "
        "wait for playbooks/collect.yml")
    assert sorted(path.name for path in (attack.captures / "r" / "hosts").iterdir()) == ["hv-a"]


def test_a_bundle_without_end_is_cut_off(attack):
    large = attack.directory / "large"
    with open(large, "wb") as handle:
        handle.truncate(400 << 20)
    done = attack.run("capture.yml", {"hv-a": attack.host(**attack.hand_over(large))},
                      variables={"capture_max_bytes": 1000000})
    assert done.returncode != 0
    assert attack.outcome()["hv-a"]["why"].startswith("its bundle is larger than the 257 MiB that capture_max_bytes")
    assert not list((attack.captures / "r").glob("*.gz"))


def test_what_the_inventory_sets_for_a_host_alone_is_found(attack):
    """In its line, in host_vars, and for a group, with a case that sets the same."""
    for folder, name, text in (("host_vars", "hv-b", "capture_dst: 192.0.2.22"),
                               ("group_vars", "hypervisors", "capture_dst: 192.0.2.99")):
        (attack.directory / folder).mkdir()
        (attack.directory / folder / f"{name}.yml").write_text(text)
    lines = attack.directory / "line.yml"
    lines.write_text("hypervisors: {hosts: {hv-c: {capture_dst: 192.0.2.33}}}")
    case = attack.directory / "case.yml"
    case.write_text("capture_dst: 192.0.2.10\ncapture_hosts: {hv-d: {capture_dst: 192.0.2.44}}")
    hosts = {name: attack.host(id={"lost": "x"}) for name in ("hv-a", "hv-b", "hv-c", "hv-d")}
    done = attack.run("capture.yml", hosts, "-i", str(lines), given={"capture_case": str(case)})
    run = json.loads((attack.captures / "r" / "run.json").read_text())
    assert {name: one["dst"] for name, one in run["hosts"].items()} == {
        "hv-a": "192.0.2.10", "hv-b": "192.0.2.22", "hv-c": "192.0.2.33", "hv-d": "192.0.2.44"}, done.stdout


def test_a_refusal_is_one_sentence_and_touches_nothing(attack):
    word = attack.word("given")
    for given, said in (({"captur_case": "x.yml"}, "did you mean capture_case?"),
                        ({"capture_src": ""}, "capture_everything is false and no filter is set"),
                        ({"capture_dst": word}, "it must be a plain value"), ({"capture_scr": word}, "capture_src?")):
        done = attack.run("capture.yml", {"hv-a": attack.host(id={"lost": "was asked"})}, given=given)
        assert done.returncode != 0
        assert said in " ".join(done.stdout.split())
        assert "was asked" not in done.stdout
        assert "Traceback" not in done.stdout
        assert not attack.captures.exists()
    assert attack.executed() == []


FORGED = "\x1b[2J\x1b]0;owned\x07fine\r\nended    hv-a: complete\nhv-a : ok=1\u202e\u2028\x9b31m" + "A" * 3_000_000


def test_nothing_that_is_printed_or_kept_steers_a_terminal_or_forges_a_line(attack):
    tracers = {"drop_monitor": {"state": "finished", "why": FORGED, "records": 1, "lost": 0, "bytes": 1}}
    devices = [{"netns": 4026531840, "ifindex": 2, "name": FORGED[:400], "role": "phy", "mac": FORGED[:400]}]
    hosts = {
        "login": attack.host(id={"lost": FORGED}), "clock": attack.host(id=FORGED),
        "output": attack.host(**attack.examined(FORGED)), "arm": attack.host(skbfleet_capture__armed={
            "failed": True, "msg": FORGED}),
        "why": attack.host(skbfleet_capture__finished={"status": "complete", "why": FORGED, "tracers": tracers,
                                                       "bundle": {}}),
        "whole": attack.host(**attack.bundle("whole", devices=devices, why=FORGED[:400], status="partial"))}
    done = attack.run("capture.yml", hosts)
    for name, text in (("the terminal", done.stdout), ("outcome.json", json.dumps(attack.outcome()))):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2028"), name
        assert len(text) < 200_000, name
    for one in attack.outcome().values():
        assert "\n" not in one["why"]
    assert "\\x1b[2J" in attack.outcome()["why"]["why"]
    assert not [line for line in done.stdout.splitlines() if line.startswith(("hv-a :", "ended    hv-a"))]
    done = attack.run("preflight.yml", {name: hosts[name] for name in ("login", "clock", "output")},
                      given={"capture_run_id": None})
    assert not set(done.stdout) & set("\x1b\x07\x9b\r\u202e\u2028")
    assert len(done.stdout) < 50_000


def test_a_case_cannot_steer_the_terminal(attack):
    case = attack.directory / "case.yml"
    for text in ('capture_src: "\\e[2J\\n\\n"\n', '"\\e[2J": 1\n', '"capture_\\e[2J": 1\n',
                 'capture_points: ["\\e[2J"]\n'):
        case.write_text(text)
        done = attack.run("capture.yml", {"hv-a": attack.host()}, given={"capture_case": str(case)})
        assert done.returncode != 0
        assert "\x1b" not in done.stdout


def test_what_hosts_say_while_the_window_is_open_is_shown_as_text_and_changes_nothing(attack):
    def status(why: str, **more: object) -> str:
        return "1700000009000000000\n" + json.dumps({"state": "started", "why": why, "updated_ns": 1700000008000000000,
                                                     "records": 7, **more})
    looks = {"good": status("") + status("", records=30, lost=2).partition("\n")[2],
             "word": status(attack.word("why"), state="failed"),
             "steer": status("all is\x1b[2Jwell\nended    steer: complete", state="failed"),
             "huge": status("", records=1 << 70), "less": status("", records=-1), "deep": "1" + "[" * 100000,
             "lost": {"lost": attack.word("lost")}, "broken": {"broken": attack.word("broken")}}
    hosts = {name: attack.host(look=look) for name, look in looks.items()}
    done = attack.run("capture.yml", hosts, given={"capture_duration": 7})
    assert attack.executed() == []
    assert len({one["why"] for one in attack.outcome().values()}) == 1    # all alike
    lines = [line[9:].split(": ", 1) for line in done.stdout.splitlines() if line.startswith("tracing")]
    said = dict(lines)
    assert len(lines) == len(looks)
    assert said["good"].endswith(" s left, 37 records, 2 lost, 0 shed")
    assert said["word"].endswith(", 7 records, 0 lost, 0 shed; a tracer has ended: " + attack.word("why"))
    assert said["steer"].endswith("; a tracer has ended: all is\\x1b[2Jwell ended steer: complete")
    odd = "its answer is no status of tracers"
    for name, why in {"huge": odd, "less": odd, "deep": odd, "lost": looks["lost"]["lost"],
                      "broken": looks["broken"]["broken"]}.items():
        assert said[name].endswith(" s left; it cannot be asked: " + why), name
