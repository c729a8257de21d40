# SPDX-License-Identifier: Apache-2.0
"""What IPv4 refuses."""
import socket

from faults.frames import checksum
from support import bundles
from support.lab import wait_until

from .cases import Me, case
from .packets import frame, ip, udp
from .pair import B4, DEVICE, Pair


@case("PKT_TOO_SMALL")
def truncated(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port, length=200)))


@case("IP_CSUM")
def header_checksum(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port, wrong=1)))


@case("IP_INHDR")
def ip_version_5(pair: Pair, me: Me) -> None:
    packet = udp(me.v4, me.port)
    pair.send(frame(bytes([0x55]) + packet[1:]))


@case("OTHERHOST")
def for_another(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port), to="02:00:00:77:00:ff"))


@case("UNICAST_IN_L2_MULTICAST")
def to_a_group_of_macs(pair: Pair, me: Me) -> None:
    pair.b.set(**{f"ipv4__conf__{DEVICE}__drop_unicast_in_l2_multicast": 1})
    pair.send(frame(udp(me.v4, me.port), to="01:00:5e:00:00:77"))


@case("IP_RPFILTER")
def way_back_elsewhere(pair: Pair, me: Me) -> None:
    pair.b.set(**{f"ipv4__conf__{DEVICE}__rp_filter": 1})
    pair.send(frame(udp("203.0.113.7", me.port)))


@case("IP_LOCAL_SOURCE")
def own_address_from_outside(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(B4, me.port)))


@case("IP_INVALID_SOURCE")
def source_is_a_group(pair: Pair, me: Me) -> None:
    pair.send(frame(udp("224.0.0.77", me.port)))


@case("IP_LOCALNET")
def source_is_loopback(pair: Pair, me: Me) -> None:
    pair.send(frame(udp("127.0.0.77", me.port)))


@case("IP_INVALID_DEST")
def destination_is_zero(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port, target="0.0.0.0")))


@case("IP_NOPROTO")
def protocol_253(pair: Pair, me: Me) -> None:
    pair.send(frame(ip(me.v4, bytes(32), 253)))


@case("IP_INADDRERRORS")
def not_forwarded(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port, target="198.51.100.7")))


@case("IP_INNOROUTES")
def no_route_to_forward(pair: Pair, me: Me) -> None:
    with pair.b.with_commands(("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0")):
        pair.send(frame(udp(me.v4, me.port, target="198.51.100.7")))


@case("IP_INHDR")
def ttl_runs_out(pair: Pair, me: Me) -> None:
    with pair.b.with_commands(("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0"),
                              ("ip route add 198.51.100.0/24 dev lo", "ip route del 198.51.100.0/24")):
        pair.send(frame(udp(me.v4, me.port, target="198.51.100.7", ttl=1)))


@case("PKT_TOO_BIG")
def does_not_fit(pair: Pair, me: Me) -> None:
    uncut = udp(me.v4, me.port, bytes(1000), target="198.51.100.7", fragment=0x4000 << 3)    # the bit that forbids to
    with pair.b.with_commands(("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0"),
                              ("ip route add 198.51.100.0/24 via 10.77.0.1 mtu lock 600",
                               "ip route del 198.51.100.0/24")):
        pair.send(frame(uncut))


@case("INVALID_PROTO")
def ping_to_all(pair: Pair, me: Me) -> None:
    pair.send(frame(_echo(me), to="ff:ff:ff:ff:ff:ff"))


def _echo(me: Me, target: str = "10.77.255.255", wrong: int = 0) -> bytes:
    message = bytearray(bundles.icmp(8, 0, me.port, 1))
    message[2:4] = (checksum(bytes(message)) ^ wrong).to_bytes(2, "big")
    return ip(me.v4, bytes(message), 1, target=target)


@case("ICMP_CSUM")
def icmp_checksum(pair: Pair, me: Me) -> None:
    pair.send(frame(_echo(me, B4, wrong=1)))


def _fragment(me: Me, number: int, offset: int, size: int = 64, more: bool = True) -> bytes:
    return frame(ip(me.v4, bytes(size), ident=number, fragment=offset, more=more))


@case("DUP_FRAG")
def fragment_twice(pair: Pair, me: Me) -> None:
    pair.send(_fragment(me, 1, 0), _fragment(me, 1, 0))


@case("FRAG_TOO_FAR")
def fragments_far_apart(pair: Pair, me: Me) -> None:
    with pair.b.with_commands(("sysctl -qw net.ipv4.ipfrag_max_dist=1", "sysctl -qw net.ipv4.ipfrag_max_dist=64")):
        pair.send(_fragment(me, 2, 0), *[_fragment(me, number, 0) for number in (3, 4, 5)], _fragment(me, 2, 64))


@case("FRAG_REASM_TIMEOUT")
def fragment_alone(pair: Pair, me: Me) -> None:
    before = pair.b.counter("IpReasmTimeout")
    with pair.b.with_commands(("sysctl -qw net.ipv4.ipfrag_time=1", "sysctl -qw net.ipv4.ipfrag_time=30")):
        pair.send(_fragment(me, 6, 0))
        wait_until(lambda: pair.b.counter("IpReasmTimeout") > before, "the fragment's time is over")


@case("XFRM_POLICY")
def ipsec_forbids(pair: Pair, me: Me) -> None:
    policy = f"src {me.v4}/32 dst {B4}/32 dir in"
    with pair.b.with_commands((f"ip xfrm policy add {policy} action block", f"ip xfrm policy del {policy}")), \
            pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((B4, me.port))
        pair.send(frame(udp(me.v4, me.port)))
