# SPDX-License-Identifier: Apache-2.0
"""What sockets, the firewall and filters refuse."""
import ctypes
import socket
import struct

from support import bundles
from support.lab import wait_until

from .cases import Me, case
from .packets import frame, ip, summed, udp
from .pair import B4, DEVICE, Pair, readable

RULE = "table ip provoked {{ chain input {{ type filter hook input priority 0; ip saddr {address} drop; }}; }}"
RETURN_0 = struct.pack("HBBI", 6, 0, 0, 0)    # a classic BPF program that takes nothing
SO_ATTACH_FILTER = 26


def refusing(one: socket.socket) -> None:
    """Give a socket a filter that takes nothing."""
    code = ctypes.create_string_buffer(RETURN_0)
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))


@case("NO_SOCKET")
def closed_port(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port)))


@case("UDP_CSUM")
def udp_checksum(pair: Pair, me: Me) -> None:
    datagram = bytearray(summed(bundles.udp(4000, me.port, 32), 6, me.v4, B4, 17))
    datagram[-1] ^= 1
    pair.send(frame(ip(me.v4, bytes(datagram))))


@case("SOCKET_FILTER")
def filter_of_the_program(pair: Pair, me: Me) -> None:
    with pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((B4, me.port))
        refusing(server)
        pair.send(frame(udp(me.v4, me.port)))


@case("SOCKET_RCVBUFF")
def nobody_reads(pair: Pair, me: Me) -> int:
    sent, kept = 20, 0
    with pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        server.bind((B4, me.port))
        pair.send(*[frame(udp(me.v4, me.port, bytes(500)))] * sent)
        while readable(server):
            server.recv(1000)
            kept += 1
    assert 0 < kept < sent
    return sent - kept


@case("QUEUE_PURGE")
def raw_socket_closed_unread(pair: Pair, me: Me) -> int:
    with pair.b.open(socket.AF_INET, socket.SOCK_RAW, 254) as server:
        server.bind((B4, 0))
        pair.send(*[frame(ip(me.v4, bytes(32), 254))] * 3)
    return 3


@case("NOT_SPECIFIED")
def udp_socket_closed_unread(pair: Pair, me: Me) -> int:
    with pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((B4, me.port))
        pair.send(*[frame(udp(me.v4, me.port))] * 3)
    return 3


@case("NETFILTER_DROP")
def rule_of_nftables(pair: Pair, me: Me) -> None:
    pair.b.run("nft -f -", input=RULE.format(address=me.v4))
    pair.send(frame(udp(me.v4, me.port)))
    pair.b.run("nft flush ruleset")


@case("PACKET_SOCK_ERROR")
def capture_that_is_too_slow(pair: Pair, me: Me) -> int:
    sent, kept = 20, 0
    with pair.b.link() as capture:
        capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        capture.bind((DEVICE, 0x88B6))
        pair.send(*[frame(udp(me.v4, me.port, bytes(500)), 0x88B6, source=me.mac)] * sent)
        while readable(capture):
            capture.recv(1000)
            kept += 1
    assert 0 < kept < sent
    return sent - kept


@case("UNHANDLED_PROTO")
def protocol_of_nobody(pair: Pair, me: Me) -> None:
    pair.send(frame(udp(me.v4, me.port), 0x88B7, source=me.mac))


@case("NEIGH_FAILED")
def next_hop_is_silent(pair: Pair, me: Me) -> None:
    """With its port, as it goes to nobody."""
    with pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", (me.v4, me.port))
        wait_until(lambda: "FAILED" in pair.b.run(f"ip neigh show to {me.v4}"), f"{me.v4} has failed")


@case("NEIGH_QUEUEFULL")
def too_many_for_a_silent_next_hop(pair: Pair, me: Me) -> int:
    pair.b.set(**{f"ipv4__neigh__{DEVICE}__unres_qlen": 1})
    with pair.b.open(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _number in range(5):
            sender.sendto(bytes(1000), (me.v4, me.port))
        wait_until(lambda: "FAILED" in pair.b.run(f"ip neigh show to {me.v4}"), f"{me.v4} has failed")
    return 4
