# SPDX-License-Identifier: Apache-2.0
"""Faults of netfilter: rules that drop in every hook, connections that conntrack does not like."""
from support.bundles import ipv4, udp

from .frames import addressed, send
from .scene import COUNT, FAR, PORT, Scene, routed
from .truth import Loss, counted, drop


def rule(family: str, hook: str, match: str = f"udp dport {PORT} numgen inc mod 5 0 counter drop",
         priority: str = "0") -> str:
    """A rule set of one rule that drops, by default every fifth datagram, and counts what it drops."""
    return f"""
table {family} known {{
  chain known {{
    type filter hook {hook} priority {priority}
    {match}
  }}
}}
"""


def _bridged(scene: Scene, family: str, hook: str, device: str, function: str, reason: str) -> list[Loss]:
    """Every fifth datagram is dropped on its way over hv-b's bridge."""
    with scene.hv_b.nft(rule(family, hook)), scene.receiver(COUNT - COUNT // 5) as server, scene.window():
        scene.send()
        assert server.wait()["distinct"] == COUNT - COUNT // 5
        return [drop("hv-b", device, function, reason, counted(scene.hv_b))]


def bridge_forward(scene: Scene) -> list[Loss]:
    """nft: bridge family, forward."""
    return _bridged(scene, "bridge", "forward", "vnet0", "nft_do_chain", "NETFILTER_DROP")


def bridge_prerouting(scene: Scene) -> list[Loss]:
    """nft: bridge family, prerouting: the packet is still at the port where it came in."""
    return _bridged(scene, "bridge", "prerouting", "eth0", "nft_do_chain", "NETFILTER_DROP")


def bridge_postrouting(scene: Scene) -> list[Loss]:
    """nft: bridge family, postrouting."""
    return _bridged(scene, "bridge", "postrouting", "vnet0", "nft_do_chain", "NETFILTER_DROP")


def device_ingress(scene: Scene) -> list[Loss]:
    """nft: netdev family, ingress of hv-b's NIC."""
    return _bridged(scene, "netdev", "ingress device eth0", "eth0", "nft_do_chain", "NETFILTER_DROP")


def device_egress(scene: Scene) -> list[Loss]:
    """nft: netdev family, egress of hv-a's NIC."""
    with scene.hv_a.nft(rule("netdev", "egress device eth0")), scene.receiver(COUNT - COUNT // 5) as server, \
            scene.window():
        scene.send()
        assert server.wait()["distinct"] == COUNT - COUNT // 5
        return [drop("hv-a", "eth0", "nft_do_chain", "NETFILTER_DROP", counted(scene.hv_a))]


def forward(scene: Scene) -> list[Loss]:
    """nft: forward of a packet that hv-b routes."""
    with routed(scene) as far, scene.hv_b.nft(rule("inet", "forward")), \
            FAR.serve("udp", far, PORT, count=COUNT - COUNT // 5) as server, scene.window():
        scene.send(to=far)
        assert server.wait()["distinct"] == COUNT - COUNT // 5
        return [drop("hv-b", "br0", "nft_do_chain", "NETFILTER_DROP", counted(scene.hv_b))]


def incoming(scene: Scene) -> list[Loss]:
    """nft: input of hv-b itself."""
    kept = COUNT - COUNT // 5
    with routed(scene), scene.hv_b.nft(rule("inet", "input")), \
            scene.hv_b.serve("udp", "192.168.32.254", PORT, count=kept) as server, scene.window():
        scene.send(to="192.168.32.254")
        assert server.wait()["distinct"] == kept
        return [drop("hv-b", "br0", "nft_do_chain", "NETFILTER_DROP", counted(scene.hv_b))]


REFUSED_SEND = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect((sys.argv[1], int(sys.argv[2])))
refused = 0
for number in range(int(sys.argv[3])):
    try:
        sender.send(number.to_bytes(4, "big") + bytes(60))
    except PermissionError:
        refused += 1
print(refused)
"""


def outgoing(scene: Scene) -> list[Loss]:
    """nft: output of hv-b itself; the sender is told."""
    kept = COUNT - COUNT // 5
    address = scene.lab.address("vm-a")
    with routed(scene), scene.hv_b.nft(rule("inet", "output")), \
            scene.vm_a.serve("udp", address, PORT, count=kept) as server, scene.window():
        refused = int(scene.hv_b.python(REFUSED_SEND, address, PORT, COUNT).stdout)
        assert server.wait()["distinct"] == kept
        assert refused == counted(scene.hv_b)
        return [drop("hv-b", "-", "nft_do_chain", "NETFILTER_DROP", refused)]


def conntrack_invalid(scene: Scene) -> list[Loss]:
    """conntrack: datagrams whose UDP length is wrong are invalid to it."""
    bad = COUNT // 10
    with routed(scene) as far, scene.hv_b.nft(rule("inet", "forward", "ct state invalid counter drop")), \
            FAR.serve("udp", far, PORT, count=COUNT - bad) as server, scene.window():
        source, mac = scene.lab.address("vm-a"), "02:77:00:00:00:02"
        frames = []
        for number in range(COUNT):
            payload = bytearray(udp(40000, PORT, number.to_bytes(4, "big").ljust(64, b"x")))
            if number % 10 == 3:
                payload[4:6] = (200).to_bytes(2, "big")
            frames.append(addressed(ipv4(source, far, bytes(payload), ident=number + 1), mac))
        send(scene.vm_a, frames)
        assert server.wait()["distinct"] == COUNT - bad
        assert counted(scene.hv_b) == bad
        return [drop("hv-b", "br0", "nft_do_chain", "NETFILTER_DROP", bad)]
