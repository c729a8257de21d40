# SPDX-License-Identifier: Apache-2.0
"""Ready-made frames, and a packet socket that sends them: for packets that no ordinary sender makes."""
import json

from support.bundles import ethernet, ipv4, udp
from support.lab import Netns

SEND = """
import json, socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0))
for frame in json.load(sys.stdin):
    link.send(bytes.fromhex(frame))
"""


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    total = sum(int.from_bytes(data[at:at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ total


def addressed(packet: bytes, mac: str) -> bytes:
    """A frame to this device for an IPv4 packet whose header checksum is still missing."""
    whole = bytearray(packet)
    whole[10:12] = checksum(packet[:20]).to_bytes(2, "big")
    return bytes.fromhex(mac.replace(":", "")) + ethernet(bytes(whole))[6:]


def datagram(source: str, target: str, number: int, *, port: int = 5001, size: int = 64, ttl: int = 64) -> bytes:
    """A numbered UDP datagram in an IPv4 packet, without checksums; its IP id is its number + 1."""
    return ipv4(source, target, udp(40000, port, number.to_bytes(4, "big").ljust(size, b"x")), ident=number + 1,
                ttl=ttl)


def send(place: Netns, frames: list[bytes]) -> None:
    """Send frames from a VM's eth0."""
    place.run(["/usr/bin/python3", "-c", SEND], input=json.dumps([frame.hex() for frame in frames]))
