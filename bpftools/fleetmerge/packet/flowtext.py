# SPDX-License-Identifier: Apache-2.0
"""The words for a packet's addresses, protocol and flags: what the live text on a host says, for one different row."""
import socket
from typing import Any

import numpy as np

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


def protocol(number: int) -> str:
    """Return the protocol's name, or its number."""
    return PROTOCOLS.get(number) or "ip-protocol-%d" % number


def flow(version: int, number: int, ethertype: int, kind: int, source: bytes, target: bytes,
         ports: tuple[int, int] | None) -> str:
    """Return the words for a flow: `192.168.32.10:40112 > 192.168.32.20:443 tcp`."""
    if version:
        left = end(version, source, ports[0] if ports else None)
        right = end(version, target, ports[1] if ports else None)
        return "%s > %s %s" % (left, right, protocol(number))
    if ethertype == headers.ETH_ARP and kind:
        return "arp %s > %s %s" % (address(4, source), address(4, target),
                                   ARP_OPERATIONS.get(kind) or "operation-%d" % kind)
    return "ethertype 0x%04x" % ethertype


def tcp_flags(bits: int) -> str:
    """Return TCP flags as letters; - for none."""
    return "".join(letter for place, letter in enumerate(_FLAGS) if bits >> place & 1) or "-"


def flows_of(rows: np.ndarray) -> list[str]:
    """Return the words for each of many different flows."""
    source, target = addresses_of(rows, "source"), addresses_of(rows, "target")
    out = []
    for row, (version, number, ports, left, right) in enumerate(zip(
            rows["version"].tolist(), rows["protocol"].tolist(), rows["ports"].tolist(), source, target, strict=True)):
        if not version:
            out.append(flow_of(rows[row]))
        elif not ports:
            out.append("%s > %s %s" % (left, right, protocol(number)))
        else:
            shape = "[%s]:%d > [%s]:%d %s" if version == 6 else "%s:%d > %s:%d %s"
            out.append(shape % (left, rows["source_port"][row], right, rows["target_port"][row], protocol(number)))
    return out


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
