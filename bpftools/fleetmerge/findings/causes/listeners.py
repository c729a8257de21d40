# SPDX-License-Identifier: Apache-2.0
"""Queues of new connections that had no room: a program accepts them too slowly, or hangs.

A SYN that finds such a queue full is dropped without being called a drop (tcp_conn_request in net/ipv4/tcp_input.c).
What comes when the queue has filled meanwhile, the ACK that would open a connection, is called one; where it answers a
SYN cookie, for want of a socket (cookie_v4_check in net/ipv4/syncookies.c). All of them are counted.
"""
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
    ports = {packet.dst_port for packet in drop.packets if packet.protocol == "tcp"}
    return [Candidate("socket", "the queue of new connections of the socket that listens on %s port %d (limit %d)" % (
                one["address"], one["port"], one["limit"]),
                {"port": one["port"], "limit": one["limit"], "setting": "listen"},
                None if after is None or before is None else after - before, "ListenOverflows")
            for one in _listening(reading) if one["port"] in ports]


def full_queue(reading: Reading, port: int) -> dict[str, Any] | None:
    """Return what is known of the queues of new connections of a network namespace's sockets: by how much the counter
    of those that had no room rose, and, of the one that listens on this port and has none even now, its address, how
    many wait in it, and its limit. None if the counter did not rise, or was not read."""
    after, before = (_overflows(reading, when) for when in ("after", "before"))
    if after is None or before is None or after <= before:
        return None
    out: dict[str, Any] = {"overflows": after - before}
    full = [one for one in _listening(reading) if one["port"] == port and one["waiting"] > one["limit"]]
    return {**out, **full[0]} if len(full) == 1 else out


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
