# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors both call themselves localhost. Nothing is lost between them.

They may be refused, with a reason, or told apart; they may not be taken for one host.
"""
import json
from pathlib import Path

from truth.fleet import talking
from truth.truth import Summary, lost_nothing

MAY_REFUSE = True


def make(run_dir: Path) -> None:
    fleet = talking()
    for number, host in enumerate(fleet.hosts, 1):
        where = host.write(run_dir, "hv-%d" % number) / "manifest.json"
        where.write_text(json.dumps(dict(json.loads(where.read_text()), host="localhost")))


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary)
    return out if len(summary["hosts"]) > 1 else [*out, "two hosts are taken for one"]
