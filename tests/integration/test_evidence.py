# SPDX-License-Identifier: Apache-2.0
"""Reading a host's configuration and looking at its processes changes nothing on it, and a command that hangs does not
hold up the capture."""
import json
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from provoked.pair import NAMES, Pair, pair, run
from support.lab import PYTHON, ROOT, wait_until
from support.queues import TAPS

READER = ROOT / "bpftools" / "host_evidence.py"
TRACER = ROOT / "bpftools" / "multi_protocol_drop_monitor.py"
RULES = "table inet kept { chain kept { type filter hook input priority 0; udp dport 9 counter; }; }"
STATE = ("nft -a list ruleset", "tc qdisc show", "tc filter show dev wire0 ingress", "ip -d rule",
         "ip route show table all", "ip -d link", "ip addr", "ip neigh", "bridge -d link", "bridge fdb",
         "sysctl -a --pattern ^net", "ip netns")
HOLDS = TAPS + """
import sys
tap = open_tap("tap0", 0x1002)
print("ready", flush=True)
sys.stdin.read()
"""
MODULES = pathlib.Path("/proc/modules")
READ_ONLY = """
findmnt --raw --noheadings --output TARGET | sort -r | while read -r place
do mount -o remount,bind,ro "$place" 2> /dev/null || true; done    # one that another hides
if touch /etc/a-file 2> /dev/null || touch /run/a-file 2> /dev/null; then exit 9; fi
exec "$@"
"""


@pytest.fixture
def both():
    """Two hosts, of which one has rules, a queue and a filter."""
    with pair() as made:
        made.b.run("nft -f -", input=RULES)
        made.b.run("tc qdisc add dev wire0 clsact")
        made.b.run("tc filter add dev wire0 ingress protocol ip bpf da bytecode '1,6 0 0 0'")
        wait_until(lambda: "tentative" not in made.b.run("ip addr"), "addresses are what they will be")
        yield made


@pytest.fixture
def readers(both: Pair) -> Iterator[list[subprocess.Popen]]:
    """In each namespace, a process that holds a tap of the same name."""
    made = [subprocess.Popen(["ip", "netns", "exec", name, PYTHON, "-c", HOLDS], text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) for name in NAMES]
    assert [one.stdout.readline() for one in made] == ["ready\n"] * 2
    yield made
    for one in made:
        one.communicate()


def descriptors(process: subprocess.Popen) -> str:
    """What a process has open."""
    paths = sorted(pathlib.Path(f"/proc/{process.pid}/fdinfo").iterdir())
    return "".join(path.name + path.read_text() for path in paths)


def state(both: Pair) -> dict[str, str]:
    """Everything of a host that a reading might change, but for files."""
    return {"modules": MODULES.read_text() if MODULES.exists() else "", "processes": run("ip netns pids " + NAMES[1]),
            **{words: both.b.run(words) for words in STATE}}


def test_nothing_is_changed(both: Pair) -> None:
    """It runs where no file can be written, and leaves everything else as it was."""
    before = state(both)
    done = subprocess.run(["unshare", "--mount", "sh", "-uc", READ_ONLY, "sh", PYTHON, READER, "--netns", NAMES[1]],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    after = state(both)
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}
    (entries,) = json.loads(done.stdout)["namespaces"].values()
    assert "kept" in json.dumps(entries["nftables"]["value"])
    assert list(entries["filters-in"]["value"]) == ["wire0"]


def test_nobody_is_disturbed_by_being_looked_at(both: Pair, readers: list[subprocess.Popen]) -> None:
    """The kernel is asked which tap is where, as both have the same name."""
    before, opened = state(both), list(map(descriptors, readers))
    done = subprocess.run(["unshare", "--mount", "sh", "-uc", READ_ONLY, "sh", PYTHON, READER, "--watch", "--netns",
                           NAMES[1]], input="\n", text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    after = state(both)
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}
    assert list(map(descriptors, readers)) == opened
    content = json.loads(done.stdout)
    spaces = {tap["netns"]: one["pid"] for one in content["holders"] for tap in one["taps"] if tap["name"] == "tap0"}
    assert spaces == {pathlib.Path(f"/proc/{one.pid}/ns/net").stat().st_ino: one.pid for one in readers}


def test_commands_that_hang_are_ended_and_said(both: Pair, tmp_path: pathlib.Path) -> None:
    hang = tmp_path / "hang"
    hang.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 600\n")
    hang.chmod(0o755)
    mounts = "".join(f"mount --bind {hang} $(command -v {name}); " for name in ("nft", "ip", "tc", "bridge"))
    where = tmp_path / "run"
    words = [PYTHON, TRACER, "--netns=" + NAMES[1], "--protocol=udp", "--duration=0.2", "--evidence", "--run-dir",
             where]
    done = subprocess.run(["unshare", "--mount", "sh", "-euc", mounts + 'exec "$@"', "sh", *words], text=True,
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((where / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    content = json.loads((where / "evidence.json").read_text())
    for when in ("before", "after"):
        (entries,) = content[when]["namespaces"].values()
        whys = {name: entry.get("why", "") for name, entry in entries.items()}
        assert whys["nftables"] == "nft did not answer within 2 s"
        assert "there was no time left" in whys.values()
        assert content[when]["ended_ns"] - content[when]["began_ns"] < 10_000_000_000
    assert "sleep 600" not in subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True, check=True).stdout


def test_a_capture_without_it_has_none(both: Pair, tmp_path: pathlib.Path) -> None:
    where = tmp_path / "run"
    subprocess.run([PYTHON, TRACER, "--netns=" + NAMES[1], "--protocol=udp", "--duration=0.2", "--run-dir", where],
                   check=True)
    assert list(json.loads((where / "manifest.json").read_text())["files"]) == ["records.bin"]
    assert sorted(path.name for path in where.iterdir()) == ["manifest.json", "records.bin", "status.json"]
