# SPDX-License-Identifier: Apache-2.0
"""Faults inside a VM, whose own network is captured as a third host."""
import subprocess

from support.bundles import ipv4, udp

from .frames import addressed, checksum, datagram, send
from .netfilter import REFUSED_SEND, rule
from .scene import COUNT, PORT, Scene
from .truth import Loss, counted, drop, snmp

VM_B_MAC = "52:54:00:32:00:14"
READS_WHEN_TOLD = """
import socket, sys
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
reader.bind((sys.argv[1], int(sys.argv[2])))
reader.setblocking(False)
print("ready", flush=True)
sys.stdin.readline()
count = 0
try:
    while True:
        reader.recv(4096)
        count += 1
except BlockingIOError:
    print(count)
"""


def _arrive(scene: Scene, frames: list[bytes]) -> None:
    """Send frames from vm-a; returns when all have arrived at vm-b's device."""
    before = scene.vm_b.counters("eth0")["rx_packets"]
    send(scene.vm_a, frames)
    scene.until(lambda: scene.vm_b.counters("eth0")["rx_packets"] - before, len(frames), "datagrams at vm-b")


def _datagrams(scene: Scene) -> list[bytes]:
    return [addressed(datagram(scene.lab.address("vm-a"), scene.vm_b_address, number), VM_B_MAC)
            for number in range(COUNT)]


def socket_full(scene: Scene) -> list[Loss]:
    """The receiver in vm-b does not read: its socket's buffer fills."""
    reader = scene.vm_b.popen(["/usr/bin/python3", "-c", READS_WHEN_TOLD, scene.vm_b_address, PORT],
                              stdin=subprocess.PIPE)
    try:
        assert reader.stdout.readline() == "ready\n"
        with scene.window():
            before = snmp(scene.vm_b, "Udp")["RcvbufErrors"]
            _arrive(scene, _datagrams(scene))
            received, _ = reader.communicate("read\n", timeout=10)
            dropped = snmp(scene.vm_b, "Udp")["RcvbufErrors"] - before
            assert dropped
            assert int(received) == COUNT - dropped
        return [drop("vm-b", "eth0", "udp_queue_rcv_one_skb", "SOCKET_RCVBUFF", dropped)]
    finally:
        reader.kill()
        reader.communicate()


def no_socket(scene: Scene) -> list[Loss]:
    """Nobody listens in vm-b."""
    with scene.window():
        before = snmp(scene.vm_b, "Udp")["NoPorts"]
        _arrive(scene, _datagrams(scene))
        rose = scene.until(lambda: snmp(scene.vm_b, "Udp")["NoPorts"] - before, COUNT, "datagrams without a socket")
        return [drop("vm-b", "eth0", "__udp4_lib_rcv", "NO_SOCKET", rose)]


def udp_checksum(scene: Scene) -> list[Loss]:
    """Every sixth datagram has a wrong UDP checksum."""
    source, bad = scene.lab.address("vm-a"), COUNT // 6
    frames = []
    for number in range(COUNT):
        payload = bytearray(udp(40000, PORT, number.to_bytes(4, "big").ljust(64, b"x")))
        packet = ipv4(source, scene.vm_b_address, bytes(payload), ident=number + 1)
        pseudo = packet[12:20] + bytes([0, 17]) + len(payload).to_bytes(2, "big")
        right = checksum(pseudo + bytes(payload))
        payload[6:8] = (right ^ 0x0101 if number % 6 == 0 else right).to_bytes(2, "big")
        frames.append(addressed(packet[:20] + bytes(payload), VM_B_MAC))
    with scene.receiver(COUNT - bad) as server, scene.window():
        before = snmp(scene.vm_b, "Udp")["InCsumErrors"]
        _arrive(scene, frames)
        assert server.wait()["distinct"] == COUNT - bad
        rose = scene.until(lambda: snmp(scene.vm_b, "Udp")["InCsumErrors"] - before, bad, "checksum errors")
        return [drop("vm-b", "eth0", "__udp4_lib_rcv", "UDP_CSUM", rose)]


def firewall(scene: Scene) -> list[Loss]:
    """nft: input of vm-b."""
    kept = COUNT - COUNT // 5
    with scene.vm_b.nft(rule("inet", "input")), scene.receiver(kept) as server, scene.window():
        scene.send()
        assert server.wait()["distinct"] == kept
        return [drop("vm-b", "eth0", "nft_do_chain", "NETFILTER_DROP", counted(scene.vm_b))]


def own_firewall(scene: Scene) -> list[Loss]:
    """nft: output of vm-a; the sender is told."""
    kept = COUNT - COUNT // 5
    with scene.vm_a.nft(rule("inet", "output")), scene.receiver(kept) as server, scene.window():
        refused = int(scene.vm_a.python(REFUSED_SEND, scene.vm_b_address, PORT, COUNT).stdout)
        assert server.wait()["distinct"] == kept
        assert refused == counted(scene.vm_a)
        return [drop("vm-a", "-", "nft_do_chain", "NETFILTER_DROP", refused)]
