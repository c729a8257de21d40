# SPDX-License-Identifier: Apache-2.0
"""What hv-a learns, by ICMP, of the way to the other end of its tunnel, and should not have."""
import contextlib
import json
import struct
from collections.abc import Iterator

from support.bundles import ipv4
from support.lab import wait_until

from .bridge import VM_B_MAC
from .frames import addressed, checksum, datagram, send
from .kinds import tunnel
from .scene import RATE, TALK_PORT, Scene

HERE, THERE, ROUTER = "10.88.0.1", "10.88.0.2", "10.88.0.254"
BEHIND = "10.89.0.2"    # the other end again, behind a gateway
SIZE = 1200
VM_A_MAC = "52:54:00:32:00:0a"
SAYS = """
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
link.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 0))
"""


def _about(kind: int, code: int, word: bytes, target: str) -> str:
    """An ICMP message about a packet of the tunnel from hv-a to a target, in hexadecimal."""
    outer = struct.pack("!HHHHBBHI", 50000, 4789, 1400, 0, 8, 0, 0, 42 << 8)
    message = struct.pack("!BBH4s", kind, code, 0, word) + addressed(ipv4(HERE, target, outer), VM_B_MAC)[14:]
    return (message[:2] + checksum(message).to_bytes(2, "big") + message[4:]).hex()


def cached(scene: Scene) -> list[dict]:
    """The routes that hv-a has cached."""
    return json.loads(scene.hv_a.run(["ip", "-j", "route", "show", "cache"]).stdout or "[]")


@contextlib.contextmanager
def on_the_wire(scene: Scene) -> Iterator[None]:
    """The wire has an address of the underlay, and answers for it."""
    address = ["addr", "add", ROUTER + "/24", "dev", scene.lab.status()["wire_bridge"]]
    scene.wire.run(["ip", *address])
    try:
        yield
    finally:
        scene.wire.run(["ip", "addr", "del", *address[2:]], check=False)


@contextlib.contextmanager
def small_path(scene: Scene, mtu: int, fragment: str) -> Iterator[None]:
    """A tunnel of which the wire has told hv-a that only packets of so many bytes fit. fragment: whether the tunnel's
    own packets may not be fragmented (set), or may (unset)."""
    with tunnel(scene), on_the_wire(scene):
        scene.hv_a.run(["ip", "link", "set", "vxlan0", "type", "vxlan", "df", fragment])
        scene.wire.python(SAYS, HERE, _about(3, 4, struct.pack("!HH", 0, mtu), THERE))
        scene.talk()
        wait_until(lambda: [row["metrics"] for row in cached(scene)] == [[{"mtu": mtu}]], "hv-a believes it")
        yield


@contextlib.contextmanager
def redirected(scene: Scene) -> Iterator[None]:
    """A tunnel to hv-b by a gateway, hv-b itself, which has told hv-a that the wire is a better one."""
    with tunnel(scene, BEHIND), on_the_wire(scene), scene.sysctl(scene.hv_a, "net/ipv4/conf/eth0/accept_redirects", 1):
        scene.hv_a.run(["ping", "-q", "-c", "1", "-W", "1", ROUTER])    # only a gateway that answers is believed
        scene.hv_b.python(SAYS, HERE, _about(5, 1, bytes(map(int, ROUTER.split("."))), BEHIND))
        scene.send_anyhow(scene.vm_b_address, 1)
        wait_until(lambda: [row["gateway"] for row in cached(scene)] == [ROUTER], "hv-a believes it")
        yield


def arrive(scene: Scene, count: int, *, whole: bool, size: int = SIZE) -> None:
    """Send datagrams from vm-a; returns when all have come to hv-a. whole: they may not be fragmented."""
    before = scene.hv_a.counters("vnet0")["rx_packets"]
    frames = []
    for number in range(count):
        packet = bytearray(datagram("192.168.32.10", scene.vm_b_address, number, size=size))
        packet[6] |= 0x40 if whole else 0
        frames.append(addressed(bytes(packet), VM_B_MAC))
    send(scene.vm_a, frames)
    scene.until(lambda: scene.hv_a.counters("vnet0")["rx_packets"] - before, count, "datagrams at hv-a")


def to_vm_a(scene: Scene, count: int = 20) -> None:
    """Datagrams the other way, which nothing misleads: they show that hv-b is recording. Answers would be misled."""
    address = scene.lab.address("vm-a")
    scene.vm_b.run(["ip", "neigh", "replace", address, "lladdr", VM_A_MAC, "nud", "permanent", "dev", "eth0"])
    with scene.vm_a.serve("udp", address, TALK_PORT, count=count) as server:
        scene.vm_b.send("udp", address, TALK_PORT, count=count, rate=RATE)
        assert server.wait()["distinct"] == count
    scene.vm_b.run(["ip", "neigh", "replace", address, "lladdr", VM_A_MAC, "nud", "stale", "dev", "eth0"])


@contextlib.contextmanager
def gone(scene: Scene) -> Iterator[None]:
    """The gateway to which hv-a was redirected answers no more."""
    scene.wire.run(["ip", "addr", "del", ROUTER + "/24", "dev", scene.lab.status()["wire_bridge"]])
    scene.hv_a.run(["ip", "neigh", "flush", "dev", "eth0"])
    with scene.sysctl(scene.hv_a, "net/ipv4/neigh/eth0/retrans_time_ms", 100):
        yield
        show = ["ip", "neigh", "show", ROUTER]
        wait_until(lambda: "FAILED" in scene.hv_a.run(show).stdout, "the neighbour's failure")
