# SPDX-License-Identifier: Apache-2.0
"""Packets that are harder to recognise at the other end: IPv6, fragments, all alike, in a tunnel, translated."""
import contextlib
from collections.abc import Iterator

from support.lab import wait_until

from .scene import COUNT, FAR, PORT, Scene, routed
from .truth import Loss, counted, drop, snmp, vanished
from .wire import A_TO_B, lossy

ALIKE = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[3])):
    sender.sendto(b"the same every time", (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.0005)
"""


def _arrived(scene: Scene, before: int, expected: int) -> None:
    scene.until(lambda: scene.hv_b.counters("vnet0")["tx_packets"] - before, expected, "packets at vnet0")


def ipv6(scene: Scene) -> list[Loss]:
    """Every seventh IPv6 datagram is lost on the wire."""
    address = scene.lab.address("vm-b", 6)
    with scene.wire.nft(lossy(f"udp dport {PORT} numgen inc mod 7 3")), \
            scene.vm_b.serve("udp", address, PORT) as server, scene.window():
        scene.talk(version=6)
        before = scene.hv_b.counters("vnet0")["tx_packets"]
        scene.send(to=address)
        lost = counted(scene.wire)
        _arrived(scene, before, COUNT - lost)
        assert server.stop()["distinct"] == COUNT - lost
        scene.talk(version=6)
        return [vanished(*A_TO_B, lost)]


def fragments(scene: Scene) -> list[Loss]:
    """Datagrams in three fragments each; every seventh fragment is lost on the wire."""
    count = 200
    rule = lossy("ip saddr 192.168.32.10 ip length > 500 numgen inc mod 7 3")
    with scene.wire.nft(rule), scene.receiver(), scene.window():
        scene.talk()
        before = scene.hv_b.counters("vnet0")["tx_packets"]
        scene.send(count, size=4000, rate=2000)
        lost = counted(scene.wire)
        _arrived(scene, before, 3 * count - lost)
        scene.talk()
        return [vanished(*A_TO_B, lost)]


def alike(scene: Scene) -> list[Loss]:
    """Datagrams with the same payload and no IP id; every seventh is lost on the wire."""
    with scene.wire.nft(lossy(f"udp dport {PORT} numgen inc mod 7 3")), scene.receiver(), scene.window():
        scene.talk()
        before = scene.hv_b.counters("vnet0")["tx_packets"]
        scene.vm_a.python(ALIKE, scene.vm_b_address, PORT, COUNT)
        lost = counted(scene.wire)
        _arrived(scene, before, COUNT - lost)
        scene.talk()
        return [vanished(*A_TO_B, lost)]


@contextlib.contextmanager
def tunnel(scene: Scene, behind: str = "") -> Iterator[None]:
    """The VMs' traffic goes through a VXLAN tunnel between the hypervisors. behind: hv-b's end has this address, to
    which hv-a has a route by hv-b's other one."""
    here = scene.lab.here()
    end = behind or "10.88.0.2"
    try:
        for host, address, own, other in (("hv-a", "10.88.0.1", "10.88.0.1", end),
                                          ("hv-b", "10.88.0.2", end, "10.88.0.1")):
            ip = ["ip", "-n", host]
            here.run([*ip, "link", "set", "eth0", "nomaster"])
            here.run([*ip, "addr", "add", address + "/24", "dev", "eth0"])
            if behind:
                here.run([*ip, *(f"addr add {behind}/32 dev eth0" if own == behind else
                                 f"route add {behind}/32 via 10.88.0.2").split()])
            here.run([*ip, "link", "add", "vxlan0", "type", "vxlan", "id", "42", "dstport", "4789", "local", own,
                      "remote", other, "dev", "eth0"])
            here.run([*ip, "link", "set", "vxlan0", "master", "br0", "up"])
        ping = ["ping", "-q", "-c", "1", "-W", "1", scene.vm_b_address]
        wait_until(lambda: scene.vm_a.run(ping, check=False).returncode == 0, "the tunnel")
        yield
    finally:
        for host in ("hv-a", "hv-b"):
            here.run(["ip", "-n", host, "link", "del", "vxlan0"], check=False)
            here.run(["ip", "-n", host, "addr", "flush", "dev", "eth0"], check=False)
            here.run(["ip", "-n", host, "link", "set", "eth0", "master", "br0"], check=False)
        scene.lab.settle()


def in_a_tunnel(scene: Scene) -> list[Loss]:
    """Every seventh packet of a VXLAN tunnel is lost on the wire: once, not once as itself and once as its content."""
    rule = lossy("udp dport 4789 ip length > 200 numgen inc mod 7 3")  # those that carry a datagram of ours
    with tunnel(scene), scene.wire.nft(rule), scene.receiver() as server, scene.window():
        scene.talk()
        before = scene.hv_b.counters("vnet0")["tx_packets"]
        assert counted(scene.wire) == 0
        scene.send(size=200)
        lost = counted(scene.wire)
        _arrived(scene, before, COUNT - lost)
        assert server.stop()["distinct"] == COUNT - lost
        scene.talk()
        return [vanished(*A_TO_B, lost)]


MASQUERADE = """
table ip known {
  chain known {
    type nat hook postrouting priority 100
    oifname "rt0" masquerade
  }
}
"""


def translated(scene: Scene) -> list[Loss]:
    """hv-b translates vm-a's address; behind it, in `far`, which is captured too, nobody listens."""
    with routed(scene) as far, scene.hv_b.nft(MASQUERADE), scene.window():
        before = snmp(FAR, "Udp")["NoPorts"]
        scene.send_anyhow(to=far)
        rose = scene.until(lambda: snmp(FAR, "Udp")["NoPorts"] - before, COUNT, "datagrams without a socket")
        return [drop("far", "eth0", "__udp4_lib_rcv", "NO_SOCKET", rose)]
