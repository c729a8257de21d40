# SPDX-License-Identifier: Apache-2.0
"""A full connection tracking table, filled through netlink: its size is the machine's and is not changed by a test."""
import contextlib
import pathlib
from collections.abc import Iterator

from .netfilter import rule
from .scene import COUNT, FAR, PORT, Scene, routed
from .truth import Loss, drop

LIMIT = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
MOST = 500_000  # entries that a test fills in reasonable time

# Runs in hv-b. Entries are made as "assured", which is what is not pushed out for a newcomer.
FILL = """
import socket, struct, sys
want = int(sys.argv[1])
NETLINK_NETFILTER, NEW, FLAGS = 12, 1 << 8, 0x1 | 0x400 | 0x200
def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
def nest(kind, *parts):
    return attribute(kind | 0x8000, b"".join(parts))
def side(kind, source, target, sport, dport):
    return nest(kind, nest(1, attribute(1, source), attribute(2, target)),
                nest(2, attribute(1, bytes([17])), attribute(2, struct.pack("!H", sport)),
                     attribute(3, struct.pack("!H", dport))))
def entry(number):
    one, other = socket.inet_aton("10.99.0.1"), struct.pack("!I", 0x0A620000 + (number >> 15))
    sport = 1024 + (number & 0x7FFF)
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + side(1, one, other, sport, 9) + side(2, other, one, 9, sport)
    body += attribute(3, struct.pack("!I", 0x0E)) + attribute(7, struct.pack("!I", 120))
    return struct.pack("=IHHII", 16 + len(body), NEW, FLAGS, number, 0) + body
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
link.setsockopt(socket.SOL_SOCKET, 32, 8 << 20)
for start in range(0, want, 500):
    link.send(b"".join(entry(number) for number in range(start, min(start + 500, want))))
"""


@contextlib.contextmanager
def _full(scene: Scene) -> Iterator[None]:
    """hv-b's table, full."""
    limit = int(LIMIT.read_text())
    assert limit <= MOST, f"this machine's {LIMIT} is {limit}: too many to fill in a test"
    count = "/proc/sys/net/netfilter/nf_conntrack_count"
    scene.hv_b.python(FILL, limit)
    scene.until(lambda: int(scene.hv_b.run(["cat", count]).stdout), limit, "entries in hv-b's table")
    try:
        yield
    finally:
        scene.hv_b.python(FLUSH)


# Deletes all entries: a delete message that names none.
FLUSH = """
import socket, struct
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
link.send(struct.pack("=IHHII", 20, (1 << 8) | 2, 0x1, 1, 0) + struct.pack("=BBH", socket.AF_INET, 0, 0))
"""


def table_full(scene: Scene) -> list[Loss]:
    """hv-b tracks connections, and its table is full: each datagram is a new connection and is dropped."""
    with routed(scene) as far, scene.hv_b.nft(rule("inet", "forward", "ct state invalid counter drop")), \
            FAR.serve("udp", far, PORT), _full(scene), scene.window():
        before = _early(scene)
        scene.send(COUNT, to=far)
        scene.until(lambda: _early(scene) - before, COUNT, "datagrams that the table had no room for")
        return [drop("hv-b", "br0", "nf_hook_slow", "NETFILTER_DROP", _early(scene) - before)]


def _early(scene: Scene) -> int:
    """Packets dropped because the table was full: `drop` of /proc/net/stat/nf_conntrack, over all CPUs."""
    lines = scene.hv_b.run(["cat", "/proc/net/stat/nf_conntrack"]).stdout.splitlines()
    column = lines[0].split().index("drop")
    return sum(int(line.split()[column], 16) for line in lines[1:])
