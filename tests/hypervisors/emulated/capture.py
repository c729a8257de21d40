# SPDX-License-Identifier: Apache-2.0
"""A capture on both machines while something happens there, by the playbooks, and what it says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.playbooks import LOSS, Play

ROOT = Path(__file__).parents[3]
SECONDS = 1800  # that the window may be open


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


def capture(output_dir: Path, run_id: str, command: str, **variables: object) -> Captured:
    """Trace on both machines while a shell command runs here; variables: of the role capture."""
    play = Play(output_dir)
    done = play.run("reproduce.yml", "-i", str(ROOT / "inventories/hypervisors"), timeout=6000, capture_run_id=run_id,
                    capture_bidirectional=True, capture_profile=["nic"], capture_duration=SECONDS,
                    reproduce_command=command, **variables)  # fmt: skip
    assert done.returncode == LOSS, done.stdout[-4000:]    # each of these runs loses some
    captured = Captured(output_dir / run_id)
    print(captured.directory, captured.verdict, sep="\n")
    return captured
