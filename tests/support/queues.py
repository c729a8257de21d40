# SPDX-License-Identifier: Apache-2.0
"""Queues with known numbers of packets in them, and what the kernel itself counts there."""
import contextlib
import json
import pathlib
from collections.abc import Iterator

from .lab import Netns

# Frames of 34 bytes and more: an IPv4 header whose id is the packet's number, and zeros.
FRAMES = """
import socket, struct
PROTOCOL = 253
def frame(number, size=200, source=1):
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, size - 14, number, 0, 64, PROTOCOL, 0, 0x0A000000 + source, 0x0A0000FE)
    return bytes(6) + bytes.fromhex("020000000001") + bytes.fromhex("0800") + ip + bytes(size - 34)
def send(link, number, **how):
    try:
        link.send(frame(number, **how))
    except OSError as error:  # the qdisc dropped it
        assert error.errno == 105, error
def link_to(device):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    link.bind((device, 0))
    return link
"""

# taps of a process: `open_tap` returns a descriptor for one more queue of the device
TAPS = FRAMES + """
import fcntl, os, subprocess, time
def open_tap(name, flags):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH", name.encode(), flags))
    return tap
def until_active(name):
    # The qdisc is shown from the start; packets reach it once the carrier's event has been worked through, which
    # is done under the lock that this question takes (linkwatch_do_dev: the state, then dev_activate).
    while b"state UP" not in subprocess.check_output(["ip", "link", "show", "dev", name]):
        time.sleep(0.005)
"""

# one datagram for the sender, and many packets, all handed on before anything else happens on its CPU
BURST = """
import os, socket, sys
os.sched_setaffinity(0, {int(sys.argv[2])})
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
size, count = 500, int(sys.argv[1])
out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
out.setsockopt(socket.IPPROTO_UDP, 103, size)  # UDP_SEGMENT
out.sendto(bytes(size * count), ("10.99.0.2", 9))
"""
ADDRESSES = ("ip address add 10.99.0.1/24 dev {0}", "ip link set {0} up",
             "ip neighbour add 10.99.0.2 lladdr 02:00:00:00:00:99 dev {0}")


@contextlib.contextmanager
def devices(place: Netns, names: str, *commands: str) -> Iterator[None]:
    """Devices made by these commands while the block runs; names: those that are to be removed."""
    place.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])  # nothing of its own is sent there
    for words in commands:
        place.run(words.split())
    try:
        yield
    finally:
        for name in names.split():
            place.run(["ip", "link", "del", name])
        place.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0"])


def qdisc(place: Netns, device: str) -> dict:
    """What the kernel's own counters say of a device's first qdisc: qlen, backlog, packets, drops."""
    return json.loads(place.run(["tc", "-s", "-j", "qdisc", "show", "dev", device]).stdout)[0]


def fills(records: list[dict], point: str) -> list[tuple]:
    """The queues that packets met at a point, as (length, limit), in the order of time."""
    return [(one["queue"]["length"], one["queue"]["limit"]) for one in records
            if one["point"] == point and "queue" in one]


def softnet_drops() -> int:
    """How many packets all CPUs had no room for in their backlogs."""
    return sum(int(line.split()[1], 16) for line in pathlib.Path("/proc/net/softnet_stat").read_text().splitlines())
