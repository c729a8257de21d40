# SPDX-License-Identifier: Apache-2.0
"""What VXLAN and bridges refuse."""
from collections.abc import Iterator
from contextlib import contextmanager

from support import bundles
from support.lab import wait_until

from .cases import Me, case
from .packets import frame, udp
from .pair import B4, MAC_A, Pair

VNI, PORT, OWN = 77, 4789, "02:00:00:77:00:42"


@contextmanager
def vxlan(pair: Pair, options: str = f"id {VNI}") -> Iterator[None]:
    """A VXLAN device on `b`."""
    made = f"ip link add vx0 address {OWN} type vxlan dstport {PORT} local {B4} {options}"
    with pair.b.with_commands((made, "ip link del vx0"), ("ip link set vx0 up", "")):
        yield


def _wrapped(me: Me, vni: int = VNI, source: str = MAC_A, tos: int = 0, inner_tos: int = 0) -> bytes:
    """A frame with a VXLAN packet from this case's address."""
    inner = frame(udp(me.v4, me.port, tos=inner_tos), to=OWN, source=source)
    return frame(udp(me.v4, PORT, bundles.vxlan(vni, inner), tos=tos))


@case("VXLAN_VNI_NOT_FOUND")
def other_network(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.send(_wrapped(me, VNI + 1))


@case("VXLAN_INVALID_HDR")
def no_network(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.send(frame(udp(me.v4, PORT, bytes(8) + frame(udp(me.v4, me.port), to=OWN))))


@case("LOCAL_MAC")
def own_frame_comes_back(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.send(_wrapped(me, source=OWN))


@case("MAC_INVALID_SOURCE")
def source_is_a_group_of_macs(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.send(_wrapped(me, source="03:00:00:77:00:01"))


@case("VXLAN_ENTRY_EXISTS")
def moved_against_a_fixed_entry(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.b.run(f"bridge fdb add {me.mac} dev vx0 dst 10.77.9.9 static")
        pair.send(_wrapped(me, source=me.mac))


@case("IP_TUNNEL_ECN")
def marks_contradict(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        pair.send(_wrapped(me, tos=3))


def _out(pair: Pair, me: Me, device: str) -> None:
    """Send a frame of this case out of a device of `b`."""
    with pair.b.link(device) as link:
        link.send(frame(udp(me.v4, me.port), to=MAC_A))
    pair.settle()


@case("NO_TX_TARGET")
def no_tunnel_end(pair: Pair, me: Me) -> None:
    with vxlan(pair):
        _out(pair, me, "vx0")


@case("TUNNEL_TXINFO")
def nobody_told_where_to(pair: Pair, me: Me) -> None:
    with vxlan(pair, "external"):
        _out(pair, me, "vx0")


@contextmanager
def bridged(pair: Pair) -> Iterator[None]:
    """A bridge on `b`, with one port to which frames of `in0` come."""
    with pair.b.with_commands(("ip link add br0 type bridge mcast_snooping 0", "ip link del br0"),
                              ("ip link add in0 type veth peer port0", "ip link del in0"),
                              ("ip link set port0 master br0 up", ""), ("ip link set in0 up", ""),
                              ("ip link set br0 up", "")):
        wait_until(lambda: "state UP" in pair.b.run("ip -o link show port0"), "the bridge's port is up")
        yield


def _into_bridge(pair: Pair, me: Me, to: str, source: str = "") -> None:
    with pair.b.link("in0") as link:
        link.send(frame(udp(me.v4, me.port), to=to, source=source or me.mac))
    pair.settle()


@case("NO_TX_TARGET")
def no_other_port(pair: Pair, me: Me) -> None:
    with bridged(pair):
        _into_bridge(pair, me, "02:00:00:77:00:99")


@case("BRIDGE_INGRESS_STP_STATE")
def port_is_disabled(pair: Pair, me: Me) -> None:
    with bridged(pair):
        pair.b.run("bridge link set dev port0 state 0")    # disabled: others last with spanning tree only
        _into_bridge(pair, me, "02:00:00:77:00:99")


@case("MAC_IEEE_MAC_CONTROL")
def pause_frame(pair: Pair, me: Me) -> None:
    with bridged(pair):
        _into_bridge(pair, me, "01:80:c2:00:00:01")


@case("MAC_INVALID_SOURCE")
def bridge_gets_a_group_as_source(pair: Pair, me: Me) -> None:
    with bridged(pair):
        _into_bridge(pair, me, "02:00:00:77:00:99", "03:00:00:77:00:01")
