# SPDX-License-Identifier: Apache-2.0
"""Faults of a host that routes: hv-b between vm-a's subnet and another one."""
import contextlib

from support.lab import wait_until

from .frames import addressed, datagram, send
from .scene import COUNT, FAR, PORT, Scene, routed
from .truth import Loss, drop, snmp

GATEWAY_MAC = "02:77:00:00:00:02"
UNKNOWN = COUNT // 6   # packets that meet the fault; the rest is well


def _rose(scene: Scene, before: dict, name: str, expected: int) -> int:
    """How far one of hv-b's own IP counters went up, when it has gone up as far as expected."""
    def rose() -> int:
        now = {protocol: snmp(scene.hv_b, protocol) for protocol in ("Ip", "IpExt", "TcpExt")}
        return next(counters[name] for counters in now.values() if name in counters) - before[name]
    return scene.until(rose, expected, f"{name} of hv-b")


def no_route(scene: Scene) -> list[Loss]:
    """hv-b has no route to the target."""
    with routed(scene), scene.changed(scene.vm_a, "ip route add 192.168.34.0/24 via 192.168.32.254",
                                      "ip route del 192.168.34.0/24"), scene.window():
        before = snmp(scene.hv_b, "IpExt")
        scene.send(UNKNOWN, to="192.168.34.10")
        return [drop("hv-b", "br0", "ip_error", "IP_INNOROUTES", _rose(scene, before, "InNoRoutes", UNKNOWN))]


def ttl_expired(scene: Scene) -> list[Loss]:
    """Every sixth datagram arrives at the router with a TTL of 1."""
    with routed(scene) as far, FAR.serve("udp", far, PORT, count=COUNT - UNKNOWN) as server, scene.window():
        before = snmp(scene.hv_b, "Ip")
        frames = [addressed(datagram("192.168.32.10", far, number, ttl=1 if number % 6 == 0 else 64), GATEWAY_MAC)
                  for number in range(COUNT)]
        send(scene.vm_a, frames)
        assert server.wait()["distinct"] == COUNT - UNKNOWN
        return [drop("hv-b", "br0", "ip_forward", "IP_INHDR", _rose(scene, before, "InHdrErrors", UNKNOWN))]


def too_big(scene: Scene) -> list[Loss]:
    """The way out of hv-b has an MTU of 1,000; every sixth datagram is larger and may not be fragmented."""
    with routed(scene) as far, scene.changed(scene.hv_b, "ip link set rt0 mtu 1000", "ip link set rt0 mtu 1500"), \
            FAR.serve("udp", far, PORT, count=COUNT - UNKNOWN) as server, scene.window():
        before = snmp(scene.hv_b, "Ip")
        frames = []
        for number in range(COUNT):
            packet = bytearray(datagram("192.168.32.10", far, number, size=1200 if number % 6 == 0 else 64))
            packet[6] |= 0x40  # do not fragment
            frames.append(addressed(bytes(packet), GATEWAY_MAC))
        send(scene.vm_a, frames)
        assert server.wait()["distinct"] == COUNT - UNKNOWN
        return [drop("hv-b", "br0", "ip_forward", "PKT_TOO_BIG", _rose(scene, before, "FragFails", UNKNOWN))]


def _checksums(scene: Scene, far: str) -> None:
    """Datagrams to the far subnet, every sixth with a wrong IP header checksum."""
    frames = []
    for number in range(COUNT):
        frame = bytearray(addressed(datagram(scene.lab.address("vm-a"), far, number), GATEWAY_MAC))
        frame[24] ^= 0xFF if number % 6 == 0 else 0
        frames.append(bytes(frame))
    send(scene.vm_a, frames)


def bad_checksum(scene: Scene) -> list[Loss]:
    """Wrong IP header checksums reach the router: bridges do not look at them when they are set not to."""
    with routed(scene) as far, contextlib.ExitStack() as settings, \
            FAR.serve("udp", far, PORT, count=COUNT - UNKNOWN) as server:
        for place in (scene.hv_a, scene.wire, scene.hv_b):
            settings.enter_context(scene.sysctl(place, "net/bridge/bridge-nf-call-iptables", 0))
        before = snmp(scene.hv_b, "IpExt")
        with scene.window():
            _checksums(scene, far)
            assert server.wait()["distinct"] == COUNT - UNKNOWN
        return [drop("hv-b", "br0", "ip_rcv_core", "IP_CSUM", _rose(scene, before, "InCsumErrors", UNKNOWN))]


def bad_checksum_at_bridge(scene: Scene) -> list[Loss]:
    """Wrong IP header checksums meet a bridge that calls iptables: hv-a's, long before the router."""
    with routed(scene) as far, FAR.serve("udp", far, PORT, count=COUNT - UNKNOWN) as server, scene.window():
        passed = scene.hv_a.counters("eth0")["tx_packets"]
        _checksums(scene, far)
        assert server.wait()["distinct"] == COUNT - UNKNOWN
        assert scene.hv_a.counters("eth0")["tx_packets"] - passed <= COUNT - UNKNOWN + 2  # and, perhaps, ARP
        return [drop("hv-a", "vnet0", "br_nf_pre_routing", "IP_INHDR", UNKNOWN)]


def reverse_path(scene: Scene) -> list[Loss]:
    """Every sixth datagram has a source address that hv-b would reach another way: rp_filter."""
    with routed(scene) as far, scene.sysctl(scene.hv_b, "net/ipv4/conf/br0/rp_filter", 1), \
            FAR.serve("udp", far, PORT, count=COUNT - UNKNOWN) as server, scene.window():
        before = snmp(scene.hv_b, "TcpExt")
        frames = [addressed(datagram("192.168.33.77" if number % 6 == 0 else "192.168.32.10", far, number),
                            GATEWAY_MAC) for number in range(COUNT)]
        send(scene.vm_a, frames)
        assert server.wait()["distinct"] == COUNT - UNKNOWN
        return [drop("hv-b", "br0", "ip_rcv_finish_core", "IP_RPFILTER",
                     _rose(scene, before, "IPReversePathFilter", UNKNOWN))]


def neighbour_unresolved(scene: Scene) -> list[Loss]:
    """Nobody answers hv-b's ARP requests for the target. (arp_error_report frees in a tail call: the kernel names its
    caller.)"""
    few = 30  # the queue of an unresolved neighbour holds them all
    with routed(scene), scene.sysctl(scene.hv_b, "net/ipv4/neigh/rt0/retrans_time_ms", 100), scene.window():
        scene.send(few, to="192.168.33.99")
        wait_until(lambda: "FAILED" in scene.hv_b.run(["ip", "neigh", "show", "192.168.33.99"]).stdout,
                   "the neighbour's failure")
    scene.capture.require("hv-b", "skb.drop", few)
    return [drop("hv-b", "rt0", "neigh_invalidate", "NEIGH_FAILED", few)]


def blackhole(scene: Scene) -> list[Loss]:
    """A blackhole route on hv-b."""
    with routed(scene), scene.changed(scene.hv_b, "ip route add blackhole 192.168.34.0/24",
                                      "ip route del blackhole 192.168.34.0/24"), \
            scene.changed(scene.vm_a, "ip route add 192.168.34.0/24 via 192.168.32.254",
                          "ip route del 192.168.34.0/24"), scene.window():
        before = scene.hv_b.counters("br0")["rx_packets"]
        scene.send(UNKNOWN, to="192.168.34.10")
        scene.until(lambda: scene.hv_b.counters("br0")["rx_packets"] - before, UNKNOWN, "datagrams at hv-b")
        return [drop("hv-b", "br0", "ip_error", "NOT_SPECIFIED", UNKNOWN)]
