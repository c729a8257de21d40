# SPDX-License-Identifier: Apache-2.0
"""Two containers of hv-a talk to each other through its bridge; one echoes what the other one asks.

Each has an eth0, joined to the bridge by a veth. A question stays in one sk_buff until the echoing socket has read it,
which is freed unseen; the answer is in the same memory, with the same payload and no IP id. Every fourth question is
dropped by hv-a's filter. hv-a has a VM, too, so that any device that is not a VM's may lead to another host, but these.
"""
from pathlib import Path

from truth.bundle import NETFILTER, NETFILTER_DROP
from truth.fleet import talking
from truth.packets import ethernet, ipv4, udp
from truth.truth import Summary, flow_count, lost_at

POD_1, POD_2 = "10.9.0.1", "10.9.0.2"
SPACES = {4026533111: "pod-1", 4026533222: "pod-2"}
OUTER = (8, 9)
INNER = 2


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    for number, (inode, name) in enumerate(SPACES.items()):
        host.manifest["netns"][str(inode)] = name
        host.device(OUTER[number], "veth%d" % OUTER[number], "veth")
        host.device(INNER, "eth0", "veth", netns=inode)
        host.manifest["devices"][-2]["link"], host.manifest["devices"][-1]["link"] = INNER, OUTER[number]
    for number in range(100):
        second, skb = 1 + 0.01 * number, host.skb()
        for there in (True, False):
            source, target = (POD_1, POD_2) if there else (POD_2, POD_1)
            ports = (6000, 5000) if there else (5000, 6000)
            one, two = (0, 1) if there else (1, 0)
            spaces = list(SPACES)
            packet = ethernet(ipv4(source, target, udp(*ports, 64), ident=0))
            seen = {"data_len": 0, "payload_hash": 77 + number}
            host.seen(second, "dev.tx", INNER, packet, skb, netns=spaces[one], **seen)
            host.seen(second + 3e-6, "dev.rx", OUTER[one], packet, skb, **seen)
            if number % 4 == 3:
                host.drop(second + 6e-6, OUTER[two], packet, skb, NETFILTER, NETFILTER_DROP)
                break
            host.seen(second + 7e-6, "dev.tx", OUTER[two], packet, skb, **seen)
            host.seen(second + 9e-6, "dev.rx", INNER, packet, skb, netns=spaces[two], **seen)
            second += 40e-6
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (flow_count(summary, POD_1 + ":6000 >", 100, 100) + flow_count(summary, POD_2 + ":5000 >", 75, 75)
            + lost_at(summary, 25, "hv-a veth9", words=POD_1))
