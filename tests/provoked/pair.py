# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces on one wire: `a` sends what it is told to, `b` is an ordinary host that drops some of it."""
import contextlib
import ctypes
import os
import select
import shlex
import socket
import subprocess
from collections.abc import Iterator

NAMES = ("drops-a", "drops-b")
B4, B6 = "10.77.0.2", "fd77::2"
MAC_A, MAC_B = "02:00:00:77:00:0a", "02:00:00:77:00:0b"
DEVICE = "wire0"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def run(words: str, **options: object) -> str:
    """Run a command; returns what it printed. Raises AssertionError with what it said if it fails."""
    done = subprocess.run(shlex.split(words), capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Side:
    """One of the two hosts."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, words: str, **options: object) -> str:
        """Run a command here."""
        return run(f"ip netns exec {self.name} {words}", **options)

    def set(self, **values: object) -> None:
        """Set sysctls of net.; `__` stands for a dot: ipv4__ip_forward=1."""
        self.run("sysctl -qw " + " ".join(f"net.{name.replace('__', '.')}={value}" for name, value in values.items()))

    def open(self, *kind: int) -> socket.socket:
        """Return a socket that belongs to this host, though the process does not."""
        with self.inside():
            made = socket.socket(*kind)
        made.settimeout(5)
        return made

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The process itself is here while the block runs."""
        with open("/proc/thread-self/ns/net") as home, open(f"/var/run/netns/{self.name}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def link(self, device: str = DEVICE) -> socket.socket:
        """Return a packet socket on a device; it hears nothing until it is bound to a protocol."""
        made = self.open(socket.AF_PACKET, socket.SOCK_RAW)
        made.bind((device, 0))
        return made

    def counter(self, name: str) -> int:
        """Return one of nstat's counters."""
        return int(self.run(f"nstat -asz {name}").split()[-2])

    @contextlib.contextmanager
    def with_commands(self, *pairs: tuple[str, str]) -> Iterator[None]:
        """Run commands, and those that undo them when the block ends, backwards."""
        with contextlib.ExitStack() as undo:
            for command, undone in pairs:
                self.run(command)
                if undone:
                    undo.callback(self.run, undone)
            yield


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Pair:
    """The two hosts; what `a` sends has been dealt with when `settle` returns."""

    def __init__(self) -> None:
        self.a, self.b = Side(NAMES[0]), Side(NAMES[1])
        self.wire = self.a.link()
        self._probe = self.b.open(socket.AF_INET, socket.SOCK_DGRAM)
        self._probe.bind((B4, 9))
        self._asking = self.a.open(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, *frames: bytes) -> None:
        """Send frames from `a`, and wait until `b` has dealt with them."""
        for frame in frames:
            self.wire.send(frame)
        self.settle()

    def settle(self) -> None:
        """Return when a datagram that `a` sends now has come: the process keeps to one CPU, so all before it have."""
        self._asking.sendto(b"?", (B4, 9))
        self._probe.recv(10)

    def close(self) -> None:
        """Close the sockets."""
        for one in (self.wire, self._probe, self._asking):
            one.close()


@contextlib.contextmanager
def pair() -> Iterator[Pair]:
    """The two hosts while the block runs, on one CPU."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    for name in NAMES:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        run(f"ip netns add {name}")
    try:
        run(f"ip link add {DEVICE} address {MAC_A} netns drops-a type veth peer {DEVICE} address {MAC_B} netns drops-b")
        for name, number, mac in ((NAMES[0], 1, MAC_B), (NAMES[1], 2, MAC_A)):
            run(f"ip -n {name} link set lo up")
            run(f"ip -n {name} link set {DEVICE} up")
            run(f"ip -n {name} addr add 10.77.0.{number}/16 dev {DEVICE}")
            run(f"ip -n {name} addr add fd77::{number}/64 dev {DEVICE} nodad")
            run(f"ip -n {name} neigh add 10.77.0.{3 - number} lladdr {mac} dev {DEVICE}")
        both = Pair()
        try:
            yield both
        finally:
            both.close()
    finally:
        for name in NAMES:
            run(f"ip netns del {name}")
        os.sched_setaffinity(0, cpus)


def readable(one: socket.socket) -> bool:
    """Whether something is to be read."""
    return bool(select.select([one], [], [], 0)[0])
