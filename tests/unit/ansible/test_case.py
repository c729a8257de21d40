# SPDX-License-Identifier: Apache-2.0
"""What a case may say, how it is written, and the schema that follows from the table of variables."""
import datetime
import json
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml
from ansible.module_utils import skbfleet_told as told
from ansible.module_utils.skbfleet_case import OF_A_CASE, STEPS, Case, names_of
from ansible.module_utils.skbfleet_names import specifications
from ansible.module_utils.skbfleet_written import case_text, schema
from support.validation import ROOT

SPECS = specifications(str(ROOT / "roles"))
SCHEMA = ROOT / "playbooks" / "cases" / "case.schema.json"
TODAY = datetime.date(2026, 11, 22)
FULL = {"case_title": "Pings: get 'lost'", "case_ticket": "NET-4711", "case_author": "R&D",
        "case_expires": "2027-01-31", "case_hosts": ["hv-a", "hv-b"],
        "case_next": ["Send verdict.txt to R&D.", "x" * 300],
        "capture_tracers": ["drop_monitor"], "capture_src": "192.0.2.1", "capture_dst_port": "443",
        "capture_protocol": "tcp", "capture_bidirectional": True, "capture_points": ["dev.rx", "func:ip_rcv@skb"],
        "capture_filter": "tcp port 443 and not (host 192.0.2.7 or vlan 9)", "capture_duration": 12.5,
        "capture_hosts": {"hv-b": {"capture_src": "192.0.2.2", "capture_interfaces": ["vnet0"]}}}


@pytest.fixture
def case(tmp_path):
    """Write a case; return it as it is read."""
    def read(text, hosts=("hv-a", "hv-b"), today=TODAY):
        path = tmp_path / "case.yml"
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
        found = Case(str(path), SPECS)
        found.check_hosts(set(hosts))
        found.check_expiry(today)
        return found
    return read


def test_what_a_case_holds_is_typed(case):
    found = case("case_expires: 2027-01-31\ncapture_bidirectional: yes\ncapture_points: dev.rx,dev.tx\n"
                 "capture_vlan: 7\ncapture_netns:\ncapture_hosts: {hv-a: {capture_duration: '3'}}\n")
    assert found.wrong == []
    assert found.about == {"case_expires": "2027-01-31"}
    assert found.values == {"capture_bidirectional": True, "capture_points": ["dev.rx", "dev.tx"], "capture_vlan": "7",
                            "capture_netns": None}
    assert found.hosts == {"hv-a": {"capture_duration": 3.0}}


def test_all_that_is_wrong_is_told_in_the_order_of_its_lines(case):
    found = case("capture_vlan: [1]\ncapture_src: 192.0.2.1\ncase_titel: x\ncapture_src: 192.0.2.2\n"
                 "capture_hosts:\n  hv-a:\n    capture_follow: maybe\n    capture_follow: true\n"
                 "  'h v': {}\n  hv-b: 3\n")
    words = [re.sub(r"^.*case\.yml, ", "", sentence) for sentence in found.sentences()]
    assert words == [
        "line 1: capture_vlan is [1]: it must be text",
        "line 3: case_titel is not a variable of skbfleet, and was set to 'x': did you mean case_title?",
        "line 4: capture_src is set twice, first in line 2: it must be set once",
        "line 7: for hv-a, capture_follow is 'maybe': it must be true or false",
        "line 8: capture_follow is set twice, first in line 7: it must be set once",
        "line 9: capture_hosts has a value for the host 'h v': a host's name must be letters, digits, dots, dashes and "
        "underscores, at most 100",
        "line 10: capture_hosts has 3 for hv-b: it must map names of hosts to variables"]
    assert found.values == {"capture_src": "192.0.2.1"}


@pytest.mark.parametrize(("day", "holds"), [(TODAY, True), (TODAY - datetime.timedelta(days=1), False)])
def test_a_case_holds_until_the_end_of_its_last_day(case, day, holds):
    found = case(f"case_author: R&D\ncase_expires: {day}\n")
    assert found.sentences() == ([] if holds else [
        f"{found.path}, line 2: case_expires is 2026-11-21: it must be today (2026-11-22) or later; ask R&D for a case "
        "that holds"])


@pytest.mark.parametrize(("values", "sentence"), [
    ({"case_expires": "tomorrow"}, "case_expires is 'tomorrow': it must be the last day"),
    ({"case_expires": "2027-1-1"}, "case_expires is '2027-1-1': it must be the last day"),
    ({"case_title": "a\nb"}, "case_title is 'a\\nb': it must be at most 200 characters on one line"),
    ({"case_next": ["x"] * (STEPS + 1)}, "case_next has 21 steps: it must have at most 20"),
    ({"case_hosts": ["hv a"]}, "case_hosts is 'hv a': it must be names of hosts"),
    ({"case_hosts": ["hv-aa"]}, "case_hosts names the host hv-aa, which is not in the inventory: did you mean hv-a?"),
    ({"case_hosts": ["hv-a"], "capture_hosts": {"hv-b": {"capture_vlan": 1}}},
     "capture_hosts has values for hv-b, which is not in case_hosts: add it there, or leave them out"),
    ({"capture_hosts": {"hv-a": {"case_title": "x"}}}, "for hv-a, case_title does not belong in a case file: "),
    ({"capture_run_id": "x"}, "capture_run_id does not belong in a case file: it is set in the inventory, or with -e"),
])
def test_what_a_case_cannot_say(case, values, sentence):
    found = case(values)
    assert [one for _line, one in found.wrong if one.startswith(sentence)], found.wrong


def test_a_case_that_is_written_reads_the_same(case, tmp_path):
    text = case_text("full.yml", FULL, SPECS)
    found = case(text)
    assert found.wrong == []
    assert {**found.about, **found.values, "capture_hosts": found.hosts} == FULL
    assert all(len(line) <= 120 or "xxx" in line for line in text.splitlines())
    for name in names_of(SPECS):
        assert re.search(f"^# .*\n(# )?{name}:", text, re.MULTILINE), name


def test_the_schema_is_what_follows_from_the_roles():
    made = subprocess.run([sys.executable, ROOT / "roles" / "case" / "files" / "schema.py"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    assert made == SCHEMA.read_text(), f"{SCHEMA} is not up to date: make schema"
    assert set(json.loads(made)["properties"]) == {*names_of(SPECS)} >= {*OF_A_CASE}


def test_the_schema_takes_cases_and_nothing_else():
    check = jsonschema.Draft202012Validator(schema(SPECS))
    for path in (ROOT / "playbooks" / "cases").glob("*.yml"):
        assert list(check.iter_errors(yaml.safe_load(path.read_text()))) == []
    assert list(check.iter_errors(FULL)) == []
    for wrong in ({"capture_scr": "x"}, {"case_title": "x" * 201}, {"capture_points": {"a": 1}}, {"case_file": "x"},
                  {"capture_hosts": {"hv-a": {"case_title": "x"}}}, {"capture_tracers": ["x"]}, {"case_expires": "x"}):
        assert list(check.iter_errors(wrong)), wrong


def test_a_case_in_words():
    assert told.about({}) == []
    assert told.about({"case_hosts": ["x"]}) == ["case without a title"]
    assert told.about({name: FULL[name] for name in ("case_title", "case_ticket", "case_author", "case_expires")}) == [
        "case NET-4711: Pings: get 'lost' (by R&D, until 2027-01-31)"]
    assert told.following([]) == []
    assert told.following(["Send it.", "a\x1b[2J\nb"]) == ["", "NEXT, AS THE CASE HAS IT", "- Send it.",
                                                           "- a\\x1b[2J b"]


def test_the_plan_of_a_case_says_where_each_value_comes_from_and_asks(plan, tmp_path):
    path = tmp_path / "case.yml"
    path.write_text("case_hosts: [hv-b]\ncapture_dst: 192.0.2.9\ncapture_src: 192.0.2.8\n")
    given = {"capture_case": str(path), "capture_protocol": "tcp"}
    made = plan({"capture_src": "192.0.2.1", "capture_vlan": 7}, given, own=["capture_src"], check=True)
    assert made["hosts"] == ["hv-b"]
    assert made["ask"] is True
    assert made["origins"][:6] == [
        "points: datapath_tracing at profile nic; drop_monitor at profile drop",
        "what a host would record is counted for a second before its window", f"from -e: protocol=tcp, case={path}",
        f"from the case {path}: dst=192.0.2.9", "from host_vars: src=192.0.2.1", "from inventory: everything, vlan=7"]
    assert made["origins"][6].startswith("from default: tracers=drop_monitor,datapath_tracing, ")
    assert plan({"capture_vlan": 7}, dict(given, capture_yes=True))["ask"] is False
    assert plan({"capture_vlan": 7})["ask"] is False
    assert plan({}, dict(given, capture_run_id="r"), run="existing")["hosts"] == ["hv-a", "hv-b"]


def test_a_case_can_take_a_value_of_the_inventory_back(plan, refusal, tmp_path):
    path = tmp_path / "case.yml"
    path.write_text("capture_netns:\ncapture_vlan: ''\n")
    settings = plan({"capture_netns": "self", "capture_vlan": 7}, {"capture_case": str(path)})["settings"]
    assert (settings["netns"], settings["vlan"]) == (None, None)
    path.write_text("capture_duration:\n")
    assert refusal(given={"capture_case": str(path)}).endswith("line 1: capture_duration is None: it must be a number")


def test_what_only_a_case_may_say_is_refused_elsewhere(refusal):
    assert refusal(given={"case_title": "x"}).startswith("case_title is 'x' in -e: it must be in a case file")


def test_one_mistake_is_told_once_and_not_what_follows_from_it(refusal, tmp_path):
    path = tmp_path / "case.yml"
    told_of = {"capture_everything": False}, {"capture_case": str(path)}
    path.write_text("capture_protocol: [tcp]\ncapture_dst_port: 443\n")
    assert refusal(*told_of).endswith("line 1: capture_protocol is ['tcp']: it must be text")
    path.write_text("capture_protocol: tpc\ncapture_dst_port: 443\ncapture_sample: 0\ncapture_sample_drops: true\n"
                    "capture_points: [dev.rxx, dev.tx, dev.tz]\n")
    said = refusal(*told_of).split("\n")
    assert sorted(re.match(r".*, line (\d): (\S+ is \S+):", line).groups() for line in said) == [
        ("1", "capture_protocol is 'tpc'"), ("3", "capture_sample is '0'"), ("5", "capture_points is 'dev.rxx'"),
        ("5", "capture_points is 'dev.tz'")]
