# SPDX-License-Identifier: Apache-2.0
"""B's stack gives all its packets the IP id 4711. It sends each acknowledgement twice, 50 us apart, from a host that
was not traced; hv-a's tap drops the second one of 10 of 100.

Those are packets of their own: that only copies were dropped, and no packet was lost, must not be said.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, segment
from truth.truth import Summary, has_no_words, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        packet = segment(1, 0, 4711, B, A, ports=(443, 40000), ack=1 + 1000 * number)
        for second in (1 + 0.05 * number, 1 + 0.05 * number + 50e-6):
            if number % 10 == 5 and second > 1 + 0.05 * number:
                skb = fleet.a.seen(second, "dev.rx", ETH0, packet)
                fleet.a.seen(second + 7e-6, "dev.tx", VNET0, packet, skb)
                fleet.a.drop(second + 8e-6, VNET0, packet, skb)
            else:
                fleet.into(fleet.a, second, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    copies = ["%d drops are said to be of copies" % copy["wire_packets"] for copy in summary["copies"]]
    return (lost_at(summary, 10, "hv-a vnet0", words=B + ":443", doubtful=True) + copies
            + has_no_words(verdict, "No packet was lost"))
