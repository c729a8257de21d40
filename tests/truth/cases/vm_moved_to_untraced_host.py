# SPDX-License-Identifier: Apache-2.0
"""VM B moves (live migration) from hv-b to a host that is not traced, in the middle of the window.

The sender's packets go there from then on: 199 packets leave hv-a and never come to hv-b. None is lost; the bundles
cannot tell that from a loss, so no loss may be certain, and the packets may not be passed over in silence.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(400):
        second = 1 + 0.02 * number
        fleet.send(second, datagram(number), lose=second > 5.01)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 199, A)
