# SPDX-License-Identifier: Apache-2.0
"""What TCP refuses."""
import socket
import struct

from .cases import Me, case
from .pair import B4, Pair
from .peer import ACK, FIN, MD5, PSH, RST, SYN, Peer, connected, listening

IP_MINTTL, TCP_MD5SIG = 21, 14


@case("NO_SOCKET")
def tcp_to_a_closed_port(pair: Pair, me: Me) -> None:
    Peer(pair, me, me.port).send(SYN)


@case("TCP_CSUM")
def tcp_checksum(pair: Pair, me: Me) -> None:
    with listening(pair, me):
        Peer(pair, me, me.port).send(SYN, wrong=1)


@case("TCP_FLAGS")
def ack_to_a_listening_port(pair: Pair, me: Me) -> None:
    with listening(pair, me):
        Peer(pair, me, me.port).send(ACK, ack=77)


@case("TCP_RESET")
def reset_of_no_connection(pair: Pair, me: Me) -> None:
    with listening(pair, me):
        Peer(pair, me, me.port).send(RST)


@case("TCP_OLD_DATA")
def last_segment_again(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.give(100)
        peer.send(ACK | PSH, 100, seq=peer.seq - 100)


@case("TCP_OLD_SEQUENCE")
def earlier_segment_again(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.give(100)
        peer.give(100)
        peer.send(ACK | PSH, 100, seq=peer.seq - 200)


@case("TCP_INVALID_SEQUENCE")
def far_outside_the_window(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK | PSH, 100, seq=peer.seq + (1 << 24))


@case("TCP_INVALID_END_SEQUENCE")
def over_the_end_of_the_window(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK | PSH, 100)
        peer.seq += 100
        window = peer.hear().window
        peer.send(ACK | PSH, 100, seq=peer.seq + window - 50)


@case("TCP_OFOMERGE")
def out_of_order_twice(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK | PSH, 100, seq=peer.seq + 200)
        peer.send(ACK | PSH, 50, seq=peer.seq + 225)


@case("TCP_OFO_DROP")
def out_of_order_then_whole(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK | PSH, 100, seq=peer.seq + 200)
        peer.send(ACK | PSH, 400)


@case("TCP_INVALID_SYN")
def syn_on_a_connection(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(SYN)


@case("TCP_ACK_UNSENT_DATA")
def confirms_what_was_not_sent(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK, ack=peer.ack + 1000)


@case("TCP_TOO_OLD_ACK")
def confirms_from_long_ago(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, _server):
        peer.send(ACK, ack=peer.ack - (1 << 24), window=50000)    # a new window: TCP has to look closer


@case("TCP_RFC7323_PAWS")
def old_time_stamp(pair: Pair, me: Me) -> None:
    with connected(pair, me, stamps=True) as (peer, _server):
        peer.give(100)
        peer.now -= 500
        peer.send(ACK | PSH, 100)


@case("TCP_RFC7323_PAWS_ACK")
def old_ack(pair: Pair, me: Me) -> None:
    with connected(pair, me, stamps=True) as (peer, _server):
        peer.give(100)
        peer.now -= 500
        peer.send(ACK, seq=peer.seq - 100)


@case("TCP_RFC7323_TSECR")
def echo_of_no_time_stamp(pair: Pair, me: Me) -> None:
    with listening(pair, me):
        peer = Peer(pair, me, me.port)
        peer.now = 1000
        peer.begin()
        peer.stamp += 1 << 30
        peer.send(ACK)


@case("TCP_RFC7323_TW_PAWS")
def old_time_stamp_after_the_end(pair: Pair, me: Me) -> None:
    with connected(pair, me, stamps=True) as (peer, server):
        peer.give(10)
        server.recv(10)
        server.close()
        peer.ack = peer.hear(FIN).seq + 1
        peer.send(ACK | FIN)
        peer.now -= 500
        peer.send(ACK | PSH, 10)


@case("TCP_LISTEN_OVERFLOW")
def two_for_a_queue_of_one(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        first, second = Peer(pair, me, me.port, 5001), Peer(pair, me, me.port, 5002)
        first.begin()
        second.begin()
        server.listen(0)
        first.send(ACK)
        second.send(ACK)


@case("TCP_ABORT_ON_DATA")
def data_for_a_program_that_is_gone(pair: Pair, me: Me) -> None:
    with connected(pair, me) as (peer, server):
        server.close()
        peer.send(ACK | PSH, 100)


@case("TCP_MINTTL")
def from_too_far(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        server.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)
        Peer(pair, me, me.port).send(SYN)


def _key(server: socket.socket, address: str) -> None:
    """Demand signatures by MD5 of segments from an address."""
    who = struct.pack("!HH4s", 0, 0, socket.inet_aton(address)).ljust(128, b"\0")
    who = struct.pack("H", socket.AF_INET) + who[2:]
    server.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, who + struct.pack("BBHi80s", 0, 0, 3, 0, b"key"))


SIGNATURE = b"\1\1" + bytes([MD5, 18]) + bytes(16)


@case("TCP_MD5NOTFOUND")
def signature_is_missing(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        _key(server, me.v4)
        Peer(pair, me, me.port).send(SYN)


@case("TCP_MD5FAILURE")
def signature_is_wrong(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        _key(server, me.v4)
        Peer(pair, me, me.port).send(SYN, options=SIGNATURE)


@case("TCP_MD5UNEXPECTED")
def signature_is_not_asked_for(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        _key(server, B4)
        Peer(pair, me, me.port).send(SYN, options=SIGNATURE)


@case("TCP_AUTH_HDR")
def signed_twice(pair: Pair, me: Me) -> None:
    with listening(pair, me) as server:
        _key(server, me.v4)
        Peer(pair, me, me.port).send(SYN, options=SIGNATURE + SIGNATURE)
