# SPDX-License-Identifier: Apache-2.0
"""A pings B 40 times, and tries 10 connections to a port of C's, at B's own tap. Of the pings B answers the first 10,
of the SYNs C refuses 4; all questions arrive. The last ping comes so late that its answer may be outside the window.

Nothing was lost: 29 pings and 6 SYNs came to hv-b's vnet0, and were not answered there.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, echo, ethernet, icmp, ipv4, segment
from truth.truth import Summary, lost_nothing

C = "192.168.32.21"
SYN, RST_ACK = 2, 20


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(40):
        second = 1 + 0.2 * number + 0.8 * (number == 39)
        fleet.send(second, echo(number, A, B, ident=100 + number, asker=7))
        if number < 10:
            reply = ethernet(ipv4(B, A, icmp(0, 0, 7, number), protocol=1, ident=900 + number))
            fleet.send(second + 1e-3, reply, way="back")
    for number in range(10):
        ports = (41000 + number, 80)
        fleet.send(2 + 0.1 * number, segment(1000 * number + 5, 0, 300 + number, A, C, ports=ports, flags=SYN))
        if number % 3 == 0:
            fleet.send(2 + 0.1 * number + 1e-3, segment(0, 0, 700 + number, C, A, ports=ports[::-1], flags=RST_ACK,
                                                        ack=1000 * number + 6), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary)
    asked: dict[tuple[str, str, str, str], int] = {}
    for entry in summary["unanswered"]:
        key = (entry["kind"], entry["outcome"], entry["last"]["host"], entry["last"]["device"])
        asked[key] = asked.get(key, 0) + entry["packets"]
    true = {("echo request", "arrived", "hv-b", "vnet0"): 29, ("SYN", "arrived", "hv-b", "vnet0"): 6}
    if asked != true or "29 echo requests got no answer" not in verdict or "6 SYNs got no answer" not in verdict:
        out.append("29 echo requests and 6 SYNs arrived and got no answer; it says %s" % asked)
    return out
