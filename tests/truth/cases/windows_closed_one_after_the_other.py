# SPDX-License-Identifier: Apache-2.0
"""The window was to last 10 s, and was closed when the command had ended that it was open for: on hv-a after 6 s, on
hv-b, which was told later, after 7 s. B sends to A all the time.

Nothing was lost. What hv-b saw leave after hv-a's window was under way when the capture ended.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, has_words, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(380):
        fleet.send(0.5 + 0.025 * number, datagram(number, B, A), way="back")
    for host, second in ((fleet.a, 6.0), (fleet.b, 7.0)):
        end = host.monotonic(second)
        host.manifest["window"].update(end_ns=end, ended_ns=end)
        host.rows = [row for row in host.rows if row["time_ns"] < end]
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    unknown = summary["unknown"]
    return lost_nothing(summary) + has_words(verdict, "no packet was lost") + (
        ["of %d packets nobody can tell, it says" % unknown] if unknown else [])
