# SPDX-License-Identifier: Apache-2.0
"""What a tracer reads of a host's configuration: within its time and its bytes, and only that."""
import json
import os
import pathlib
import stat
from typing import Any

import pytest
from support.lab import wait_until

from skbtrace.capture import evidence
from skbtrace.host import collectors, openvswitch, reading
from skbtrace.host import commands as programs
from skbtrace.host.collectors import Collector


@pytest.fixture
def commands(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A directory for commands that a host might have."""
    monkeypatch.setattr(reading, "_PATH", "%s:/usr/bin:/bin" % tmp_path)
    return tmp_path


def command(where: pathlib.Path, name: str, script: str) -> list[str]:
    (where / name).write_text("#!/bin/sh\n" + script)
    (where / name).chmod(0o755)
    return [name]


def read(monkeypatch: pytest.MonkeyPatch, *rows: Collector, seconds: float = 8.0) -> dict[str, Any]:
    monkeypatch.setattr(collectors, "TABLE", list(rows))
    (entries,) = reading.read_all(["/proc/self/ns/net"], seconds)["namespaces"].values()
    return entries


def test_what_commands_and_files_say(commands, monkeypatch, tmp_path) -> None:
    (tmp_path / "one.txt").write_bytes(b"a\tb\n\n\x1b[31mc\n")
    entries = read(monkeypatch, Collector("lines", command(commands, "say", "echo one; echo two")),
                   Collector("object", command(commands, "json", """echo '{"a": [1]}'"""), json=True),
                   Collector("nothing", command(commands, "quiet", "true"), json=True),
                   Collector("files", files=str(tmp_path / "*.txt")))
    assert {name: entry["value"] for name, entry in entries.items()} == {
        "lines": ["one", "two"], "object": {"a": [1]}, "nothing": [],
        "files": {str(tmp_path / "one.txt"): ["a b", "\\x1b[31mc"]}}


def test_why_there_is_nothing(commands, monkeypatch) -> None:
    entries = read(monkeypatch, Collector("absent", ["no-such-command"]),
                   Collector("refused", command(commands, "no", "echo first >&2; echo 'not allowed' >&2; exit 3")),
                   Collector("text", command(commands, "text", "echo 'Error: x'"), json=True),
                   Collector("long", command(commands, "long", "yes"), most=5000),
                   Collector("unwanted", command(commands, "loads", "touch loaded"), needs=lambda: "x is not loaded"))
    assert {name: entry["why"] for name, entry in entries.items()} == {
        "absent": "no-such-command is not installed", "refused": "no refused: not allowed",
        "text": "text printed what is not JSON", "long": "it is longer than 4 KiB", "unwanted": "x is not loaded"}


def test_a_command_that_hangs_is_ended_with_its_children(commands, monkeypatch) -> None:
    """One that ignores being asked to end, and one that closes its output and goes on."""
    note = commands / "pids"
    script = f"trap '' TERM HUP; echo $$ >> {note}; sleep 600 & echo $! >> {note}; "
    entries = read(monkeypatch, Collector("hangs", command(commands, "hangs", script + "wait"), seconds=0.3),
                   Collector("deaf", command(commands, "deaf", "exec >&- 2>&-; " + script + "wait"), seconds=0.3),
                   Collector("after", command(commands, "after", "echo fine")))
    assert entries["hangs"]["why"] == "hangs did not answer within 0.3 s"
    assert entries["deaf"]["why"] == "deaf did not end within 0.3 s"
    assert entries["after"]["value"] == ["fine"]
    for pid in map(int, note.read_text().split()):
        wait_until(lambda pid=pid: ended(pid), f"{pid} has ended")


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_all_together_have_their_time(commands, monkeypatch) -> None:
    hangs = command(commands, "hangs", "exec sleep 600")
    entries = read(monkeypatch, *[Collector("hangs %d" % number, hangs, seconds=60) for number in range(3)],
                   seconds=0.5)
    whys = [entry["why"] for entry in entries.values()]
    assert whys[0].startswith("hangs did not answer") and whys[1:] == ["there was no time left"] * 2


def test_all_together_have_their_bytes(commands, monkeypatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 3000)
    some = command(commands, "some", "head -c 2000 /dev/zero | tr '\\0' x")
    entries = read(monkeypatch, Collector("one", some), Collector("two", some))
    assert "value" in entries["one"] and entries["two"]["why"] == "it is longer than 0 KiB"


def test_devices_are_asked_one_by_one(commands, monkeypatch) -> None:
    rows = '[{"kind": "clsact", "dev": "vnet0"}, {"kind": "tbf", "dev": "b"}, 7]'
    qdiscs = command(commands, "qdiscs", f"echo '{rows}'")
    entries = read(monkeypatch, Collector("qdiscs", qdiscs, json=True),
                   Collector("filters", [*command(commands, "show", 'echo "of $1"'), "{device}"],
                             devices=collectors._with_filters))
    assert entries["filters"]["value"] == {"vnet0": ["of vnet0"]}


def test_a_namespace_that_is_gone_is_left_out() -> None:
    assert reading.read_all(["/run/netns/gone"], 1.0)["namespaces"] == {}


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The run directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program(here: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    path = here.parent / (here.name + ".py")
    path.write_text(code)
    monkeypatch.setattr(evidence, "_PROGRAM", str(path))


def test_both_readings_are_one_private_file(here, monkeypatch) -> None:
    program(here, monkeypatch, "import sys; print('{\"words\": %d}' % len(sys.argv), end='')")
    two = evidence.Evidence(["/proc/self/ns/net"])
    for when in ("before", "after"):
        two.begin(when)
        two.wait()
    two.write()
    assert json.loads((here / "evidence.json").read_text()) == {
        "format": "skbfleet-evidence/1", "before": {"words": 3}, "during": {"why": "it was not begun"},
        "after": {"words": 3}}
    assert stat.S_IMODE((here / "evidence.json").stat().st_mode) == 0o600
    assert os.listdir(here) == ["evidence.json"]


@pytest.mark.parametrize(("of", "parts"), [
    ("host", ["before", "during", "after"]), ("switch", ["switch-before", "switch-after"]),
    ("all", ["before", "during", "after", "switch-before", "switch-after"])])
def test_only_what_was_asked_for_is_read(here, monkeypatch, of: str, parts: list[str]) -> None:
    program(here, monkeypatch, "import json, sys; json.dump({'words': sys.argv[1:]}, sys.stdout)")
    monkeypatch.setattr(evidence.openvswitch, "is_loaded", lambda: True)
    one = evidence.Evidence([], of)
    for when in ("before", "after"):
        one.begin(when)
        one.begin_switch(when, flows=[{"device": "vnet0", "flow": "tcp,tcp_dst=443"}] if when == "after" else [])
        one.wait()
    one.write()
    content = json.loads((here / "evidence.json").read_text())
    assert list(content) == ["format", *parts]
    if of != "host":
        assert content["switch-before"]["words"] == ["--switch", "--seconds=8"]
        assert content["switch-after"]["words"] == ["--switch", "--seconds=8", "--flow=vnet0 tcp,tcp_dst=443"]


def test_where_there_is_no_open_vswitch_no_program_says_so(here, monkeypatch) -> None:
    program(here, monkeypatch, "raise SystemExit(1)")
    monkeypatch.setattr(evidence.openvswitch, "is_loaded", lambda: False)
    one = evidence.Evidence([], "switch")
    for when in ("before", "after"):
        one.begin_switch(when)
        one.wait()
    one.write()
    content = json.loads((here / "evidence.json").read_text())
    for part in ("switch-before", "switch-after"):
        assert content[part]["host"] == {"switch": {"why": "openvswitch is not loaded", "seconds": 0.0}}
    assert os.listdir(here) == ["evidence.json"]


@pytest.mark.parametrize(("code", "why"), [
    ("import time; print('{', flush=True); time.sleep(600)", "it did not end within 1 s"),
    ("raise SystemExit(1)", "it ended with status 1")])
def test_a_reading_that_is_not_whole_is_none(here, monkeypatch, code: str, why: str) -> None:
    program(here, monkeypatch, code)
    monkeypatch.setattr(evidence, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(evidence, "_HURRY_SECONDS", 1.0)
    one = evidence.Evidence([])
    one.begin("after", hurry=True)
    one.wait()
    one.write()
    content = json.loads((here / "evidence.json").read_text())
    assert (content["before"], content["after"]) == ({"why": "it was not begun"}, {"why": why})


def test_a_reading_is_whole(here) -> None:
    """The program itself, with this host's own commands."""
    one = evidence.Evidence(["/proc/self/ns/net"])
    one.begin("before")
    one.wait()
    one.write()
    before = json.loads((here / "evidence.json").read_text())["before"]
    (entries,) = before["namespaces"].values()
    assert {row.name for row in collectors.TABLE} == set(entries) | set(before["host"])
    assert all(("value" in entry) != ("why" in entry) for entry in entries.values())
    assert before["began_ns"] < before["ended_ns"]


def test_the_switch_is_asked_about_flows(monkeypatch, capsys) -> None:
    monkeypatch.setattr(openvswitch, "read", lambda flows, seconds: {"flows": flows, "seconds": seconds})
    assert programs.main(["--switch", "--flow=vnet0 tcp,tcp_dst=443", "--flow", "eth1 arp", "--seconds=3"]) == 0
    assert json.loads(capsys.readouterr().out) == {"seconds": 3, "flows": [
        {"device": "vnet0", "flow": "tcp,tcp_dst=443"}, {"device": "eth1", "flow": "arp"}]}


def test_it_says_what_is_wrong_with_its_options(capsys) -> None:
    assert programs.main(["--netns=no-such-place"]) == 2
    assert capsys.readouterr().err.startswith("error: --netns is 'no-such-place'")
