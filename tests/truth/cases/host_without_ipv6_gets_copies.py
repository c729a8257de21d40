# SPDX-License-Identifier: Apache-2.0
"""A asks for B by neighbour solicitations, which B answers. Both hosts' bridges keep a copy of each question for their
own stacks, which have no IPv6, and drop it. A also sends 5 datagrams to hv-b's own address there, which get lost.

The hosts miss no question that was for many. What was for hv-b alone, it misses.
"""
from pathlib import Path

from truth.bundle import ETH0, FORWARD, IPV6DISABLED
from truth.fleet import talking
from truth.packets import ethernet, icmp, ipv6, udp
from truth.truth import Summary, has_words, stated_at

BR0 = 6
ASKER, NEIGHBOUR, HOST = "fd00:32::10", "fd00:32::20", "fd00:32::b"


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(BR0, "br0", "bridge")
    question = ethernet(ipv6(ASKER, "ff02::1:ff00:20", icmp(135, 0, payload=16), protocol=58, ttl=255), 0x86DD)
    answer = ethernet(ipv6(NEIGHBOUR, ASKER, icmp(136, 0, payload=16), protocol=58, ttl=255), 0x86DD)
    for number in range(20):
        second = 1 + 0.3 * number
        for host, begin, own in fleet.to_all(second, question):
            host.seen(begin + 10e-6, "dev.rx", BR0, question, own, pkt_type=3)
            host.drop(begin + 11e-6, BR0, question, own, FORWARD, IPV6DISABLED, pkt_type=3)
        fleet.send(second + 1e-3, answer, way="back")
    for number in range(5):
        second, packet = 8 + 0.1 * number, ethernet(ipv6(ASKER, HOST, udp(40000, 5001, 64 + number)), 0x86DD)
        fleet.out(fleet.a, second, packet)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        fleet.b.seen(second + 60e-6, "dev.rx", BR0, packet, skb)
        fleet.b.drop(second + 61e-6, BR0, packet, skb, FORWARD, IPV6DISABLED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    missed = [loss for loss in summary["losses"] if "ff02::1:ff00:20" in loss["flow"] and not loss.get("harmless")]
    return (stated_at(summary, 5, "hv-b br0", words=HOST) + has_words(verdict, "in 5 flows, 5 were lost.")
            + ["%s is no loss" % loss["flow"] for loss in missed])
