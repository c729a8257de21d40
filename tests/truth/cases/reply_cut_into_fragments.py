# SPDX-License-Identifier: Apache-2.0
"""A, whose link takes large packets, pings B 20 times; B's does not, so each reply comes back in two fragments.

All are answered, though of a fragment nobody can tell which ping it answers. A's 5 SYNs to B arrive, and are not
answered, as far as records go: hv-b lost one.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, echo, ethernet, icmp, ipv4, segment
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(20):
        second = 1 + 0.1 * number
        fleet.send(second, echo(number, A, B, ident=100 + number, asker=7))
        for part, (payload, offset) in enumerate(((icmp(0, 0, 7, number, 1472), 0), (bytes(1000), 1480))):
            reply = ethernet(ipv4(B, A, payload, protocol=1, ident=900 + number, fragment=offset,
                                  more=not part))
            fleet.send(second + 1e-3 + 1e-5 * part, reply, way="back")
    for number in range(5):
        fleet.send(5 + number / 10, segment(1000 * number, 0, 300 + number, A, B, ports=(41000 + number, 80), flags=2))
    fleet.b.manifest["counters"]["lost"] = 1
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary)
    asked = {(entry["kind"], entry["packets"]) for entry in summary["unanswered"]}
    if asked != {("SYN", 5)} or "answers may be among the records that are missing from hv-b" not in verdict:
        out.append("only 5 SYNs have no answer that was recorded, and hv-b lacks a record; it says %s" % asked)
    return out
