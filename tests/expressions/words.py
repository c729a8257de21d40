# SPDX-License-Identifier: Apache-2.0
"""Random expressions in the language of pcap-filter(7), of words that the random packets know."""
import random

from .packets import MACS, PORTS, TAGS, V4, V6

_MAC = [":".join(mac[at:at + 2] for at in range(0, 12, 2)) for mac in MACS]
_LAYERS = {"ether": 20, "ip": 24, "ip6": 48, "tcp": 24, "udp": 16, "icmp": 12, "arp": 28, "sctp": 16, "icmp6": 8}


def _way(rng: random.Random) -> str:
    return rng.choice(["", "", "src ", "dst ", "src or dst ", "src and dst "])


def _host(rng: random.Random) -> str:
    address = rng.choice(V4 + V6)
    family = rng.choice(["", "", "ip6 " if ":" in address else rng.choice(["ip ", "arp "])])
    return family + _way(rng) + "host " + address


def _net(rng: random.Random) -> str:
    return _way(rng) + "net " + rng.choice(["10.0.0.0/8", "10.0.1.0/24", "192.168.32", "224.0.0.0/4", "fd00:32::/64",
                                            "fe80::/10", "2001:db8::/32", "10.0.0.0 mask 255.255.255.254"])


def _port(rng: random.Random) -> str:
    protocol = rng.choice(["", "", "tcp ", "udp ", "sctp "])
    if rng.random() < 0.3:
        low, high = sorted(rng.sample(PORTS, 2))
        return f"{protocol}{_way(rng)}portrange {low}-{high}"
    return f"{protocol}{_way(rng)}port {rng.choice(PORTS)}"


def _protocol(rng: random.Random) -> str:
    return rng.choice(["ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "ah", "esp", "vrrp",
                       "llc", "stp", "ip proto 47", "ip6 proto 44", "ip proto \\tcp", "ip6 proto \\udp", "proto 89",
                       "ether proto 0x88cc", "ether proto \\ip6", "ether proto 0x8847", "mpls", "pppoed"])


def _addresses(rng: random.Random) -> str:
    return rng.choice([f"ether {rng.choice(['', 'src ', 'dst '])}host {rng.choice(_MAC)}", "ether broadcast",
                       "ether multicast", "ip multicast", "ip6 multicast", "multicast"])


def _tagged(rng: random.Random) -> str:
    tag = rng.choice(["", f" {rng.choice(TAGS) & 0xFFF}"])
    return rng.choice([f"vlan{tag}", f"vlan{tag} and {_primitive(rng)}", f"vlan{tag} and vlan and {_port(rng)}",
                       f"geneve and {_primitive(rng)}", "geneve 7", f"mpls and {_host(rng)}"])


def _number(rng: random.Random) -> str:
    layer = rng.choice(list(_LAYERS))
    size = rng.choice(["", "", ":1", ":2", ":4"])
    kind = rng.random()
    if kind < 0.1 and layer not in ("ether", "ip6"):
        return f"{layer}[(ip[0] & 0xf) * 4{size}]" if rng.random() < 0.5 else f"ip[ip[0] & 0xf{size}]"
    if kind < 0.15:
        return "icmp[icmptype]"
    if kind < 0.25:
        return "tcp[tcpflags]"
    if kind < 0.3:
        return f"ether[ether[{rng.randrange(12, 24)}] & 0x1f{size}]"
    return f"{layer}[{rng.randrange(_LAYERS[layer])}{size}]"


def _compare(rng: random.Random) -> str:
    left = _number(rng)
    kind = rng.random()
    if kind < 0.4:
        left = f"{left} & {rng.choice(['0xf', '0xff', '0x0f00', '0xfffe', 'tcp-syn', '0x80'])}"
    elif kind < 0.6:
        left = f"({left} {rng.choice(['+', '-', '*', '/', '%', '|', '^'])} {_number(rng)})"
    elif kind < 0.7:
        left = f"{left} {rng.choice(['<<', '>>'])} {rng.choice(['1', '4', '(ip[1] & 3)', '31'])}"
    elif kind < 0.75:
        left = f"-{left}"
    right = rng.choice(["0", "1", "2", "6", "17", "0x45", "0x0800", "443", "0x0a000001", "255", _number(rng)])
    return f"{left} {rng.choice(['=', '!=', '>', '<', '>=', '<='])} {right}"


_PRIMITIVES = [_host, _host, _net, _port, _port, _protocol, _protocol, _addresses, _compare, _compare, _tagged]


def _primitive(rng: random.Random) -> str:
    return rng.choice(_PRIMITIVES)(rng)


def make(rng: random.Random, depth: int = 0) -> str:
    """Return a random expression; libpcap may refuse it."""
    if depth > 2 or rng.random() < 0.35:
        word = _primitive(rng)
        return f"not {word}" if rng.random() < 0.15 else word
    inner = f"{make(rng, depth + 1)} {rng.choice(['and', 'and', 'or'])} {make(rng, depth + 1)}"
    return f"not ({inner})" if rng.random() < 0.15 else f"({inner})"
