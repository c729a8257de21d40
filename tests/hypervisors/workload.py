#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic of known amount inside an emulated machine, and what the kernel itself counted of it.

    namespace src 192.168.32.10 -- br0 (Linux bridge, nft drops UDP to port 4321) -- namespace dst 192.168.32.20
                                        (a policer at src's port drops UDP to port 4444)
    namespace osrc 192.168.33.10 -- ovs0 (Open vSwitch, a flow drops UDP to port 4321) -- namespace odst 192.168.33.20

  workload.py up             make all that
  workload.py udp HOW PORT N send N datagrams over the bridge or ovs, one at a time; prints what arrived, as JSON
  workload.py fault WHAT PORT N  the same over the bridge while a fault (netem, vlan) loses them all
  workload.py tcp HOW BYTES  send so many bytes over TCP to port 5001; prints what arrived
  workload.py counted        print the packets that the drop rules counted, as JSON
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time

OPEN, DROPPED, POLICED = 5000, 4321, 4444  # what goes to another port than the first is lost
FAULTS = {  # what makes it, and what ends it
    "netem": (["tc qdisc add dev p-dst root netem loss 100%"], ["tc qdisc del dev p-dst root"]),
    "vlan": (["ip link set br0 type bridge vlan_filtering 1", "bridge vlan del dev p-src vid 1"],
             ["bridge vlan add dev p-src vid 1 pvid untagged", "ip link set br0 type bridge vlan_filtering 0"]),
}  # fmt: skip
PLACES = {"bridge": ("src", "dst", "192.168.32"), "ovs": ("osrc", "odst", "192.168.33")}
RULES = """
table bridge guard {
  counter dropped { }
  chain forward {
    type filter hook forward priority 0;
    udp dport %d counter name dropped drop
  }
}
""" % DROPPED


def run(command: str, text: str = "") -> str:
    """Run a command and return its output; end with its message if it fails."""
    done = subprocess.run(command.split(), input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit("%s: %s" % (command, done.stderr.strip()))
    return done.stdout


def up() -> None:
    """Make namespaces, bridges and drop rules."""
    run("ip link add br0 type bridge")
    run("ip link set br0 up")
    run("ovs-vsctl add-br ovs0")
    for how, (source, target, network) in PLACES.items():
        for name, host in ((source, 10), (target, 20)):
            port = "p-" + name
            run("ip netns add %s" % name)
            run("ip link add %s type veth peer name eth0 netns %s" % (port, name))
            run("ip link set %s up" % port)
            run("ip link set %s master br0" % port if how == "bridge" else "ovs-vsctl add-port ovs0 %s" % port)
            run("ip -n %s link set lo up" % name)
            run("ip -n %s link set eth0 up" % name)
            run("ip -n %s addr add %s.%d/24 dev eth0" % (name, network, host))
    run("nft -f -", RULES)
    run("tc qdisc add dev p-src clsact")
    run("tc filter add dev p-src ingress protocol ip pref 7 flower ip_proto udp dst_port %d "
        "action police rate 8kbit burst 64 conform-exceed drop" % POLICED)  # all that is longer exceeds it
    run("ovs-ofctl add-flow ovs0 priority=10,udp,tp_dst=%d,actions=drop" % DROPPED)
    for source, _, network in PLACES.values():
        # learns the addresses, and waits until the ports forward
        run("ip netns exec %s ping -q -c 2 -i 0.2 -w 60 %s.20" % (source, network))


def in_namespace(name: str, kind: int) -> socket.socket:
    """Return a socket that lives in a namespace; this process then is in there too."""
    with open("/run/netns/" + name) as handle:
        setns(handle.fileno())
    return socket.socket(socket.AF_INET, kind)


def setns(fd: int) -> None:
    """Move this thread to a network namespace."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
        sys.exit("setns failed")


def udp(how: str, port: int, count: int) -> None:
    """Send datagrams of 100 bytes, each after the one before has arrived or was surely dropped."""
    source, target, network = PLACES[how]
    receiver = in_namespace(target, socket.SOCK_DGRAM)
    receiver.bind(("", port))
    receiver.settimeout(20 if port == OPEN else 0.05)
    sender = in_namespace(source, socket.SOCK_DGRAM)
    arrived = 0
    for number in range(count):
        sender.sendto(b"%04d" % number + bytes(96), (network + ".20", port))
        try:
            arrived += len(receiver.recv(200)) == 100
        except socket.timeout:  # noqa: UP041  another name only from Python 3.10
            pass
    print(json.dumps({"sent": count, "arrived": arrived}))


def fault(what: str, port: int, count: int) -> None:
    """Send datagrams over the bridge while it, or its port, loses them."""
    make, end = FAULTS[what]
    for command in make:
        run(command)
    udp("bridge", port, count)
    with open("/proc/1/ns/net") as handle:  # sending has left this process in another namespace
        setns(handle.fileno())
    for command in end:
        run(command)


def tcp(how: str, amount: int) -> None:
    """Send a stream as fast as it goes."""
    source, target, network = PLACES[how]
    listener = in_namespace(target, socket.SOCK_STREAM)
    listener.bind(("", 5001))
    listener.listen(1)
    arrived = []

    def receive() -> None:
        link, _ = listener.accept()
        while True:
            data = link.recv(1 << 16)
            if not data:
                return
            arrived.append(len(data))

    thread = threading.Thread(target=receive)
    thread.start()
    sender = in_namespace(source, socket.SOCK_STREAM)
    sender.connect((network + ".20", 5001))
    sender.sendall(bytes(amount))
    sender.close()
    thread.join(60)
    print(json.dumps({"sent": amount, "arrived": sum(arrived)}))


def counted() -> None:
    """Print what nft and Open vSwitch counted; the latter's counters lag, so they are waited for while they grow."""
    nft = json.loads(run("nft -j list counters table bridge guard"))
    bridge = [row["counter"]["packets"] for row in nft["nftables"] if "counter" in row][0]
    before = -1
    while True:
        flows = run("ovs-ofctl dump-flows ovs0 udp,tp_dst=%d" % DROPPED)
        now = int(re.findall(r"n_packets=(\d+)", flows)[0])
        if now == before:
            break
        before = now
        time.sleep(1.5)
    print(json.dumps({"bridge": bridge, "ovs": now}))


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    if action == "udp":
        udp(rest[0], int(rest[1]), int(rest[2]))
    elif action == "fault":
        fault(rest[0], int(rest[1]), int(rest[2]))
    elif action == "tcp":
        tcp(rest[0], int(rest[1]))
    else:
        {"up": up, "counted": counted}[action]()
