# SPDX-License-Identifier: Apache-2.0
"""Each situation of the runbook, made on the lab: its commands are run as they stand there, and what comes out is what
it says."""
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from runbook.book import Situation, missing, situations
from runbook.scenes import SCENES
from support.lab import ROOT, Lab
from support.playbooks import Play, wait_for_open_window
from support.terminal import terminal

BY_HAND = "It happens at night"    # its window is so long that it is ended with Ctrl-C


@pytest.fixture
def play() -> Iterator[Play]:
    """The playbooks, with a captures/ of the test's own in the place of the one that is there."""
    captures, aside = ROOT / "captures", ROOT / "captures.aside"
    found = captures.exists()
    if found:
        captures.rename(aside)
    try:
        yield Play(captures)
    finally:
        shutil.rmtree(captures, ignore_errors=True)
        (ROOT / "playbook.log").unlink(missing_ok=True)     # of a playbook that a scene ends
        if found:
            aside.rename(captures)


@pytest.mark.parametrize("situation", situations(), ids=lambda situation: situation.title)
def test_situation(lab: Lab, play: Play, situation: Situation) -> None:
    with SCENES[situation.title](lab, play):
        run = _until_interrupted if situation.title == BY_HAND else _pasted
        said = "".join(run(lab, play, command) for command in situation.commands)
    gone = [part for shown in situation.shown for part in missing(shown, said)]
    assert not gone, f"{gone}\nis not in\n{said}"


def _pasted(_lab: Lab, play: Play, command: str) -> str:
    done = subprocess.run(["bash", "-c", command], env=play.environment, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False)
    assert "Traceback" not in done.stdout
    return f"{done.stdout}exit status {done.returncode}\n"


def _until_interrupted(lab: Lab, play: Play, command: str) -> str:
    def interrupt() -> str:
        run = sorted(play.output_dir.iterdir(), key=lambda path: path.stat().st_mtime)[-1].name
        for host in ("hv-a", "hv-b"):
            wait_for_open_window(lab.netns(host), run, "drop_monitor", 60)
        lab.netns("vm-a").run(["ping", "-q", "-c", "20", "-i", "0.05", lab.address("vm-b")], check=False)
        return "\x03"
    status, shown = terminal(["bash", "-c", command], {**play.environment, "TERM": "xterm"},
                             [("Ctrl-C ends it early", interrupt)])
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown) + f"exit status {status}\n"
