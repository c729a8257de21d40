# SPDX-License-Identifier: Apache-2.0
"""Case files through the real playbooks: refused whole before a host is asked, or run as they say."""
import json
import pathlib
import stat
import sys

import pytest
from support.attack import Attack
from support.playbooks import NOTHING_MATCHED
from support.terminal import terminal

REFUSED = 14
BAD = """case_title: {word}
case_expires: 2020-02-29
capture_dst: 192.0.2.1000
capture_protocl: tcp
capture_duration: 5
capture_duration: 6
capture_hosts:
  hv-x: {{capture_src: 192.0.2.7}}
  hv-b: {{capture_vlan: [1]}}
"""
GOOD = """case_title: Pings get lost
case_ticket: NET-4711
case_author: R&D
case_hosts: [hv-b, hv-c]
case_next: [Send the verdict to R&D., "Do not restart vm-b."]
capture_dst: 192.0.2.10
capture_hosts:
  hv-c: {capture_vlan: 7}
"""


@pytest.fixture
def attack(tmp_path) -> Attack:
    """What does not depend on the version of Ansible is tried with the newest."""
    return Attack(tmp_path, pathlib.Path(sys.executable).parent)


def written(attack: Attack, text: str) -> str:
    (attack.directory / "case.yml").write_text(text)
    return str(attack.directory / "case.yml")


def hosts_of(attack: Attack, *names: str, **answers: object) -> dict:
    return {name: attack.host(**{**attack.bundle(name), **answers}) for name in names}


def test_all_that_is_wrong_is_said_at_once_and_no_host_is_asked(either):
    attack = either
    path = written(attack, BAD.format(word=json.dumps(attack.word("title"))))
    done = attack.run("capture.yml", hosts_of(attack, "hv-a", "hv-b", id={"lost": "was asked"}),
                      given={"capture_case": path})
    assert done.returncode == REFUSED, done.stdout
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    for number, words in ((1, "case_title is "), (2, "case_expires is 2020-02-29: it must be today"),
                          (3, "capture_dst is '192.0.2.1000': it must be"),
                          (4, "capture_protocl is not a variable of skbfleet, and was set to 'tcp': did you mean"),
                          (6, "capture_duration is set twice, first in line 5"),
                          (7, "capture_hosts names the host hv-x, which is not in the inventory: did you mean hv-"),
                          (9, "for hv-b, capture_vlan is [1]: it must be text")):
        assert any(f"{path}, line {number}: {words}" in line for line in errors), (number, done.stdout)
    assert len(errors) == 7, done.stdout
    for forbidden in ("was asked", "Traceback", "undefined"):
        assert forbidden not in done.stdout
    assert attack.executed() == []
    assert not attack.captures.exists()


def test_a_vars_file_is_held_to_the_same(attack):
    path = written(attack, "capture_dst: 192.0.2.1000\ncapture_protocl: tcp\ncapture_vlan: {a: 1}\n")
    done = attack.run("capture.yml", hosts_of(attack, "hv-a", id={"lost": "was asked"}), "-e", "@" + path)
    assert done.returncode == REFUSED, done.stdout
    for number, name in enumerate(("capture_dst", "capture_protocl", "capture_vlan"), 1):
        assert f"{path}, line {number}: {name} is " in done.stdout
    assert "was asked" not in done.stdout


def test_a_case_is_shown_then_run_on_its_hosts_and_says_what_comes_next(either):
    attack = either
    (attack.directory / "host_vars").mkdir()
    (attack.directory / "host_vars" / "hv-b.yml").write_text("capture_dst: 192.0.2.22")
    command, environment = attack.command("capture.yml", hosts_of(attack, "hv-a", "hv-b", "hv-c"),
                                          given={"capture_case": written(attack, GOOD)})
    status, shown = terminal(command, environment, [("Run this case? (yes/no)", "yes\r")])
    assert status == NOTHING_MATCHED, shown
    lines = shown.splitlines()
    at = lines.index("case NET-4711: Pings get lost (by R&D)")
    assert lines[at + 1] == "run r on hv-b, hv-c"
    assert shown.index("Run this case?") < shown.index("armed    hv-b, hv-c: datapath_tracing\r\n")
    at = lines.index("NEXT, AS THE CASE HAS IT")
    assert lines[at + 1:at + 3] == ["- Send the verdict to R&D.", "- Do not restart vm-b."]
    assert set(attack.outcome()) == {"hv-b", "hv-c"}
    run = json.loads((attack.captures / "r" / "run.json").read_text())["hosts"]
    assert {name: (one["dst"], one["vlan"]) for name, one in run.items()} == {
        "hv-b": ("192.0.2.22", None), "hv-c": ("192.0.2.10", "7")}


def test_the_plan_says_where_each_value_comes_from(attack):
    (attack.directory / "host_vars").mkdir()
    (attack.directory / "host_vars" / "hv-b.yml").write_text("capture_dst: 192.0.2.22")
    path = written(attack, GOOD)
    done = attack.run("capture.yml", hosts_of(attack, "hv-b", "hv-c"), "--check",
                      variables={"capture_remote_dir": "/nowhere/skbfleet"},
                      given={"capture_case": path, "capture_protocol": "tcp"})
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert f"hv-c: from the case {path}: dst=192.0.2.10, vlan=7" in lines, done.stdout
    assert "hv-b: from host_vars: dst=192.0.2.22" in lines
    assert any(line.startswith("hv-b, hv-c: from -e: protocol=tcp, ") for line in lines)
    assert any(line.startswith("hv-b, hv-c: from inventory: src=192.0.2.1, duration=0.1, ") for line in lines)
    assert any(line.startswith("hv-b, hv-c: from default: tracers=drop_monitor,datapath_tracing, ") for line in lines)


def test_a_person_who_does_not_say_yes_is_taken_at_his_word(attack):
    command, environment = attack.command("capture.yml", hosts_of(attack, "hv-b", id={"lost": "was asked"}),
                                          given={"capture_case": written(attack, GOOD.replace("hv-c", "hv-b"))})
    status, shown = terminal(command, environment, [("Run this case? (yes/no)", "no\r")])
    assert status == REFUSED, shown
    assert shown.index("case NET-4711: Pings get lost") < shown.index("Run this case?")
    assert "capture_yes is false and nobody said yes" in shown
    assert "was asked" not in shown
    assert not attack.captures.exists()


def test_who_says_yes_beforehand_is_not_asked(attack):
    given = {"capture_case": written(attack, GOOD.replace("hv-c", "hv-b")), "capture_yes": True}
    command, environment = attack.command("capture.yml", hosts_of(attack, "hv-b", id={"lost": "was asked"}),
                                          given=given)
    _status, shown = terminal(command, environment, [])
    assert "was asked" in shown
    assert "yes/no" not in shown


def test_a_case_that_could_never_be_run_is_not_written(attack):
    path = attack.directory / "new.yml"
    given = {"capture_protocol": "icmp", "case_expires": "2020-01-31", "capture_output_dir": None,
             "capture_run_id": None, "merge_python": None}
    done = attack.run("new_case.yml", {}, given=given)
    lines = done.stdout.splitlines()
    assert done.returncode == REFUSED and len([line for line in lines if line.startswith("ERROR")]) == 2
    assert "ERROR    case_file is not set: it must be a file that is not there yet, in a directory that is" in lines
    assert any(line.startswith("ERROR    case_expires is 2020-01-31: it must be today (") for line in lines)
    done = attack.run("new_case.yml", {}, given={**given, "case_file": str(path), "case_expires": "soon"})
    assert done.returncode == REFUSED and not path.exists() and "Traceback" not in done.stdout


def test_a_case_that_is_written_can_be_run(attack):
    path = attack.directory / "new.yml"
    given = {"case_file": str(path), "case_title": "Pings: get lost", "case_hosts": ["hv-a"],
             "case_next": ["Look at 'it'"], "capture_protocol": "icmp", "capture_bidirectional": "yes",
             "capture_output_dir": None, "capture_run_id": None, "merge_python": None,
             "capture_hosts": {"hv-a": {"capture_dst": "192.0.2.9"}}}
    done = attack.run("new_case.yml", {}, given=given)
    assert done.returncode == 0, done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = attack.run("capture.yml", hosts_of(attack, "hv-a", "hv-b"), "--check", given={"capture_case": str(path)})
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[lines.index("case Pings: get lost") + 1] == "run r on hv-a"
    assert f"hv-a: from the case {path}: dst=192.0.2.9, protocol=icmp, bidirectional" in lines
