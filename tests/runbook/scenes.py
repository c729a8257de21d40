# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the lab in each of the runbook's situations, and the traffic that suffers from it."""
import contextlib
from collections.abc import Callable, Iterator

from support.lab import PYTHON, ROOT, TRAFFIC, Lab, Netns
from support.playbooks import Play, kill, wait_for_open_window

A, B, B_MAC, PORT = "192.168.32.10", "192.168.32.20", "52:54:00:32:00:14", 5001
HERE = "here"
Scene = Callable[[Lab, Play], contextlib.AbstractContextManager[None]]
SCENES: dict[str, Scene] = {}


def scene(title: str) -> Callable[[Callable[[Lab, Play], Iterator[None]]], Scene]:
    """Note a scene under the title that its situation has in the runbook."""
    def note(make: Callable[[Lab, Play], Iterator[None]]) -> Scene:
        SCENES[title] = contextlib.contextmanager(make)
        return SCENES[title]
    return note


def at(lab: Lab, place: str) -> Netns:
    """A place of the lab, or the machine that it is on."""
    return lab.here() if place == HERE else lab.netns(place)


@contextlib.contextmanager
def doing(lab: Lab, place: str, *words: str) -> Iterator[None]:
    """A command that goes on in a place of the lab while the block runs."""
    process = at(lab, place).popen(list(words))
    try:
        yield
        assert process.poll() is None, f"{words} ended by itself: {process.communicate()[0]}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def pinging(lab: Lab, *options: str) -> contextlib.AbstractContextManager[None]:
    """vm-a pings vm-b ten times a second."""
    return doing(lab, "vm-a", "ping", "-i", "0.1", *options, B)


@contextlib.contextmanager
def streaming(lab: Lab, rate: int) -> Iterator[None]:
    """Datagrams of 1,200 bytes from vm-a to vm-b, so many a second."""
    with lab.netns("vm-b").serve("udp", B, PORT), doing(
            lab, "vm-a", PYTHON, str(TRAFFIC), "udp-send", B, str(PORT), "--count", "10000000", "--rate", str(rate),
            "--size", "1200"):
        yield


BURSTS = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for _ in range(30):
        out.sendto(bytes(1200), (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.3)
"""


@contextlib.contextmanager
def changed(lab: Lab, place: str, do: str, undo: str) -> Iterator[None]:
    """A place of the lab after one command, until another one undoes it; several are separated by semicolons."""
    for words in do.split(";"):
        at(lab, place).run(words.split())
    try:
        yield
    finally:
        for words in undo.split(";"):
            at(lab, place).run(words.split())


def bridge_rule(lab: Lab, host: str, rule: str) -> contextlib.AbstractContextManager[None]:
    """A rule for what a hypervisor's bridge forwards."""
    return lab.netns(host).nft(
        "table bridge filter { chain forward { type filter hook forward priority 0; %s; }; }" % rule)


@scene("A VM does not answer")
def refused(lab: Lab, _play: Play) -> Iterator[None]:
    with bridge_rule(lab, "hv-b", "ip protocol icmp counter drop"), pinging(lab):
        yield


@scene("Ping fails one way")
def refused_back(lab: Lab, _play: Play) -> Iterator[None]:
    with bridge_rule(lab, "hv-a", "icmp type echo-reply counter drop"), pinging(lab):
        yield


@scene("The packets arrive, and nothing comes back")
def silent(lab: Lab, _play: Play) -> Iterator[None]:
    sysctl = "sysctl -qw net.ipv4.icmp_echo_ignore_all=%d"
    with changed(lab, "vm-b", sysctl % 1, sysctl % 0), pinging(lab):
        yield


@scene("Connections stall now and then")
def stalls(lab: Lab, _play: Play) -> Iterator[None]:
    stall = str(ROOT / "roles" / "lab" / "files" / "stall.py")
    reuse = "sysctl -q -w net.ipv4.tcp_tw_reuse=%d"     # else its clients find no port before long
    with changed(lab, "vm-a", reuse % 1, reuse % 2), doing(
            lab, HERE, "sh", "-c", "while :; do %s %s --seconds 0.5; done" % (PYTHON, stall)):
        yield
    lab.resume("vm-b")


@scene("Small packets pass, large ones do not")
def too_large(lab: Lab, _play: Play) -> Iterator[None]:
    mtu = "ip link set vnet0 mtu %d"
    with changed(lab, "hv-b", mtu % 1400, mtu % 1500), pinging(lab, "-s", "1450"), pinging(lab):
        yield


@scene("A VM cannot be reached since it moved")
def moved(lab: Lab, _play: Play) -> Iterator[None]:
    # else vm-a may ask for the address anew, and vm-b answers: what is said of where it lives has that ground then
    known = f"ip neigh replace {B} lladdr {B_MAC} dev eth0 nud permanent"
    with changed(lab, "vm-a", known, f"ip neigh del {B} dev eth0"), \
            changed(lab, "hv-a", f"bridge fdb replace {B_MAC} dev vnet0 master static sticky",
                    f"bridge fdb del {B_MAC} dev vnet0 master"), pinging(lab):
        yield


@scene("It is slow, but nothing is lost")
def slow(lab: Lab, _play: Play) -> Iterator[None]:
    with changed(lab, "hv-a", "tc qdisc add dev eth0 root tbf rate 2mbit burst 3000 limit 60000",
                 "tc qdisc del dev eth0 root"), lab.netns("vm-b").serve("udp", B, PORT), doing(
            lab, "vm-a", PYTHON, "-c", BURSTS, B, str(PORT)):
        yield


@scene("Packets vanish between two hypervisors")
def bad_wire(lab: Lab, _play: Play) -> Iterator[None]:
    relay = str(ROOT / "roles" / "lab" / "files" / "relay.py")
    with doing(lab, HERE, PYTHON, relay, "b", "--port", str(PORT), "--drop", "10"), streaming(lab, 100), pinging(lab):
        yield


@scene("An address is not resolved")
def isolated(lab: Lab, _play: Play) -> Iterator[None]:
    ports = "bridge link set dev eth0 isolated {0};bridge link set dev vnet0 isolated {0}"
    with changed(lab, "hv-b", ports.format("on"), ports.format("off")), pinging(lab):
        lab.netns("vm-a").run(["ip", "neigh", "flush", "all"])
        yield


@scene("Nothing matched")
def elsewhere(lab: Lab, _play: Play) -> Iterator[None]:
    with pinging(lab):
        yield


@scene("A hypervisor cannot be reached")
def cut_off(lab: Lab, _play: Play) -> Iterator[None]:
    with changed(lab, HERE, "ip link set mgmt-hv-b down", "ip link set mgmt-hv-b up"), pinging(lab):
        yield


@scene("It happens at night")
def nightly(lab: Lab, _play: Play) -> Iterator[None]:
    with bridge_rule(lab, "hv-b", "icmp type echo-request numgen inc mod 5 0 counter drop"), pinging(lab):
        yield


@scene("There is too much traffic to record")
def much(lab: Lab, _play: Play) -> Iterator[None]:
    with streaming(lab, 3000):
        yield


@scene("It worked before")
def worse(lab: Lab, play: Play) -> Iterator[None]:
    with streaming(lab, 100):
        play.run("vm_pair.yml", pair_src=A, pair_dst=B, capture_duration=3, capture_run_id="good")
        with bridge_rule(lab, "hv-b", "udp dport 5001 numgen inc mod 5 0 counter drop"):
            play.run("vm_pair.yml", pair_src=A, pair_dst=B, capture_duration=3, capture_run_id="bad")
        yield


@scene("The terminal died")
def died(lab: Lab, play: Play) -> Iterator[None]:
    with pinging(lab):
        process = play.begin("vm_pair.yml", pair_src=A, pair_dst=B, capture_duration=3, capture_run_id="ticket-4711")
        for host in ("hv-a", "hv-b"):
            wait_for_open_window(lab.netns(host), "ticket-4711", "datapath_tracing", 90)
        kill(process)
        yield


@scene("Somebody else should look at it")
def sent(lab: Lab, play: Play) -> Iterator[None]:
    with pinging(lab):
        play.run("vm_pair.yml", pair_src=A, pair_dst=B, capture_duration=3, capture_run_id="ticket-4711")
        yield
