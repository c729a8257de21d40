# SPDX-License-Identifier: Apache-2.0
"""The words for a packet's addresses, protocol and flags: what the live text on a host says, for one different row."""
import socket
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrays import join, number, strings, text_of
from . import headers

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
ARP_OPERATIONS = {1: "request", 2: "reply"}
_FLAGS = "FSRPAUEC"  # from bit 0 on


def address(version: int, raw: bytes) -> str:
    """Return an address as text."""
    return socket.inet_ntop(socket.AF_INET6, raw) if version == 6 else socket.inet_ntop(socket.AF_INET, raw[:4])


def end(version: int, raw: bytes, port: int | None) -> str:
    """Return an address with its port, if there is one."""
    text = address(version, raw)
    if port is None:
        return text
    return "[%s]:%d" % (text, port) if version == 6 else "%s:%d" % (text, port)


def protocol(code: int) -> str:
    """Return the protocol's name, or its number."""
    return PROTOCOLS.get(code) or "ip-protocol-%d" % code


def flow(version: int, code: int, ethertype: int, kind: int, source: bytes, target: bytes,
         ports: tuple[int, int] | None) -> str:
    """Return the words for a flow: `192.168.32.10:40112 > 192.168.32.20:443 tcp`."""
    if version:
        left = end(version, source, ports[0] if ports else None)
        right = end(version, target, ports[1] if ports else None)
        return "%s > %s %s" % (left, right, protocol(code))
    if ethertype == headers.ETH_ARP and kind:
        return "arp %s > %s %s" % (address(4, source), address(4, target),
                                   ARP_OPERATIONS.get(kind) or "operation-%d" % kind)
    return "ethertype 0x%04x" % ethertype


def tcp_flags(bits: int) -> str:
    """Return TCP flags as letters; - for none."""
    return "".join(letter for place, letter in enumerate(_FLAGS) if bits >> place & 1) or "-"


def addresses_of(rows: np.ndarray, name: str) -> list[str]:
    """Return the text of an address of each of many flows (of ARP, too; of others it has no meaning)."""
    raw = np.ascontiguousarray(rows[name]).tobytes()
    return [socket.inet_ntop(socket.AF_INET6, raw[at:at + 16]) if version == 6 else socket.inet_ntoa(raw[at:at + 4])
            for at, version in zip(range(0, len(raw), 16), rows["version"].tolist(), strict=True)]


def flow_of(row: Any) -> str:
    """Return the words for one different flow."""
    ports = (int(row["source_port"]), int(row["target_port"])) if row["ports"] else None
    return flow(int(row["version"]), int(row["protocol"]), int(row["ethertype"]), int(row["kind"]),
                         row["source"].tobytes(), row["target"].tobytes(), ports)


def flows_of(rows: np.ndarray) -> pa.Array:
    """Return the words for many different flows: those of IPv4 with ports all at once."""
    plain = (rows["version"] == 4) & rows["ports"]
    some, rest = np.flatnonzero(plain), np.flatnonzero(~plain)
    one = rows[some]
    ends = []
    for address_of, port in (("source", "source_port"), ("target", "target_port")):
        octets = [number(np.ascontiguousarray(one[address_of][:, place])) for place in range(4)]
        ends.append(join(octets[0], ".", octets[1], ".", octets[2], ".", octets[3], ":", number(one[port])))
    names = text_of(one["protocol"].astype("i4"), [protocol(code) for code in range(256)])
    text = pa.concat_arrays([join(ends[0], " > ", ends[1], " ", names), strings([flow_of(row) for row in rows[rest]])])
    order = np.empty(len(rows), "i8")
    order[np.concatenate([some, rest])] = np.arange(len(rows))
    return text.take(pa.array(order))
