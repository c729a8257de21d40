# SPDX-License-Identifier: Apache-2.0
"""A asks for three IPv6 neighbours, four times each, by the groups that their addresses are in; all solicitations come
to hv-b. The first neighbour answers. The second VM is silent. hv-b's bridge passes those for the third on to nobody.

Before it sends from an address, A asks whether somebody has it (its source is ::), which nobody is to answer.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import ethernet, icmp, ipv6
from truth.truth import Summary, lost_nothing

ASKER, SOLICIT, ADVERTISE, ICMPV6 = "fd00:32::10", 135, 136, 58
ANSWERS, SILENT, GONE = "fd00:32::20", "fd00:32::30", "fd00:32::40"


def message(kind: int, source: str, target: str) -> bytes:
    return ethernet(ipv6(source, target, icmp(kind, 0, payload=16), protocol=ICMPV6, ttl=255), 0x86DD)


def make(run_dir: Path) -> None:
    fleet = talking()
    for turn in range(4):
        for number, neighbour in enumerate((ANSWERS, SILENT, GONE)):
            second = 1 + turn + 0.2 * number
            group = "ff02::1:ff00:" + neighbour.rpartition(":")[2]
            question = message(SOLICIT, ASKER, group)
            if neighbour == GONE:
                fleet.out(fleet.a, second, question)
                skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, question)
                fleet.b.free(second + 60e-6, ETH0, question, skb)
            else:
                fleet.send(second, question)
            if neighbour == ANSWERS:
                fleet.send(second + 1e-3, message(ADVERTISE, ANSWERS, ASKER), way="back")
    fleet.send(0.6, message(SOLICIT, "::", "ff02::1:ff00:10"))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_nothing(summary)
    asked = sorted((entry["flow"].split()[2], entry["kind"], entry["outcome"], entry["packets"],
                    entry["last"]["device"]) for entry in summary["unanswered"])
    true = [("ff02::1:ff00:30", "neighbour solicitation", "arrived", 4, "vnet0"),
            ("ff02::1:ff00:40", "neighbour solicitation", "ended", 4, "eth0")]
    if asked != true:
        out.append("the second and the third neighbour did not answer; it says %s" % asked)
    return out
