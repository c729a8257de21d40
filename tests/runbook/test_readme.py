# SPDX-License-Identifier: Apache-2.0
"""The commands of README.md, run as they stand there, one block after the other, as a reader would paste them.

What is no command of this machine (an address, a path, a run's name, a time) is replaced, as the blocks below say.
"""
import datetime
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from runbook.book import blocks
from support.lab import ROOT, Lab
from support.playbooks import NOTHING_MATCHED, Play

README = (ROOT / "README.md").read_text()
DEMO, PROFILE, PARTS, CAPTURES, CASE, AGAIN, CLUSTER, BY_HAND, INSTALL, BY_NAME, EMULATED = range(11)


class Way(NamedTuple):
    """How a block is run."""

    first: str                               # what it begins with
    instead: dict[str, str] = {}             # text -> what stands in its place
    status: int = 0
    made: tuple[str, ...] = ()               # files that are there then


WAYS = {
    DEMO: Way("make demo", {"make test ": "true "}),      # this is one of its tests
    CAPTURES: Way("make lab", {"make lab-down": "cp -r captures/latest/ $HOME/run"},
                  made=("captures/latest/report.html",)),
    PROFILE: Way("mkdir -p ~/.config", {"wireshark -C skbfleet": "tshark -C skbfleet -c 1 -r"},
                 made=("$HOME/.config/wireshark/profiles/skbfleet/preferences",)),
    PARTS: Way("cd captures/latest", {"2026-11-22 12:41:43": "$BEGUN", "2026-11-22 12:41:44": "$ENDED"},
               made=("captures/latest/part.pcapng", "captures/latest/place.pcapng")),
    CASE: Way("ansible-playbook playbooks/new_case.yml", {"ticket-4711.yml": "$HOME/ticket-4711.yml"},
              made=("$HOME/ticket-4711.yml",)),
    AGAIN: Way("ansible-playbook playbooks/merge.yml", {"tcp port 443": "icmp", "+12": "+1", "+15": "+4"},
               made=("captures/latest/excerpts",)),
    CLUSTER: Way("cd bpftools\npython -m", {
        "/shared/captures/20261122T113800Z": "$HOME/run", "/shared": "$HOME", "192.0.2.1": "127.0.0.1"},
        made=("$HOME/certificates",)),
    BY_HAND: Way("cd bpftools\n./multi", {"./multi": "timeout --signal=INT 5 ./multi", "tcp-drop.log 2>&1":
                                          "$HOME/tcp-drop.log 2>&1 || true"}, made=("$HOME/tcp-drop.log",)),
    INSTALL: Way("make collection", made=("$HOME/.ansible/collections/ansible_collections/skbfleet/tracing",)),
    BY_NAME: Way("ansible-playbook -i inventories/mine", {"inventories/mine": "inventories/lab"}, NOTHING_MATCHED),
}
ELSEWHERE = {EMULATED: "make test-cluster runs these on emulated hypervisors"}
_END = "what follows was ended"
SH = blocks(README, "sh")
ORDER = (DEMO, CAPTURES, PROFILE, PARTS, CASE, AGAIN, CLUSTER, BY_HAND, INSTALL, BY_NAME, EMULATED)


class Reader:
    """Somebody with a home of his own, who pastes blocks."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.environment = {**Play(ROOT / "captures").environment, "HOME": str(home), "TZ": "UTC"}

    def paste(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run it, and end what it leaves in the background."""
        now = datetime.datetime.now(datetime.UTC)
        for word, time in (("$BEGUN", now - datetime.timedelta(minutes=5)), ("$ENDED", now)):
            text = text.replace(word, f"{time:%F %T}")
        # what is ended in the background may complain of that
        script = "set -e\ntrap 'status=$?; echo %s; kill $(jobs -p) 2> /dev/null || exit $status' EXIT\n" % _END + text
        return subprocess.run(["bash", "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, text=True, timeout=300,
                              env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader, with a captures/ of his own in the place of the one that is there, and a lab if he makes one."""
    captures, aside = ROOT / "captures", ROOT / "captures.aside"
    if captures.exists():
        captures.rename(aside)
    found = Lab().status()["running"]
    try:
        yield Reader(tmp_path_factory.mktemp("home"))
    finally:
        if not found:
            Lab().down()
        shutil.rmtree(captures, ignore_errors=True)
        if aside.exists():
            aside.rename(captures)


def test_each_block_is_known() -> None:
    assert sorted(ORDER) == list(range(len(SH))) == sorted({**WAYS, **ELSEWHERE})


@pytest.mark.parametrize("number", ORDER, ids=lambda number: SH[number].split("\n")[0][:40])
def test_commands(reader: Reader, number: int) -> None:
    if number in ELSEWHERE:
        pytest.skip(ELSEWHERE[number])
    text, way = SH[number], WAYS[number]
    assert text.startswith(way.first)
    for words, instead in way.instead.items():
        assert words in text
        text = text.replace(words, instead)
    done = reader.paste(text)
    assert done.returncode == way.status and "Traceback" not in done.stdout.split(_END)[0], done.stdout
    for name in way.made:
        path = pathlib.Path(ROOT, name.replace("$HOME", str(reader.home)))
        assert path.exists(), f"{path}\n{done.stdout}"


@pytest.mark.parametrize("text", blocks(README, "python"), ids=lambda text: text.split()[1])
def test_queries(reader: Reader, text: str) -> None:
    if "pyspark" in text:
        pytest.importorskip("pyspark", reason="PySpark is not installed: it needs Java")
    assert (ROOT / "captures" / "latest").exists() and reader.home.is_dir()
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False,
                          env=dict(os.environ))
    assert done.returncode == 0 and "packets" in done.stdout, done.stderr
