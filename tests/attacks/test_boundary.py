# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong, every host has an answer, records are never removed unasked, and the exit status is right."""
import json
import os
import pathlib
import stat
import sys

import pytest
from support.attack import ROOT, Attack
from support.fleet import Fleet, udp_packet
from support.playbooks import NOTHING_MATCHED
from support.terminal import terminal

WAITING = {"changed": True, "removed": ["/x"], "stopped": {}, "waiting": {"k": {"records": 7, "bytes": 2048,
                                                                               "running": False}}}


@pytest.fixture
def attack(tmp_path) -> Attack:
    """What does not depend on the version of Ansible is tried with the newest."""
    return Attack(tmp_path, pathlib.Path(sys.executable).parent)


def test_ctrl_c_ends_the_window_and_every_host_is_asked_for_its_records(either):
    attack = either
    hosts = {name: attack.host(**attack.bundle(name)) for name in ("hv-a", "hv-b", "hv-c")}
    command, environment = attack.command("capture.yml", hosts, variables={"capture_duration": 300})
    _status, shown = terminal(command, environment, [("Ctrl-C ends it early", "\x03")])
    outcome = attack.outcome()
    assert set(outcome) == set(hosts), shown
    assert {one["status"] for one in outcome.values()} == {"complete"}
    assert "ended    hv-a, hv-b, hv-c: complete: 0 records\r\n" in shown
    assert "undefined" not in shown


def test_one_host_that_asks_for_a_password_costs_itself_alone(attack):
    broken = {"broken": "Missing sudo password"}
    hosts = {"hv-a": attack.host(skbfleet_capture__prepared=broken),
             "hv-b": attack.host(**attack.bundle("hv-b"))}
    done = attack.run("capture.yml", hosts)
    outcome = attack.outcome()
    assert outcome["hv-a"]["why"].startswith("Ansible cannot become root there: Missing sudo password")
    assert outcome["hv-b"]["status"] == "complete"
    assert done.returncode != 0
    assert "1 of 2 hosts failed, the others are merged: hv-a: " in " ".join(done.stdout.split())


def test_clean_up_asks_before_records_are_lost(attack):
    hosts = {"hv-a": attack.host(skbfleet_capture__absent=WAITING), "hv-b": attack.host()}
    given = {"capture_run_id": None}
    done = attack.run("cleanup.yml", hosts, given=given)
    assert done.returncode != 0
    assert ("capture_yes is false and records wait that are not at home (hv-a: run k, 7 records in 2 KiB): bring them "
            "home with playbooks/collect.yml -e capture_run_id=k, or set capture_yes=true") in " ".join(
                done.stdout.split())
    assert "removed: " not in done.stdout
    done = attack.run("cleanup.yml", hosts, given={**given, "capture_yes": True})
    assert done.returncode == 0, done.stdout
    assert "hv-a: removed: /x" in done.stdout
    for answer, status in (("no\r", 2), ("yes\r", 0)):
        command, environment = attack.command("cleanup.yml", hosts, given=given)
        ended, shown = terminal(command, environment, [("(yes/no)", answer)])
        assert ended == status, shown
        assert ("hv-a: removed: /x" in shown) == (status == 0)


def test_clean_up_does_not_ask_about_what_is_at_home(attack):
    (attack.captures / "k" / "hosts" / "hv-a").mkdir(parents=True)
    hosts = {"hv-a": attack.host(skbfleet_capture__absent=WAITING)}
    assert attack.run("cleanup.yml", hosts, given={"capture_run_id": None}).returncode == 0
    running = {**WAITING, "waiting": {"k": {**WAITING["waiting"]["k"], "running": True}}}
    done = attack.run("cleanup.yml", {"hv-a": attack.host(skbfleet_capture__absent=running)},
                      given={"capture_run_id": None})
    assert "hv-a: run k, still running, 7 records" in " ".join(done.stdout.split())
    assert done.returncode != 0


def test_nobody_is_sent_to_clean_up_while_records_wait(attack):
    lost = attack.host(skbfleet_capture__finished={"lost": "gone"})
    (attack.captures / "r").mkdir(parents=True)
    for playbook in ("capture.yml", "collect.yml"):
        done = attack.run(playbook, {"hv-a": lost}, given={"capture_run_id": "r" if "coll" in playbook else "new"})
        assert "cleanup.yml" not in done.stdout
        assert "its records wait for playbooks/collect.yml" in " ".join(done.stdout.split())


@pytest.mark.parametrize("words", [[], ["--check"]])
def test_a_run_that_nobody_knows_is_an_error_and_leaves_nothing(attack, words):
    unknown = {"failed": True, "msg": "there is no run r in /x on this host"}
    done = attack.run("collect.yml", {"hv-a": attack.host(skbfleet_capture__finished=unknown)}, *words)
    assert done.returncode != 0
    assert "1 of 1 hosts failed: hv-a: there is no run r in /x on this host" in " ".join(done.stdout.split())
    assert "undefined" not in done.stdout
    assert not (attack.captures / "r").exists()


def test_a_run_that_another_controller_began_is_for_its_owner_alone(attack):
    done = attack.run("collect.yml", {"hv-a": attack.host(**attack.bundle("hv-a"))})
    assert done.returncode == NOTHING_MATCHED, done.stdout
    for path in [attack.captures, *attack.captures.rglob("*")]:
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(("limit", "refused"), [("hv-a", True), ("hv-a,localhost", False), ("hypervisors", True)])
def test_a_limit_without_localhost_is_refused(attack, limit, refused):
    hosts = {"hv-a": attack.host(**attack.bundle("hv-a")), "hv-b": attack.host(id={"lost": "was asked"})}
    done = attack.run("capture.yml", hosts, "--limit", limit)
    assert "was asked" not in done.stdout
    if refused:
        assert done.returncode != 0
        assert (f"--limit is '{limit}': it must name localhost too, where the merge runs: --limit "
                f"'{limit},localhost'") in " ".join(done.stdout.split())
        assert not attack.captures.exists()
    else:
        assert done.returncode == NOTHING_MATCHED, done.stdout
        assert list(json.loads((attack.captures / "r" / "summary.json").read_text())["hosts"]) == ["hv-a"]


@pytest.mark.parametrize(("given", "sentence"), [
    ({}, "merge_run_dir is not set: it must be the directory of a run, as captures/RUN"),
    ({"merge_run_dir": "/nowhere"}, "merge_run_dir is '/nowhere': it must be the directory of a run"),
    ({"merge_run_dri": "/x"}, "merge_run_dri is not a variable of skbfleet, and was set to '/x': did you mean merge"),
    ({"merge_run_dir": "{{ lookup('pipe', 'id') }}"}, "it must be a plain value, templates are not evaluated there"),
])
def test_a_merge_of_nothing_is_an_error(attack, given, sentence):
    done = attack.run("merge.yml", {}, given={"capture_output_dir": None, "capture_run_id": None, **given})
    assert done.returncode != 0
    assert sentence in " ".join(done.stdout.split())


@pytest.mark.parametrize(("playbook", "variable", "made"), [
    ("merge.yml", "merge_run_dir", "run/verdict.txt"), ("archive.yml", "archive_run", "run.tar.zst")])
def test_a_path_begins_where_the_command_is_run(attack, tmp_path, playbook, variable, made):
    fleet = Fleet()
    fleet.send(1, udp_packet(1))
    run = fleet.write(tmp_path).rename(tmp_path / "run")
    done = attack.run(playbook, {}, given={"capture_output_dir": None, "capture_run_id": None,
                                           variable: os.path.relpath(run, ROOT)})
    assert (tmp_path / made).exists(), done.stdout
