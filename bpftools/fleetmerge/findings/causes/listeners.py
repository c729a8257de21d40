# SPDX-License-Identifier: Apache-2.0
"""Queues of new connections that had no room: a program accepts them too slowly, or hangs.

A SYN that finds such a queue full is dropped without being called a drop (tcp_conn_request in net/ipv4/tcp_input.c).
What comes when the queue has filled meanwhile, the ACK that would open a connection, is called one; where it answers a
SYN cookie, for want of a socket (cookie_v4_check in net/ipv4/syncookies.c). All of them are counted.
"""
import ipaddress
from typing import Any

from ...bundle.evidence import Reading
from .drop import Candidate, Drop
from .hooks import plain

_REASON = "TCP_LISTEN_OVERFLOW"
_COOKIES = ("cookie_v4_check", "cookie_v6_check")
_COUNTER = "ListenOverflows"
_MOST = 1 << 62


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the sockets whose queue had no room for the connections that packets would have opened."""
    if drop.reason != _REASON and plain(drop.function) not in _COOKIES or "listeners" not in reading.after:
        return None
    after, before = (_overflows(reading, when) for when in ("after", "before"))
    found = {(one["address"], one["port"]): one for packet in drop.packets if packet.protocol == "tcp" and packet.dst
             for one in _taking(reading, packet.dst, packet.dst_port)}
    return [Candidate("socket", "the queue of new connections of the socket that listens on %s port %d (limit %d)" % (
                one["address"], one["port"], one["limit"]),
                {"port": one["port"], "limit": one["limit"], "setting": "listen"},
                None if after is None or before is None else after - before, _COUNTER)
            for one in found.values()]


def full_queue(reading: Reading, address: str, port: int) -> dict[str, Any] | None:
    """Return what is known of the queue of new connections that a SYN to an address and port of a network namespace's
    own came to: by how much the counter of those that had no room rose, and, of the socket that listens there, if it
    has none even now, its address, how many wait in it, and its limit. None if that is not its own, if nobody listens
    there, or if the counter did not rise; also where that was not read."""
    after, before = (_overflows(reading, when) for when in ("after", "before"))
    taking = _taking(reading, address, port) if _is_own(reading, address) else []
    if after is None or before is None or after <= before or not taking:
        return None
    out: dict[str, Any] = {"overflows": after - before}
    return {**out, **taking[0]} if len(taking) == 1 and taking[0]["waiting"] > taking[0]["limit"] else out


def _is_own(reading: Reading, address: str) -> bool:
    """Whether an address is one of the network namespace's, so that what came for it was not to be sent on."""
    each = [device.get("addr_info") for device in reading.rows("addresses")]
    return any(isinstance(one, dict) and one.get("local") == address
               for some in each if isinstance(some, list) for one in some)


def _taking(reading: Reading, address: str, port: int | None) -> list[dict[str, Any]]:
    """Return the sockets that would take a connection to an address: those that listen there; if none does, on all."""
    there = [(one, _same(one["address"], address)) for one in _listening(reading) if one["port"] == port]
    return [one for one, same in there if same] or [one for one, same in there if same is None]


def _same(listens: str, address: str) -> bool | None:
    """Whether a socket listens on an address; None: on all of that version. listens: as ss writes it, 127.0.0.53%lo,
    [::ffff:10.0.0.1], * for all of both versions."""
    text = listens.partition("%")[0].strip("[]").removeprefix("::ffff:")
    if text == "*":
        return None
    try:
        own, asked = ipaddress.ip_address(text), ipaddress.ip_address(address)
    except ValueError:
        return False
    return None if own.is_unspecified and own.version == asked.version else own == asked


def _overflows(reading: Reading, when: str) -> int | None:
    """Return the counter, from the pairs of lines of /proc/net/netstat."""
    for lines in reading.by_key("statistics-more", when).values():
        for names, numbers in zip(lines[::2], lines[1::2], strict=False):
            counters = dict(zip(str(names).split(), str(numbers).split(), strict=False))
            number = counters.get(_COUNTER, "")
            if number.isdecimal() and int(number[:20]) < _MOST:
                return int(number)
    return None


def _listening(reading: Reading) -> list[dict[str, Any]]:
    """Return the listening sockets, from lines of ss: LISTEN, how many wait, how many may, address and port."""
    out = []
    for line in reading.lines("listeners"):
        words = line.split()
        address, _, port = words[3].rpartition(":") if len(words) > 3 else ("", "", "")
        if port.isdecimal() and words[1].isdecimal() and words[2].isdecimal():
            out.append({"address": address, "port": int(port[:6]), "waiting": int(words[1][:18]),
                        "limit": int(words[2][:18])})
    return out
