# SPDX-License-Identifier: Apache-2.0
"""Merge a run by the command, as a person would, and say how that ended."""
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = Path(__file__).resolve().parents[2] / "bpftools" / "merge_captures.py"
SECONDS = 120     # after which a merge is given up: it hangs


@dataclass(frozen=True)
class Merged:
    """What a merge gave: a summary and a verdict; or why there are none."""

    summary: dict[str, Any] | None = field(default=None, repr=False)
    verdict: str = field(default="", repr=False)
    refused: str = ""     # the merger said that it cannot merge this
    failed: str = ""      # it crashed, or did not end


def merge(run_dir: Path) -> Merged:
    """Merge a run in a process of its own."""
    process = subprocess.Popen([sys.executable, str(COMMAND), "--quiet", str(run_dir)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, error = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Merged(failed="the merge took more than %d s" % SECONDS)
    last = error.strip().rsplit("\n", 1)[-1]
    if "Traceback (most recent call last)" in error:
        return Merged(failed="the merge crashed: %s" % last)
    if process.returncode:
        return Merged(refused="the merge ended with status %d: %s" % (process.returncode, last))
    return Merged(json.loads((run_dir / "summary.json").read_text()), (run_dir / "verdict.txt").read_text())
