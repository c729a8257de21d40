# SPDX-License-Identifier: Apache-2.0
"""What IPv6 refuses."""
import ipaddress
import struct

from support import bundles

from .cases import Me, case
from .packets import icmp6, ip6, summed
from .pair import B6, DEVICE, Pair

SOLICITATION = 135


def _question(target: str = B6, options: bytes = b"") -> bytes:
    """What follows the checksum of a question for a MAC address."""
    return bytes(4) + ipaddress.ip_address(target).packed + options


@case("IPV6_NDISC_HOP_LIMIT")
def from_another_network(pair: Pair, me: Me) -> None:
    pair.send(icmp6(me.v6, SOLICITATION, 0, _question(), ttl=64))


@case("IPV6_NDISC_BAD_CODE")
def code_1(pair: Pair, me: Me) -> None:
    pair.send(icmp6(me.v6, SOLICITATION, 1, _question()))


@case("IPV6_NDISC_BAD_OPTIONS")
def option_of_no_length(pair: Pair, me: Me) -> None:
    pair.send(icmp6(me.v6, SOLICITATION, 0, _question(options=bytes([1, 0]) + bytes(6))))


@case("IPV6_NDISC_NS_OTHERHOST")
def question_to_another(pair: Pair, me: Me) -> None:
    pair.send(icmp6(me.v6, SOLICITATION, 0, _question("fd77::99", bytes([1, 1, 2, 0, 0, 0x77, 0, 0x0A]))))


@case("IPV6_NDISC_FRAG")
def question_in_a_fragment(pair: Pair, me: Me) -> None:
    message = summed(struct.pack("!BBH", SOLICITATION, 0, 0) + _question(), 2, me.v6, B6, 58)
    pair.send(ip6(me.v6, struct.pack("!BBHI", 58, 0, 0, me.port) + message, 44, ttl=255))


@case("IPV6_BAD_EXTHDR")
def error_about_half_a_packet(pair: Pair, me: Me) -> None:
    about = bundles.ipv6(B6, me.v6, bytes([60]), protocol=0)
    pair.send(icmp6(me.v6, 1, 0, bytes(4) + about, ttl=64))


@case("IPV6DISABLED")
def switched_off(pair: Pair, me: Me) -> None:
    setting = f"net.ipv6.conf.{DEVICE}.disable_ipv6"
    with pair.b.with_commands(("true", f"ip addr add {B6}/64 dev {DEVICE} nodad"),
                              (f"sysctl -qw {setting}=1", f"sysctl -qw {setting}=0")):
        pair.send(ip6(me.v6, bundles.udp(4000, me.port, 8)))
