# SPDX-License-Identifier: Apache-2.0
"""Faults of the wire, which nobody captures on: loss, duplication, reordering, delay, a cut, another way back."""
import contextlib
import json
import signal
import time
from collections.abc import Iterator

from support.lab import PYTHON, ROOT, Server, wait_until

from .scene import COUNT, PORT, RATE, TALK_PORT, Scene
from .truth import Loss, counted, vanished

RELAY = ROOT / "roles" / "lab" / "files" / "relay.py"
A_TO_B = ("hv-a eth0", "hv-b eth0")
SLOW = 300      # datagrams a second
UNSURE_S = 2.1  # how far two clocks may be apart of which nothing is known, and a little


def lossy(what: str) -> str:
    """A rule set for the wire that drops what matches, and counts it."""
    return f"""
table bridge known {{
  chain known {{
    type filter hook forward priority 0
    {what} counter drop
  }}
}}
"""


def exact_loss(scene: Scene) -> list[Loss]:
    """Every seventh datagram."""
    return _loss(scene, lossy(f"udp dport {PORT} numgen inc mod 7 3"))


def random_loss(scene: Scene) -> list[Loss]:
    """Each datagram with a chance of one in ten."""
    return _loss(scene, lossy(f"udp dport {PORT} numgen random mod 10 0"))


def total_loss(scene: Scene) -> list[Loss]:
    """Every datagram to the port."""
    return _loss(scene, lossy(f"udp dport {PORT}"))


def one_way_loss(scene: Scene) -> list[Loss]:
    """Every seventh datagram, and nothing comes back: the clocks cannot be compared. They may differ by two seconds, so
    the window is open for longer than that before and after. The first and the last ones arrive: they show the way, if
    they come well before the others, and after them."""
    with scene.wire.nft(lossy(f"udp dport {PORT} numgen inc mod 7 3")), scene.receiver() as server, scene.window():
        time.sleep(UNSURE_S)
        loss = _send_and_count(scene, server, SLOW)
        time.sleep(UNSURE_S)
        return loss


def _loss(scene: Scene, rules: str) -> list[Loss]:
    """The VMs talk before and after: nothing else shows that vm-b was there all the time, where all is lost."""
    with scene.wire.nft(rules), scene.receiver() as server, scene.window():
        scene.talk()
        loss = _send_and_count(scene, server)
        scene.talk()
        return loss


def _send_and_count(scene: Scene, server: Server, rate: float = RATE) -> list[Loss]:
    """Send; returns when those that the wire did not take have arrived. rate: datagrams a second."""
    arrived = scene.hv_b.counters("vnet0")["tx_packets"]
    scene.send(rate=rate)
    lost = counted(scene.wire)
    scene.until(lambda: scene.hv_b.counters("vnet0")["tx_packets"] - arrived, COUNT - lost, "the others arrive")
    assert server.stop()["distinct"] == COUNT - lost
    return [vanished(*A_TO_B, lost)]


def loss_of_answers(scene: Scene) -> list[Loss]:
    """Every fifth answer to a ping."""
    with scene.wire.nft(lossy("icmp type echo-reply numgen inc mod 5 2")), scene.window():
        done = scene.vm_a.run(["ping", "-q", "-c", "50", "-i", "0.01", "-W", "1", scene.vm_b_address], check=False)
        assert "50 packets transmitted, 40 received" in done.stdout
        return [vanished("hv-b eth0", "hv-a eth0", counted(scene.wire))]


class Relay(Server):
    """The lab's relay at work."""

    before = 0  # datagrams that vm-b's tap had been given when the traffic began

    def until_idle(self, scene: Scene, expected: int) -> None:
        """Wait until so many datagrams have been given to vm-b's tap since the start."""
        scene.until(lambda: scene.hv_b.counters("vnet0")["tx_packets"] - self.before, expected, "datagrams at vnet0")


@contextlib.contextmanager
def relayed(scene: Scene, *options: object) -> Iterator[Relay]:
    """hv-b's link through the relay."""
    process = scene.lab.here().popen([PYTHON, RELAY, "b", "--port", PORT, *options])
    try:
        relay = Relay(process)
        ping = ["ping", "-q", "-c", "1", "-W", "1", scene.vm_b_address]
        wait_until(lambda: scene.vm_a.run(ping, check=False).returncode == 0, "the relay relays")
        yield relay
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def _ill(scene: Scene, options: list, dropped: int = 0, twice: int = 0, in_order: bool = True) -> list[Loss]:
    """Traffic through the relay; what it says it did and what the receiver got must be what was meant."""
    with relayed(scene, *options) as relay, scene.receiver() as server:
        with scene.window():
            scene.talk()
            relay.before = scene.hv_b.counters("vnet0")["tx_packets"]
            scene.send()
            relay.until_idle(scene, COUNT - dropped + twice)
            got = server.stop()
            scene.talk()
        said = relay.stop()
    assert (got["datagrams"], got["distinct"], got["in_order"]) == (COUNT - dropped + twice, COUNT - dropped, in_order)
    assert (said["matched"], said["dropped"], said["duplicated"], said["kept"]) == (COUNT, dropped, twice, 0), said
    scene.crossing["duplicated"] = twice
    if not dropped:  # else some that were to be swapped were dropped, or twice there
        scene.crossing["reordered"] = said["swapped"]
    return [vanished(*A_TO_B, dropped)] if dropped else []


def duplication(scene: Scene) -> list[Loss]:
    """Every tenth datagram comes twice: nothing is lost."""
    return _ill(scene, ["--duplicate", 10], twice=COUNT // 10, in_order=False)


def reordering(scene: Scene) -> list[Loss]:
    """Every tenth datagram comes after its successor: nothing is lost."""
    return _ill(scene, ["--swap", 9], in_order=False)


def delay(scene: Scene) -> list[Loss]:
    """All come 50 ms later: nothing is lost."""
    return _ill(scene, ["--delay", 0.05])


def everything(scene: Scene) -> list[Loss]:
    """Loss, duplication, reordering and delay at once: only the loss is loss."""
    return _ill(scene, ["--drop", 8, "--duplicate", 10, "--swap", 9, "--delay", 0.02], dropped=COUNT // 8,
                twice=COUNT // 10 - COUNT // 40, in_order=False)


def cut(scene: Scene) -> list[Loss]:
    """The wire's port of hv-b goes down after a third of the datagrams, and comes up for the last third."""
    third = COUNT // 3
    with scene.receiver(2 * third) as server, scene.window():
        scene.talk()
        _third(scene, third)
        with scene.changed(scene.wire, "ip link set p-b down", "ip link set p-b up"):
            scene.send(third)
            left = scene.wire.counters("p-a")["rx_packets"]
            assert left
        wait_until(lambda: "LOWER_UP" in scene.hv_b.run(["ip", "link", "show", "eth0"]).stdout, "hv-b's link up")
        _third(scene, third)
        assert server.wait()["datagrams"] == 2 * third
        scene.talk()
        return [vanished(*A_TO_B, third)]


def _third(scene: Scene, count: int) -> None:
    """Send some, and wait until they are there."""
    before = scene.hv_b.counters("vnet0")["tx_packets"]
    scene.send(count)
    scene.until(lambda: scene.hv_b.counters("vnet0")["tx_packets"] - before, count, "datagrams at vnet0")


def nic_deleted(scene: Scene) -> list[Loss]:
    """hv-b's NIC is deleted after half of the datagrams: the other half is lost on the wire."""
    half = COUNT // 2
    try:
        with scene.receiver(half) as server, scene.window():
            scene.talk()
            _third(scene, half)
            scene.hv_b.run(["ip", "link", "del", "eth0"])
            scene.send(half)
            assert server.wait()["datagrams"] == half
            _speak(scene)
            return [vanished(*A_TO_B, half)]
    finally:
        scene.lab.up()
        scene.lab.settle()


def _speak(scene: Scene) -> None:
    """vm-b sends something to hv-b itself: it is still there."""
    own = "192.168.32.254"
    with scene.changed(scene.hv_b, f"ip addr add {own}/24 dev br0", f"ip addr del {own}/24 dev br0"), \
            scene.hv_b.serve("udp", own, TALK_PORT, count=1) as server:
        scene.vm_b.send("udp", own, TALK_PORT, count=1)
        server.wait()


@contextlib.contextmanager
def second_wire(scene: Scene) -> Iterator[None]:
    """A second link between the hypervisors, eth1, over a switch `wire2`: what vm-b sends to vm-a goes over it."""
    macs = {vm: json.loads(scene.lab.netns(vm).run(["ip", "-j", "link", "show", "eth0"]).stdout)[0]["address"]
            for vm in ("vm-a", "vm-b")}
    here = scene.lab.here()
    here.run(["ip", "-n", "wire", "link", "add", "wire2", "type", "bridge", "mcast_snooping", "0"])
    try:
        here.run(["ip", "-n", "wire", "link", "set", "wire2", "up"])
        for letter in "ab":
            host = "hv-" + letter
            here.run(["ip", "-n", host, "link", "add", "eth1", "type", "veth", "peer", "name", "q-" + letter, "netns",
                      "wire"])
            here.run(["ip", "-n", "wire", "link", "set", "q-" + letter, "master", "wire2", "up"])
            here.run(["ip", "-n", host, "link", "set", "eth1", "master", "br0"])
            # No loop: nothing is flooded to, or learnt from, the second link.
            here.run(["bridge", "-n", host, "link", "set", "dev", "eth1", "learning", "off", "flood", "off",
                      "mcast_flood", "off", "bcast_flood", "off"])
            here.run(["ip", "-n", host, "link", "set", "eth1", "up"])
        here.run(["bridge", "-n", "hv-b", "fdb", "replace", macs["vm-a"], "dev", "eth1", "master", "static",
                  "sticky"])
        yield
    finally:
        here.run(["bridge", "-n", "hv-b", "fdb", "del", macs["vm-a"], "dev", "eth1", "master"], check=False)
        for letter in "ab":
            here.run(["ip", "-n", "hv-" + letter, "link", "del", "eth1"], check=False)
        here.run(["ip", "-n", "wire", "link", "del", "wire2"])


def asymmetric(scene: Scene) -> list[Loss]:
    """The answers take another way than the questions: nothing is lost."""
    with second_wire(scene), scene.window():
        before = scene.hv_b.counters("eth1")["tx_packets"]
        done = scene.vm_a.run(["ping", "-q", "-c", "50", "-i", "0.01", scene.vm_b_address])
        assert "50 packets transmitted, 50 received" in done.stdout
        assert scene.hv_b.counters("eth1")["tx_packets"] - before == 50
        return []


def asymmetric_loss(scene: Scene) -> list[Loss]:
    """The answers take another way than the questions, and every fifth is lost there."""
    with second_wire(scene), scene.wire.nft(lossy("icmp type echo-reply numgen inc mod 5 2")), scene.window():
        done = scene.vm_a.run(["ping", "-q", "-c", "50", "-i", "0.01", "-W", "1", scene.vm_b_address], check=False)
        assert "50 packets transmitted, 40 received" in done.stdout
        return [vanished("hv-b eth1", "hv-a eth1", counted(scene.wire))]
