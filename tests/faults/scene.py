# SPDX-License-Identifier: Apache-2.0
"""What every fault works with: the lab, the window, and traffic from vm-a to vm-b whose end one can wait for."""
import contextlib
from collections.abc import Callable, Iterator

from support.lab import Lab, Netns, Server, wait_until

from .capture import Capture

PORT = 5001
TALK_PORT = 5002
COUNT = 600
RATE = 10000
ANYHOW = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("", 40000))
sender.connect((sys.argv[1], int(sys.argv[2])))
number = 0
while number < int(sys.argv[3]):
    try:
        sender.send(number.to_bytes(4, "big") + bytes(60))
        number += 1
        time.sleep(0.0001)
    except ConnectionRefusedError:  # of an earlier one; this one was not sent
        pass
print(number)
"""


class Scene:
    """One fault being injected."""

    def __init__(self, lab: Lab, capture: Capture) -> None:
        self.lab = lab
        self.capture = capture
        self.window = capture.window
        self.crossing: dict[str, float] = {}  # what must be said of the step from hv-a's to hv-b's NIC besides losses
        self.hv_a, self.hv_b, self.vm_a, self.vm_b, self.wire = map(lab.netns, ("hv-a", "hv-b", "vm-a", "vm-b", "wire"))
        self.vm_b_address = lab.address("vm-b")

    def send(self, count: int = COUNT, *, to: str = "", port: int = PORT, rate: float = RATE, size: int = 64) -> None:
        """Numbered datagrams from vm-a, by default to vm-b."""
        sent = self.vm_a.send("udp", to or self.vm_b_address, port, count=count, rate=rate, size=size)["datagrams"]
        assert sent == count

    def send_anyhow(self, to: str, count: int = COUNT) -> None:
        """Numbered datagrams from vm-a's port 40000, of a sender that does not mind being told that nobody listens."""
        self.vm_a.python(ANYHOW, to, PORT, count)

    @contextlib.contextmanager
    def receiver(self, count: int | None = None) -> Iterator[Server]:
        """A server on vm-b; with `count` it ends by itself."""
        options = {} if count is None else {"count": count}
        with self.vm_b.serve("udp", self.vm_b_address, PORT, **options) as server:
            yield server

    def talk(self, count: int = 20, version: int = 4) -> None:
        """Some datagrams both ways between the VMs, of IPv4 or IPv6: from them the hosts' clocks can be compared, and
        that both VMs are there is shown."""
        vms = ((self.vm_a, self.vm_b, "vm-b"), (self.vm_b, self.vm_a, "vm-a"))
        for sender, receiver, name in vms:
            address = self.lab.address(name, version)
            with receiver.serve("udp", address, TALK_PORT, count=count) as server:
                sender.send("udp", address, TALK_PORT, count=count, rate=RATE)
                assert server.wait()["distinct"] == count

    def until(self, count: Callable[[], int], expected: int, what: str) -> int:
        """Wait until a counter is where it must be at least; returns where it is."""
        wait_until(lambda: count() >= expected, f"{what}: {expected}", 15)
        return count()

    @contextlib.contextmanager
    def sysctl(self, place: Netns, name: str, value: object) -> Iterator[None]:
        """A setting of a namespace while the block runs; name: net/ipv4/ip_forward."""
        path = "/proc/sys/" + name
        before = place.run(["cat", path]).stdout.strip()
        place.run(["sh", "-c", 'echo "$2" > "$1"', "sh", path, value])
        try:
            yield
        finally:
            place.run(["sh", "-c", 'echo "$2" > "$1"', "sh", path, before], check=False)

    @contextlib.contextmanager
    def changed(self, place: Netns, do: str, undo: str) -> Iterator[None]:
        """A command's effect while the block runs."""
        place.run(["sh", "-euc", do])
        try:
            yield
        finally:
            place.run(["sh", "-euc", undo])


@contextlib.contextmanager
def routed(scene: Scene) -> Iterator[str]:
    """A second subnet behind hv-b, 192.168.33.0/24, reached through hv-b's own address 192.168.32.254; yields the
    address of the machine there, `far`, to which vm-a has a route."""
    here = scene.lab.here()
    here.run(["ip", "netns", "add", "far"])
    try:
        hv_b = ["ip", "-n", "hv-b"]
        here.run([*hv_b, "link", "add", "rt0", "type", "veth", "peer", "name", "eth0", "netns", "far"])
        here.run([*hv_b, "addr", "add", "192.168.33.1/24", "dev", "rt0"])
        here.run([*hv_b, "addr", "add", "192.168.32.254/24", "dev", "br0"])
        here.run([*hv_b, "link", "set", "rt0", "up"])
        here.run(["ip", "-n", "far", "addr", "add", "192.168.33.10/24", "dev", "eth0"])
        here.run(["ip", "-n", "far", "link", "set", "eth0", "up"])
        here.run(["ip", "-n", "far", "route", "add", "default", "via", "192.168.33.1"])
        here.run(["ip", "-n", "vm-a", "route", "add", "192.168.33.0/24", "via", "192.168.32.254"])
        with scene.sysctl(scene.hv_b, "net/ipv4/ip_forward", 1):
            ping = ["ping", "-q", "-c", "1", "-W", "1", "192.168.33.10"]
            wait_until(lambda: scene.vm_a.run(ping, check=False).returncode == 0, "a route to the far subnet")
            yield "192.168.33.10"
    finally:
        here.run(["ip", "-n", "vm-a", "route", "del", "192.168.33.0/24"], check=False)
        here.run(["ip", "-n", "hv-b", "addr", "del", "192.168.32.254/24", "dev", "br0"], check=False)
        here.run(["ip", "-n", "hv-b", "link", "del", "rt0"], check=False)
        here.run(["ip", "netns", "del", "far"])


FAR = Netns("far", ["ip", "netns", "exec", "far"])
