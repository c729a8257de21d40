# SPDX-License-Identifier: Apache-2.0
"""A capture on both machines while something happens there, by the playbooks, and what it says."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.playbooks import Play

ROOT = Path(__file__).parents[3]
SECONDS = 300  # that the window may be open


@dataclass(frozen=True)
class Captured:
    """The products of a run."""

    directory: Path

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "summary.json").read_text()))

    @property
    def verdict(self) -> str:
        return (self.directory / "verdict.txt").read_text()

    def lines(self, *words: str) -> list[str]:
        """Return the timeline's lines that have all these words."""
        text = (self.directory / "timeline.log").read_text().splitlines()
        return [line for line in text if all(f" {word} " in line for word in words)]


def capture(output_dir: Path, run_id: str, traffic: str, **variables: object) -> Captured:
    """Trace on both machines while hv-a runs the shell commands `traffic`; variables: of the role capture."""
    tool = ROOT / "tests/hypervisors/hypervisors.py"
    play = Play(output_dir)
    done = play.run("reproduce.yml", "-i", str(ROOT / "inventories/hypervisors"), timeout=1500, capture_run_id=run_id,
                    capture_bidirectional=True, capture_profile=["nic"], capture_duration=SECONDS,
                    reproduce_command=f"{tool} run hv-a {shlex.quote(traffic)}", **variables)  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    captured = Captured(output_dir / run_id)
    print(captured.directory, captured.verdict, sep="\n")
    return captured
