# SPDX-License-Identifier: Apache-2.0
"""What the terminal shows of results: one line each, and nothing of a host can forge or steer one."""
import pytest
from ansible.module_utils import skbfleet_told as told

WHICH = ["src", "protocol", "bidirectional", "interfaces", "vlan", "filter", "profile"]
SETTINGS = {"run_id": "r1", "src": "192.0.2.1", "protocol": "all", "bidirectional": True, "interfaces": [],
            "vlan": None, "profile": ["nic", "queues"], "filter": "tcp port 443", "duration": 2.5, "max_records": "9",
            "max_bytes": "8", "max_rate": "7", "output_dir": "/captures", "max_load": 6, "accept_load": False}


def test_the_plan_names_the_run_and_what_it_is_of() -> None:
    assert told.plan(SETTINGS, WHICH, ["hv-a", "hv-b"]) == [
        "run r1 on hv-a, hv-b", "of src=192.0.2.1, bidirectional, filter=tcp port 443, profile=nic,queues",
        "for at most 2.5 s, 9 records or 8 bytes; at most 7 records a second; the run stops before its "
        "window if a host would make more than 6", "into /captures/r1"]
    sampled = dict(SETTINGS, accept_load=True, sample="100", start_at="2026-11-22T11:38:00Z")
    assert told.plan(sampled, WHICH, ["hv-a"])[1:3] == [
        "one packet in 100, and every drop, of src=192.0.2.1, bidirectional, filter=tcp port 443, profile=nic,queues",
        "from 2026-11-22T11:38:00Z on, for at most 2.5 s, 9 records or 8 bytes; at most 7 records a second"]
    unfiltered = dict(SETTINGS, src=None, bidirectional=False, filter=None, profile=[])
    assert told.plan(unfiltered, WHICH, ["hv-%d" % number for number in range(64)])[:2] == [
        "run r1 on hv-0, hv-1, hv-2, hv-3, hv-4, hv-5, hv-6, hv-7 and 56 more", "of every packet"]


def test_a_run_is_saved_with_the_inventory_that_it_has() -> None:
    assert told.rescue("r1", []) == "If this terminal dies: ansible-playbook playbooks/collect.yml -e capture_run_id=r1"
    assert told.rescue("r1", ["/site/a b", "c,"]) == (
        "If this terminal dies: ansible-playbook -i '/site/a b' -i c, playbooks/collect.yml -e capture_run_id=r1")


def test_a_plan_says_where_the_tracers_look() -> None:
    both = {"tracers": ["drop_monitor", "datapath_tracing"], "profile": [], "points": [], "accept_load": True}
    assert told.looks(both) == ["points: datapath_tracing at profile nic; drop_monitor at profile drop"]
    assert told.looks(dict(both, profile=["ip"], points=["tun.xmit"]))[0] == (
        "points: datapath_tracing at profile ip, tun.xmit; drop_monitor at profile drop")
    assert told.looks(dict(both, tracers=["drop_monitor"], profile=["ip"], accept_load=False)) == [
        "points: drop_monitor at profile ip", "what a host would record is counted for a second before its window"]


def finished(**more: object) -> list[tuple[str, str]]:
    tracers = {"drop_monitor": {"records": 2, "lost": 0, "shed": 0},
               "datapath_tracing": {"records": 40, "lost": 3, "shed": 0}, "odd": "what a host may say"}
    return told.of_success("skbfleet_capture", {"state": "finished"},
                           {"status": "complete", "why": "", "tracers": tracers, **more})


def test_what_the_tracers_came_to() -> None:
    assert finished() == [("ended", "complete: 42 records, 3 lost")]
    assert finished(status="partial", why="killed\nhv-b: \x1b[2Jall is well") == [
        ("ended", "partial: 42 records, 3 lost; killed hv-b: \\x1b[2Jall is well")]
    assert told.of_success("skbfleet_capture", {"state": "armed"}, {"tracers": {"b": {}, "a": {}}}) == [
        ("armed", "a, b")]
    assert told.of_success("skbfleet_capture", {"state": "armed"}, {"tracers": {}}) == [
        ("ready", "nothing was started")]
    assert told.of_success("skbfleet_capture", {"state": "started"}, {"late_by_ns": 1500000000}) == [
        ("late", "by 1.500 s")]
    assert told.of_success("skbfleet_capture", {"state": "started"}, {"late_by_ns": 0}) == []
    assert told.of_success("ansible.builtin.copy", {}, {"changed": True}) == []


def test_why_a_task_failed() -> None:
    assert told.of_failure({"msg": "no\n  such host"}) == ["no such host"]
    assert told.of_failure({"msg": "it broke", "module_stderr": "sudo: a password is required"}) == [
        "it broke sudo: a password is required"]
    assert told.of_failure({}) == ["no reason was given"]
    assert told.of_failure({"msg": "One or more items failed", "results": [
        {"msg": "a", "failed": True}, {"msg": "b"}, {"msg": "c", "failed": True}]}) == ["a", "c"]


@pytest.mark.parametrize(("result", "lines"), [
    ({"msg": "one\ntwo   columns"}, ["one", "two   columns"]),
    ({"msg": ["a", "b\nc"]}, ["a", "b\\x0ac"]),
    ({"__text": "found", "changed": False}, ["found"]),
    ({"msg": {"removed": ["x", "y"], "stopped": {"k": "SIGTERM"}, "none": {}}},
     ["removed: x, y", "stopped: k: SIGTERM"]),
    ({"msg": "All items completed", "results": [{"msg": "x"}]}, []),
])
def test_what_a_playbook_shows(result: dict, lines: list[str]) -> None:
    assert told.of_success("ansible.builtin.debug", {}, result) == [("", line) for line in lines]


def test_lines_of_several_hosts() -> None:
    assert told.line("armed", ["a", "b"], "x") == "armed    a, b: x"
    assert told.line("", [], "a table   row") == "a table   row"
    assert told.line("", ["a"], "removed: x") == "a: removed: x"
    assert told.line("", [], "") == ""


def test_the_verdict_ends_with_where_the_rest_is() -> None:
    made = {"verdict.txt": "/r/verdict.txt", "events.parquet": "/r/events.parquet"}
    lines = told.verdict(["It was lost."], [], made, "loss")
    assert lines[:3] == ["", "VERDICT", "- It was lost."]
    assert "HOW FAR TO TRUST IT" not in lines
    assert lines[-2].endswith("/r/verdict.txt; beside it: events.parquet")
    assert "- hv-a lost records." in told.verdict(["x"], ["hv-a lost records."], made, "loss")


@pytest.mark.parametrize(("result", "failed", "refused", "status"), [
    ("no loss", False, False, 0), ("loss", False, False, 10), ("unknown", False, False, 11),
    ("nothing matched", False, False, 12), ("partial", False, False, 13), ("partial", True, False, 13),
    ("loss", True, False, 0),             # Ansible's own: a host failed, and it was not the capture that did
    ("", False, False, 0), ("", True, False, 0), ("", True, True, 14)])
def test_the_exit_status_tells_what_a_capture_came_to(result: str, failed: bool, refused: bool, status: int) -> None:
    assert told.exit_status(result, failed, refused) == status


def test_a_page_to_look_at_has_a_line_of_its_own() -> None:
    made = {name: "/captures/r1/" + name for name in ("verdict.txt", "report.html", "summary.json")}
    lines = told.verdict(["No packet was lost."], [], made, "no loss")
    assert lines[-3:-1] == [
        "To look at, in a browser: /captures/r1/report.html",
        "Ways, steps with their latency, and what was seen where: /captures/r1/verdict.txt; beside it: summary.json"]
    del made["report.html"]
    assert told.verdict(["No packet was lost."], [], made, "no loss")[-3:] == ["", *lines[-2:]]


def test_what_comes_next_is_the_last_line() -> None:
    made = {"verdict.txt": "/captures/r1/verdict.txt"}
    assert told.verdict(["x"], [], made, "loss")[-1] == (
        "To send all of it: ansible-playbook playbooks/archive.yml -e archive_run=/captures/r1")
    assert told.verdict(["x"], [], made, "nothing matched")[-1].startswith("Next: make the filter wider")
    part = {"verdict.txt": "/captures/r1/excerpts/tcp-1234/verdict.txt"}
    assert told.verdict(["x"], [], part, "loss")[-1].endswith("beside it: ")
