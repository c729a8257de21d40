# SPDX-License-Identifier: Apache-2.0
"""A sends 20 datagrams to its network's broadcast address, 20 to a multicast group, and pings that group 5 times. B
gets them all; both hosts' bridges hand a copy to their own stacks, which have no route for it. B answers the pings.

Nobody misses anything: who answers a ping to many does so from his own address, and a hypervisor takes no part.
"""
from pathlib import Path

from truth.bundle import NOT_SPECIFIED, ROUTING
from truth.fleet import talking
from truth.packets import A, B, datagram, echo, ethernet, icmp, ipv4
from truth.truth import Summary, flow_count, has_words

BR0 = 6
ALL, GROUP = "192.168.32.255", "239.1.2.3"
BROADCAST, MULTICAST = 1, 2     # skb->pkt_type


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(BR0, "br0", "bridge")

    def send(second: float, packet: bytes, kind: int) -> None:
        for host, begin, own in fleet.to_all(second, packet, pkt_type=kind):
            host.seen(begin + 10e-6, "dev.rx", BR0, packet, own, pkt_type=kind)
            host.drop(begin + 11e-6, BR0, packet, own, ROUTING, NOT_SPECIFIED, pkt_type=kind)

    for number in range(20):
        send(1 + 0.3 * number, datagram(number, A, ALL), BROADCAST)
        send(1.1 + 0.3 * number, datagram(number, A, GROUP), MULTICAST)
    for number in range(5):
        send(7.5 + 0.1 * number, echo(number, A, GROUP, ident=900 + number, asker=7), MULTICAST)
        answer = ethernet(ipv4(B, A, icmp(0, 0, 7, number), protocol=1, ident=950 + number))
        fleet.send(7.5 + 0.1 * number + 2e-4, answer, way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    missed = [loss for loss in summary["losses"] if not loss.get("harmless")]
    return (has_words(verdict, "0 were lost") + flow_count(summary, ALL, 20, 20)
            + ["%s is no loss" % loss["flow"] for loss in missed]
            + ["%s is answered" % entry["flow"] for entry in summary["unanswered"]])
