# SPDX-License-Identifier: Apache-2.0
"""The table of expectations: for each point, the traffic that passes it, and what each of its records must say.

What a traffic's records say of the packet itself, addresses, ports and protocol, is known from scene.TRAFFIC and
scene.FRAMES. A row adds where that is, and what the kernel must have made of the packet by then.
"""
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import scene
from .scene import COUNT, MACS, PLAIN, RING, ROOM, ROUTER, SIZE, SPORT, A

IP, FRAME = 28 + SIZE, 42 + SIZE    # bytes of a datagram, from its IP header and from its Ethernet header on
OUTER = 16 + FRAME                  # of a tunnel's datagram, from UDP's header on
IP6 = 48 + SIZE
MADE, MADE_IP = 200, 186            # bytes of a frame of no socket
SWITCHED = "switched"
_FRAME_MACS = {"mac.src": MACS["a0"], "mac.dst": MACS["made"]}


class Each(list):
    """Values that the records of a point have one after the other."""


def one_of(*values: object) -> Callable[[object], bool]:
    """A value that differs between kernels."""
    return lambda value: value in values


def at_least(limit: int) -> Callable[[object], bool]:
    """A number from this on."""
    return lambda value: isinstance(value, int) and value >= limit


def known(traffic: str, name: str) -> Callable[[Mapping[str, Any]], object]:
    """A value that the scene tells: `name` of a traffic."""
    return lambda told: told[traffic][name]


@dataclass(frozen=True)
class Row:
    """What a point must record."""

    point: str
    traffic: str
    device: str
    netns: str                       # empty: that of the machine itself
    says: dict[str, Any] = field(default_factory=dict)   # dotted path in a record -> value, Each, or a condition
    tells: dict[str, Callable[[Mapping[str, Any]], object]] = field(default_factory=dict)    # the same, by the scene
    count: int | None = None         # records; None: at least one
    backwards: bool = False          # it is what the receiver sends that passes
    needs: str = ""                  # of what scene.up() may call missing

    def packet(self) -> dict[str, Any]:
        """Return what the packet itself says."""
        if self.traffic in scene.FRAMES:
            return {"src": "10.99.9.9", "dst": scene.FRAMES[self.traffic], "protocol": f"ip-protocol-{PLAIN}"}
        if self.traffic == "pinged":
            return {"src": "10.99.1.1", "dst": "10.99.1.2", "protocol": "icmp", "type": 0, "icmp_id": scene.ECHO}
        _source, src, _target, dst, port = scene.TRAFFIC[self.traffic]
        protocol = "tcp" if self.traffic in ("stream", "eaten") else "udp"
        ends = [("src", src, SPORT), ("dst", dst, port)]
        if self.backwards:
            ends = [("dst", src, SPORT), ("src", dst, port)]
        return {"protocol": protocol, **{end: address for end, address, _port in ends},
                **{end + "_port": number for end, _address, number in ends}}

    def without_queues(self, kinds: Collection[str]) -> "Row":
        """Return the row where queues of these kinds cannot be read."""
        if self.says.get("queue.kind") not in kinds:
            return self
        said, told = ({path: value for path, value in values.items() if not path.startswith("queue.")}
                      for values in (self.says, self.tells))
        return replace(self, says={**said, "queue": None}, tells=told)

    def records(self, recorded: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of this traffic at this point and device, in the order of time."""
        to, packet = "src" if self.backwards else "dst", self.packet()
        return [one for one in recorded if one["point"] == self.point and one["device"] == self.device
                and all(innermost(one).get(name) == packet.get(name) for name in (to, to + "_port", "icmp_id"))]

    def wrong(self, recorded: Sequence[dict[str, Any]], told: Mapping[str, Any]) -> list[str]:
        """Return what records say that is not true, a sentence each; told: by the scene."""
        found = self.records(recorded)
        if not found or self.count not in (None, len(found)):
            return [f"{len(found)} records instead of {self.count or 'some'}"]
        wanted = {**self.says, **{path: value(told) for path, value in self.tells.items()}}
        if self.netns:
            wanted["netns"] = self.netns
        out = []
        for number, one in enumerate(found):
            packet = innermost(one)
            out += [f"{name} is {packet.get(name)}, not {value}: {one}" for name, value in self.packet().items()
                    if packet.get(name) != value]
            for path, value in wanted.items():
                value = value[number] if isinstance(value, Each) else value
                said = at(one, path)
                if not (value(said) if callable(value) else said == value):
                    out.append(f"{path} is {said}, not {value}: {one}")
        return out


def innermost(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says of the packet that is in no tunnel any more."""
    packet = record["packet"]
    while "inner" in packet:
        packet = packet["inner"]
    return dict(packet)


def at(record: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None if there is none."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


_WIRE = {"mac.src": MACS["a0"], "mac.dst": MACS["ra0"]}
_NUMBERS = Each(range(COUNT))


def _local(point: str, device: str, netns: str, length: int, count: int | None = COUNT, **more: Any) -> Row:
    return Row(point, "local", device, netns, {"len": length, **more}, count=count)


def _bridged(point: str, device: str, length: int = IP) -> Row:
    return Row(point, "bridged", device, ROUTER, {"len": length}, count=COUNT)


def _ovs(point: str, device: str, length: int, traffic: str = SWITCHED, count: int | None = COUNT) -> Row:
    return Row(point, traffic, device, "", {"len": length}, count=count, needs=SWITCHED)


def _tunnel(point: str, kind: str, device: str, netns: str, length: int, **more: Any) -> Row:
    return Row(point, kind, device, netns, {"len": length, **more}, count=COUNT, needs=kind)


def _queue(kind: str, **values: Any) -> dict[str, Any]:
    return {"queue.kind": kind, **{"queue." + name: value for name, value in values.items()}}


ROWS = [
    _local("dev.rx", "ra0", ROUTER, IP, **_WIRE),
    _local("dev.tx", "a0", A, FRAME, **_WIRE),
    Row("dev.queue", "shaped", "q9", A, {"len": MADE, "packet.id": Each(range(4)), **_FRAME_MACS, **_queue(
        "qdisc", length=Each([0, 0, 1, 2]), backlog=Each([0, 0, MADE, 2 * MADE]))}, count=scene.SHAPED),
    _local("dev.backlog", "ra0", ROUTER, IP, **_WIRE, **_queue("softnet", length=0)),
    Row("gro.rx", "joined", "tap8", ROUTER, {"len": MADE_IP, "packet.id": _NUMBERS, **_FRAME_MACS}, count=COUNT),
    Row("gro.frags", "in_pages", "tap8", ROUTER, {"len": MADE_IP, "packet.id": _NUMBERS, **_FRAME_MACS}, count=COUNT),
    Row("qdisc.enqueue", "shaped", "q9", A, {"len": MADE, "packet.id": Each(range(3)), **_FRAME_MACS, **_queue(
        "qdisc", length=Each([1, 1, 2]), backlog=Each([MADE, MADE, 2 * MADE]))}, count=3),
    Row("qdisc.dequeue", "shaped", "q9", A, {"len": MADE, "packet.id": 0, **_FRAME_MACS, **_queue(
        "qdisc", length=0, backlog=0)}, count=1),
    Row("qdisc.drop", "shaped", "q9", A, {"len": MADE, "packet.id": 3, "queue.kind": "qdisc"},
        {"queue.length": known("shaped", "qlen"), "queue.backlog": known("shaped", "backlog")}, count=1),
    Row("skb.drop", "closed", "ra0", ROUTER, {"len": 8 + SIZE, "reason": one_of("NO_SOCKET", None), "stack": bool,
                                               "at": lambda at: at.startswith(("__udp4_lib_rcv+", "udp_rcv+"))},
        count=COUNT),
    Row("skb.free", "tapped", "tap9", ROUTER, {"len": MADE, "packet.id": _NUMBERS, "process": scene.PROCESS,
                                               **_FRAME_MACS}, count=COUNT),
    Row("sock.deliver", "tapped", "tap9", ROUTER, {"len": MADE, "packet.id": _NUMBERS, "process": scene.PROCESS,
                                                   **_FRAME_MACS}, count=COUNT),
    Row("sock.full", "pinged", "ra0", ROUTER, {"len": 8 + SIZE, "queue.kind": "receive"},
        {"queue.limit": known("pinged", "limit")}),
    Row("udp.full", "full", "ra0", ROUTER, {"len": SIZE, "queue.kind": "receive"},
        {"queue.limit": known("full", "limit")}),
    Row("tcp.retransmit", "eaten", "-", A, {"len": SIZE, "made_up": True, "packet.flags": "PA",
                                            **_queue("send", backlog=at_least(SIZE))}),
    _local("dev.core", "ra0", ROUTER, IP, **_WIRE),
    _local("dev.xmit", "a0", A, FRAME),    # the kernel notes only then where its Ethernet header is
    Row("qdisc.direct", "shaped", "q9", A, {"len": MADE, "packet.id": 0, "queue.kind": "qdisc"}, count=1),
    Row("tun.xmit", "tapped", "tap9", ROUTER, {"len": MADE, "packet.id": _NUMBERS, **_FRAME_MACS, **_queue(
        "tap", length=_NUMBERS, limit=RING)}, count=COUNT),
    _bridged("br.rx", "ra1"), _bridged("br.lookup", "ra1"), _bridged("br.forward", "ra1"), _bridged("br.tx", "rb1"),
    Row("br.local", "to_bridge", "ra1", ROUTER, {"len": IP}, count=COUNT),
    Row("ovs.upcall", SWITCHED, "p-a2", "", {"len": FRAME}, count=1, needs=SWITCHED),
    Row("ovs.userspace", SWITCHED, "p-a2", "", {"len": FRAME}, count=1, needs=SWITCHED),
    _ovs("ovs.action", "p-a2", FRAME), _ovs("ovs.rx", "p-a2", IP), _ovs("ovs.receive", "p-a2", FRAME),
    _ovs("ovs.process", "p-a2", FRAME), _ovs("ovs.execute", "p-a2", FRAME), _ovs("ovs.output", "p-a2", FRAME),
    _ovs("ovs.tx", "p-a2", FRAME), _ovs("ovs.ct", "p-a2", FRAME, "tracked"),
    Row("ovs.drop", "refused", "p-a2", "", {"len": FRAME, "stack": bool}, needs=SWITCHED),
    _ovs("ovs.internal_rx", "sw9", FRAME, "to_switch"), _ovs("ovs.internal_tx", "sw9", FRAME, "from_switch"),
    _tunnel("vxlan.tx", "vxlan", "vx9", A, FRAME), _tunnel("tunnel.tx", "vxlan", "vx9", A, OUTER),
    _tunnel("vxlan.rx", "vxlan", "ra0", ROUTER, OUTER, **{"packet.tunnel": "vxlan", "packet.tunnel_id": 77}),
    _tunnel("tunnel.rx", "vxlan", "ra0", ROUTER, OUTER, **{"packet.tunnel": "vxlan", "packet.tunnel_id": 77}),
    _tunnel("gro.cell", "vxlan", "vx9", ROUTER, IP, **_queue("gro.cell", length=0)),
    _tunnel("geneve.tx", "geneve", "gnv9", A, FRAME),
    _tunnel("geneve.rx", "geneve", "ra0", ROUTER, OUTER, **{"packet.tunnel": "geneve", "packet.tunnel_id": 78}),
    _local("ip.rx", "ra0", ROUTER, IP), _local("ip.local", "ra0", ROUTER, IP),
    _local("ip.local_out", "-", A, IP), _local("ip.output", "-", A, IP), _local("ip.finish", "a0", A, IP),
    Row("ip.forward", "routed", "ra0", ROUTER, {"len": IP}, count=COUNT),
    Row("ip6.rx", "routed6", "ra0", ROUTER, {"len": IP6}, count=COUNT),
    Row("ip6.forward", "routed6", "ra0", ROUTER, {"len": IP6}, count=COUNT),
    Row("ip6.output", "routed6", "-", A, {"len": IP6}, count=COUNT),
    Row("tcp.rx", "stream", "ra0", ROUTER),
    Row("tcp.backlog", "stream", "a0", A, _queue("receive", limit=at_least(1)), backwards=True),
    Row("tcp.tx", "stream", "-", A, {"made_up": True, **_queue("send", limit=at_least(1))}),
    Row("tcp.listen", "stream", "ra0", ROUTER, {"packet.flags": "S", **_queue("accept", length=0, limit=ROOM)},
        count=1),
    Row("udp.queue", "local", "ra0", ROUTER, {"len": SIZE, "queue.kind": "receive"}, count=COUNT),
    Row("udp.deliver", "local", "ra0", ROUTER, {"len": SIZE, "queue.kind": "receive", "process": scene.PROCESS},
        count=COUNT),
    _local("packet.rx", "ra0", ROUTER, IP),
    Row("nf.hook", "local", "ra0", ROUTER, {"len": IP}),
    Row("nf.conntrack", "local", "ra0", ROUTER, {"len": IP}, count=COUNT),
    Row("nf.confirm", "local", "ra0", ROUTER, {"len": IP}, count=1),
    Row("nf.nat", "translated", "ra0", ROUTER, {"len": IP}, count=COUNT),
    Row("nf.iptables", "local", "ra0", ROUTER, {"len": IP}, needs="iptables"),
]
BY_POINT = {row.point: row for row in ROWS}
FILTER = "net 10.99.0.0/16 or net fd99::/16"
