# SPDX-License-Identifier: Apache-2.0
"""Rules and settings that drop packets on hv-b, each beside others that do not; the truth is which of them it is."""
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from support.bundles import ipv4, udp
from support.lab import wait_until

from . import cached, conntrack, guests, xdp
from .bridge import VM_B_MAC
from .frames import addressed, datagram, send
from .netfilter import REFUSED_SEND
from .routing import GATEWAY_MAC
from .scene import COUNT, PORT, TALK_PORT, Scene, routed

FEW = 100
OTHER = 5009
CULPRIT, DECOY = 'comment "culprit"', 'comment "decoy"'


@dataclass
class Told:
    """What must be said: of how many drops on which host, which rule or setting."""

    count: int
    kind: str
    where: dict[str, Any] = field(default_factory=dict)    # of the one candidate, exactly
    rule: str = ""                                         # or: in the text of the rule
    host: str = "hv-b"
    rose: bool = False                                     # whether a counter must say so, too
    why: str = ""                                          # what keeps it from being certain


@dataclass(frozen=True)
class Case:
    """One row: what is set, and how packets meet it."""

    name: str
    inject: Callable[[Scene], Told]
    places: tuple[str, ...] = ("hv-b",)
    elsewhere: str = ""


def chain(family: str, hook: str, *rules: str, policy: str = "accept", more: str = "", name: str = "tested") -> str:
    """A table with one base chain."""
    body = "\n    ".join(rules)
    return f"table {family} {name} {{\n{more}\n  chain {name} {{\n    type filter hook {hook} priority 0; " \
           f"policy {policy};\n    {body}\n  }}\n}}\n"


DECOYS = (f"udp dport {OTHER} counter drop {DECOY}", f"ip saddr 10.99.0.0/16 drop {DECOY}",
          f"tcp dport {PORT} counter drop {DECOY}", f"meta mark 7 drop {DECOY}")
MATCH = f"udp dport {PORT}"


def arrive(scene: Scene, count: int = FEW, *, to: str = "", source: str = "192.168.32.10") -> None:
    """Send datagrams from vm-a, which does not mind what it is told; returns when all have arrived at hv-b."""
    before = scene.hv_b.counters("eth0")["rx_packets"]
    mac = GATEWAY_MAC if to else VM_B_MAC
    send(scene.vm_a, [addressed(datagram(source, to or scene.vm_b_address, number), mac) for number in range(count)])
    scene.until(lambda: scene.hv_b.counters("eth0")["rx_packets"] - before, count, "datagrams at hv-b")


def _bridged(ruleset: str, told: Told) -> Callable[[Scene], Told]:
    def inject(scene: Scene) -> Told:
        with scene.hv_b.nft(ruleset), scene.window():
            scene.talk()
            arrive(scene)
            scene.talk()
        return told
    return inject


def _egress(scene: Scene) -> Told:
    ruleset = chain("netdev", "egress device eth0", *DECOYS, f"{MATCH} counter drop {CULPRIT}")
    with scene.hv_a.nft(ruleset), scene.window():
        scene.send(FEW)
    return Told(FEW, "nftables", rule=CULPRIT, host="hv-a", rose=True)


def _routed(ruleset: str, told: Told, to: str = "192.168.33.10") -> Callable[[Scene], Told]:
    def inject(scene: Scene) -> Told:
        with routed(scene), scene.hv_b.nft(ruleset), scene.window():
            arrive(scene, to=to)
        return told
    return inject


def _outgoing(scene: Scene) -> Told:
    ruleset = chain("inet", "output", *DECOYS, f"{MATCH} counter drop {CULPRIT}")
    with routed(scene), scene.hv_b.nft(ruleset), scene.window():
        refused = int(scene.hv_b.python(REFUSED_SEND, scene.lab.address("vm-a"), PORT, FEW).stdout)
        assert refused == FEW
    return Told(FEW, "nftables", rule=CULPRIT, rose=True)


def _invalid(scene: Scene) -> Told:
    """Datagrams whose UDP length is wrong are invalid to conntrack."""
    ruleset = chain("inet", "forward", f"ct state established counter accept {DECOY}", *DECOYS,
                    f"ct state invalid counter drop {CULPRIT}")
    with routed(scene) as far, scene.hv_b.nft(ruleset), scene.window():
        frames = []
        for number in range(FEW):
            payload = bytearray(udp(40000, PORT, number.to_bytes(4, "big").ljust(64, b"x")))
            payload[4:6] = (200).to_bytes(2, "big")
            frames.append(addressed(ipv4(scene.lab.address("vm-a"), far, bytes(payload), ident=number + 1),
                                    GATEWAY_MAC))
        before = scene.hv_b.counters("eth0")["rx_packets"]
        send(scene.vm_a, frames)
        scene.until(lambda: scene.hv_b.counters("eth0")["rx_packets"] - before, FEW, "datagrams at hv-b")
    return Told(FEW, "nftables", rule=CULPRIT, rose=True)


def _table_full(scene: Scene) -> Told:
    ruleset = chain("ip", "forward", "ct state new counter accept")
    limit = conntrack.LIMIT.read_text().strip()
    with routed(scene) as far, scene.hv_b.nft(ruleset), conntrack._full(scene), scene.window():
        arrive(scene, to=far)
    return Told(FEW, "conntrack", {"setting": "net.netfilter.nf_conntrack_max", "value": limit}, rose=True)


@contextlib.contextmanager
def _towards(scene: Scene, *commands: str) -> Iterator[None]:
    """hv-b's routes to 192.168.34.0/24, through which vm-a sends; each is added, and deleted again."""
    with routed(scene), contextlib.ExitStack() as stack:
        stack.enter_context(scene.changed(scene.vm_a, "ip route add 192.168.34.0/24 via 192.168.32.254",
                                          "ip route del 192.168.34.0/24"))
        for command in commands:
            stack.enter_context(scene.changed(scene.hv_b, "ip " + command.replace("ADD", "add"),
                                              "ip " + command.replace("ADD", "del")))
        yield


def _route(told: Told, *commands: str) -> Callable[[Scene], Told]:
    def inject(scene: Scene) -> Told:
        with _towards(scene, *commands), scene.window():
            arrive(scene, to="192.168.34.10")
        return told
    return inject


def _reverse_path(scene: Scene) -> Told:
    with routed(scene) as far, scene.sysctl(scene.hv_b, "net/ipv4/conf/br0/rp_filter", 1), \
            scene.sysctl(scene.hv_b, "net/ipv4/conf/rt0/rp_filter", 2), scene.window():
        arrive(scene, to=far, source="192.168.33.77")
    return Told(FEW, "rp_filter", {"setting": "net.ipv4.conf.br0.rp_filter", "value": 1, "device": "br0"})


def _too_big(scene: Scene) -> Told:
    """Every other datagram does not fit the way out of hv-b, and none may be fragmented."""
    with routed(scene) as far, scene.changed(
            scene.hv_b, "ip link set rt0 mtu 1000; ip link add decoy mtu 900 up type veth peer name decoy2",
            "ip link set rt0 mtu 1500; ip link del decoy"), scene.window():
        frames = []
        for number in range(2 * FEW):
            packet = bytearray(datagram("192.168.32.10", far, number, size=1200 if number % 2 else 64))
            packet[6] |= 0x40    # do not fragment
            frames.append(addressed(bytes(packet), GATEWAY_MAC))
        before = scene.hv_b.counters("eth0")["rx_packets"]
        send(scene.vm_a, frames)
        scene.until(lambda: scene.hv_b.counters("eth0")["rx_packets"] - before, len(frames), "datagrams at hv-b")
    return Told(FEW, "mtu", {"device": "rt0", "mtu": 1000})


def _path_mtu(scene: Scene) -> Told:
    """hv-a believes that the way to hv-b takes 1,000 bytes, and may not fragment what is in the tunnel."""
    with cached.small_path(scene, 1000, "set"), scene.window():
        scene.talk()
        cached.arrive(scene, FEW, whole=False)
    found = {"to": cached.THERE, "device": "eth0", "path_mtu": 1000, "gateway": ""}
    return Told(FEW, "cached-route", found, host="hv-a")


def _redirected(scene: Scene) -> Told:
    """hv-a was redirected to a gateway that answers no more; that of the route itself would."""
    few = 30    # the queue of an unresolved neighbour holds them all
    with cached.redirected(scene), scene.window(), cached.gone(scene):
        cached.arrive(scene, few, whole=False, size=64)
    found = {"to": cached.BEHIND, "device": "eth0", "path_mtu": 0, "gateway": cached.ROUTER}
    return Told(0, "neighbour", {"neighbour": cached.ROUTER, "state": ["FAILED"], "cached": found}, host="hv-a")


def _neighbour(scene: Scene) -> Told:
    few = 30    # the queue of an unresolved neighbour holds them all
    with routed(scene), scene.sysctl(scene.hv_b, "net/ipv4/neigh/rt0/retrans_time_ms", 100), scene.window():
        scene.send(few, to="192.168.33.99")
        wait_until(lambda: "FAILED" in scene.hv_b.run(["ip", "neigh", "show", "192.168.33.99"]).stdout,
                   "the neighbour's failure")
    # freed by a timer: some kernels do not run programs for all of them
    return Told(0, "neighbour", {"neighbour": "192.168.33.99", "device": "rt0", "state": ["FAILED"]})


def _qdisc(add: str, told: dict[str, Any]) -> Callable[[Scene], Told]:
    """A queue of hv-b's tap that is too small: how many it drops depends on time, and is said by the queue itself."""
    def inject(scene: Scene) -> Told:
        with scene.changed(scene.hv_b, add, "tc qdisc del dev vnet0 root"), scene.window():
            scene.talk()
            arrive(scene, COUNT)
        return Told(0, "tc", told, rose=True)
    return inject


def _filter(way: str) -> Callable[[Scene], Told]:
    device, pref = "vnet0" if way == "egress" else "eth0", 3
    program = "bpf da bytecode '{0}'"
    drops = program.format(f"6,40 0 0 12,21 0 3 2048,40 0 0 36,21 0 1 {PORT},6 0 0 2,6 0 0 0")
    add = (f"tc qdisc add dev {device} clsact; tc filter add dev {device} {way} protocol ip pref {pref} {drops}; "
           f"tc filter add dev {device} {way} protocol arp pref 4 {program.format('1,6 0 0 0')}")

    def inject(scene: Scene) -> Told:
        with scene.changed(scene.hv_b, add, f"tc qdisc del dev {device} clsact"), scene.window():
            scene.talk()
            arrive(scene)
        return Told(FEW, "tc", {"filter": "bpf", "pref": pref, "device": device, "way": way, "handle": "0x1"},
                    why="nothing counts what it drops")
    return inject


def _xdp(mode: int, told: dict[str, Any]) -> Callable[[Scene], Told]:
    def inject(scene: Scene) -> Told:
        with xdp.attached(scene, "eth0", PORT, mode, "culprit"), \
                xdp.attached(scene, "br0", PORT, xdp.GENERIC, "decoy"), scene.window():
            scene.talk()
            arrive(scene)
            scene.talk()
        return Told(FEW, "xdp", dict(told, device="eth0", program="culprit", uid=0))
    return inject


def _ports(do: str, undo: str, where: dict[str, Any], count: int = FEW) -> Callable[[Scene], Told]:
    def inject(scene: Scene) -> Told:
        scene.talk()
        with scene.changed(scene.hv_b, do, undo), scene.window():
            arrive(scene, count)
        return Told(count, "bridge", where)
    return inject


def _socket(scene: Scene) -> Told:
    """vm-b has two sockets: one that is read, and one that is not."""
    reader = scene.vm_b.popen(["/usr/bin/python3", "-c", guests.READS_WHEN_TOLD, scene.vm_b_address, PORT],
                              stdin=subprocess.PIPE)
    try:
        assert reader.stdout.readline() == "ready\n"
        with scene.vm_b.serve("udp", scene.vm_b_address, OTHER), scene.window():
            before = scene.vm_b.counters("eth0")["rx_packets"]
            scene.send(FEW, port=OTHER)
            scene.send(COUNT)
            scene.until(lambda: scene.vm_b.counters("eth0")["rx_packets"] - before, COUNT + FEW, "datagrams at vm-b")
        received, _ = reader.communicate("read\n", timeout=10)
        return Told(COUNT - int(received), "socket", {"port": PORT, "limit": 131072, "setting": "SO_RCVBUF"},
                    host="vm-b", rose=True)
    finally:
        reader.kill()
        reader.communicate()


NFT = Told(FEW, "nftables", rule=CULPRIT)
COUNTED = Told(FEW, "nftables", rule=CULPRIT, rose=True)
POLICY = {"family": "inet", "table": "tested", "chain": "tested", "rule": "policy drop"}
SETS = """  set good { type ipv4_addr; elements = { 10.1.1.1 }; }
  set bad { type ipv4_addr; flags interval; elements = { 192.168.32.0/28, 10.3.0.0/16 }; }"""
MAPS = f"""  map ports {{ type inet_service : verdict; elements = {{ {OTHER} : jump others, {PORT} : jump here }}; }}
  chain others {{
    counter drop {DECOY}
  }}
  chain here {{
    ip saddr 10.0.0.0/8 drop {DECOY}
    ip ttl < 3 drop {DECOY}
    udp sport 1024-65535 drop {CULPRIT}
  }}"""

CASES = [
    Case("nft-bridge-counted", _bridged(chain("bridge", "forward", *DECOYS, f"{MATCH} counter drop {CULPRIT}"),
                                        COUNTED)),
    Case("nft-bridge-not-counted", _bridged(chain("bridge", "forward", *DECOYS, f"{MATCH} drop {CULPRIT}",
                                                  f"{MATCH} drop {DECOY}"), NFT)),
    Case("nft-bridge-device", _bridged(chain("bridge", "forward", f'iifname "vnet0" {MATCH} drop {DECOY}',
                                             f'iifname "eth0" oifname "vnet0" {MATCH} drop {CULPRIT}'), NFT)),
    Case("nft-bridge-prerouting", _bridged(chain("bridge", "prerouting", *DECOYS,
                                                 f"ether daddr {VM_B_MAC} {MATCH} drop {CULPRIT}"), NFT)),
    Case("nft-netdev-ingress", _bridged(chain("netdev", "ingress device eth0", *DECOYS, f"{MATCH} drop {CULPRIT}")
                                        + chain("netdev", "ingress device vnet0", f"{MATCH} drop {DECOY}",
                                                name="other"), NFT)),
    Case("nft-netdev-egress", _egress, ("hv-a",)),
    Case("nft-forward", _routed(chain("inet", "forward", *DECOYS, f"{MATCH} counter drop {CULPRIT}")
                                + chain("inet", "input", f"{MATCH} counter drop {DECOY}", name="other"), COUNTED)),
    Case("nft-forward-reject", _routed(chain("ip", "forward", *DECOYS, f"ip daddr 192.168.33.0/24 {MATCH} reject "
                                             f"{CULPRIT}"), NFT)),
    Case("nft-input", _routed(chain("inet", "input", *DECOYS, f"{MATCH} counter drop {CULPRIT}"), COUNTED,
                              to="192.168.32.254")),
    Case("nft-output", _outgoing),
    Case("nft-policy", _routed(chain("inet", "forward", f"udp dport {OTHER} accept", "ip protocol icmp accept", *DECOYS,
                                     policy="drop"), Told(FEW, "nftables", POLICY))),
    Case("nft-set", _routed(chain("inet", "forward", f"ip saddr @good drop {DECOY}", f"ip saddr @bad drop {CULPRIT}",
                                  more=SETS), NFT)),
    Case("nft-map-and-chain", _routed(chain("inet", "forward", "udp dport vmap @ports", f"{MATCH} drop {DECOY}",
                                            more=MAPS), NFT)),
    Case("nft-second-table", _routed(chain("inet", "forward", f"{MATCH} accept", f"{MATCH} drop {DECOY}", name="first")
                                     + chain("ip", "forward", f"ip saddr 192.168.32.10 drop {CULPRIT}", name="later"),
                                     NFT)),
    Case("nft-one-in-five", _routed(chain("inet", "forward", f"{MATCH} numgen inc mod 500 499 counter drop {DECOY}",
                                          f"{MATCH} numgen inc mod 5 0 counter drop {CULPRIT}"),
                                    Told(FEW // 5, "nftables", rule=CULPRIT, rose=True))),
    Case("nft-conntrack-invalid", _invalid),
    Case("conntrack-full", _table_full),
    Case("blackhole", _route(Told(FEW, "route", {"route": '"blackhole 192.168.34.0/24" of table main',
                                                 "table": "main"}),
                             "route ADD blackhole 192.168.34.0/24", "route ADD unreachable 192.168.34.64/26",
                             "route ADD prohibit 192.168.0.0/16")),
    Case("unreachable", _route(Told(FEW, "route", {"route": '"unreachable 192.168.34.0/28" of table main',
                                                   "table": "main"}),
                               "route ADD unreachable 192.168.34.0/28", "route ADD blackhole 192.168.34.0/24")),
    Case("prohibit-by-a-rule", _route(Told(FEW, "route", {"rule": '"from 192.168.32.10 prohibit"', "priority": 70}),
                                      "route ADD 192.168.34.0/24 dev rt0",
                                      "rule ADD from 10.9.9.9 priority 60 blackhole",
                                      "rule ADD from 192.168.32.10 priority 70 prohibit")),
    Case("no-route", _route(Told(FEW, "route", {"route": "none"}), "route ADD blackhole 192.168.35.0/24")),
    Case("rp-filter", _reverse_path),
    Case("mtu", _too_big),
    Case("neighbour", _neighbour),
    Case("tbf", _qdisc("tc qdisc add dev vnet0 root handle 5: tbf rate 1mbit burst 3k limit 20k",
                       {"qdisc": "tbf", "handle": "5:", "device": "vnet0"})),
    Case("leaf-queue", _qdisc("tc qdisc add dev vnet0 root handle 1: htb default 10; "
                              "tc class add dev vnet0 parent 1: classid 1:10 htb rate 1mbit; "
                              "tc class add dev vnet0 parent 1: classid 1:20 htb rate 1mbit; "
                              "tc qdisc add dev vnet0 parent 1:20 handle 30: pfifo limit 1; "
                              "tc qdisc add dev vnet0 parent 1:10 handle 20: pfifo limit 5",
                              {"qdisc": "pfifo", "handle": "20:", "device": "vnet0"})),
    Case("path-mtu", _path_mtu, ("hv-a",)),
    Case("redirect", _redirected, ("hv-a",)),
    Case("filter-on-ingress", _filter("ingress")),
    Case("filter-on-egress", _filter("egress")),
    Case("xdp-generic", _xdp(xdp.GENERIC, {"mode": "generic"})),
    Case("xdp-native", _xdp(xdp.NATIVE, {"mode": "native"})),
    Case("ports-isolated", _ports("bridge link set dev eth0 isolated on; bridge link set dev vnet0 isolated on",
                                  "bridge link set dev eth0 isolated off; bridge link set dev vnet0 isolated off",
                                  {"ports": ["eth0", "vnet0"], "setting": "isolated", "value": True})),
    Case("port-out-blocked", _ports("bridge link set dev vnet0 state 1", "bridge link set dev vnet0 state 3",
                                    {"ports": ["vnet0"], "setting": "state", "value": "listening"})),
    Case("mac-behind-its-sender", _ports(f"bridge fdb replace {VM_B_MAC} dev eth0 master static sticky",
                                         f"bridge fdb del {VM_B_MAC} dev eth0 master",
                                         {"ports": ["eth0"], "setting": "fdb", "value": VM_B_MAC})),
    Case("socket-full", _socket, ("vm-b",)),
    Case("police", lambda scene: Told(0, ""), elsewhere="this kernel has no policing"),
    Case("vlan-filter", lambda scene: Told(0, ""), elsewhere="this kernel has no VLAN filtering in its bridge"),
]
assert TALK_PORT not in (PORT, OTHER)
