#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bad wire: a relay that takes a hypervisor's place at the wire's switch and treats some of its frames ill.

usage: relay.py HYPERVISOR_LETTER --port PORT [--drop N] [--duplicate N] [--swap N] [--delay SECONDS]

Frames to and from the hypervisor pass; of the UDP datagrams to PORT that go to it, every N-th is dropped, sent twice,
or sent after its successor, and all are delayed. Prints "ready" when it relays, and at its end (SIGTERM or SIGINT), as
JSON, how many datagrams it did what to; the wire is then as it was before.
"""
import argparse
import collections
import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple

import namespaces
import plan
import shuttle

VNET_HEADER = 10  # bytes before the frame
ended, _end = socket.socketpair()


class Mischief:
    """What is done to the datagrams that match; counts them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.counts = {"matched": 0, "dropped": 0, "duplicated": 0, "swapped": 0, "sent": 0}
        self.held: Optional[bytes] = None                  # waits for its successor
        self.waiting: Deque[Tuple[float, bytes]] = collections.deque()  # (due, frame)

    def matches(self, frame: bytes) -> bool:
        """Whether this is an IPv4 UDP datagram to the port."""
        packet = frame[VNET_HEADER + 14:]
        if frame[VNET_HEADER + 12:VNET_HEADER + 14] != b"\x08\x00" or packet[9] != socket.IPPROTO_UDP:
            return False
        header = (packet[0] & 15) * 4
        return int.from_bytes(packet[header + 2:header + 4], "big") == self.options.port

    def _every(self, interval: int) -> bool:
        return bool(interval) and self.counts["matched"] % interval == 0

    def treat(self, frame: bytes) -> List[bytes]:
        """Return what is sent on in place of this datagram, in order."""
        self.counts["matched"] += 1
        if self._every(self.options.drop):
            self.counts["dropped"] += 1
            return []
        out = [frame]
        if self._every(self.options.duplicate):
            self.counts["duplicated"] += 1
            out.append(frame)
        if self.held is not None:
            out, self.held = out + [self.held], None
        elif self._every(self.options.swap):
            self.counts["swapped"] += 1
            out, self.held = out[1:], frame
        return out

    def take(self, frame: bytes) -> None:
        """Queue what becomes of a frame."""
        frames = self.treat(frame) if self.matches(frame) else [frame]
        due = time.monotonic() + self.options.delay
        self.waiting.extend((due, one) for one in frames)

    def due(self) -> Iterator[bytes]:
        """The frames whose time has come."""
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            frame = self.waiting.popleft()[1]
            self.counts["sent"] += self.matches(frame)
            yield frame

    def wait_ms(self) -> Optional[float]:
        """How long nothing is due; None: until a frame comes."""
        return max(0.0, self.waiting[0][0] - time.monotonic()) * 1000 if self.waiting else None


def frames_of(source: int) -> Iterator[bytes]:
    """The frames that have arrived."""
    with contextlib.suppress(BlockingIOError):
        for _frame in range(shuttle.BATCH):
            yield os.read(source, shuttle.FRAME_MAX)


def relay(switch: int, hypervisor: int, mischief: Mischief) -> None:
    """Relay until told to end."""
    poll = select.poll()
    for source in (switch, hypervisor, ended.fileno()):
        poll.register(source, select.POLLIN)
    while True:
        ready = [source for source, _event in poll.poll(mischief.wait_ms())]
        if ended.fileno() in ready:
            return
        if hypervisor in ready:
            for frame in frames_of(hypervisor):
                os.write(switch, frame)
        if switch in ready:
            for frame in frames_of(switch):
                mischief.take(frame)
        for frame in mischief.due():
            os.write(hypervisor, frame)


@contextlib.contextmanager
def between(port: str) -> Iterator[Tuple[int, int]]:
    """Put two taps between the switch and a hypervisor's port of it; yields (the switch's side, the hypervisor's)."""
    wire = ["ip", "-n", plan.WIRE, "link"]
    switch, hypervisor = shuttle.open_tap(plan.WIRE, "relay0"), shuttle.open_tap(plan.WIRE, "relay1")
    namespaces.run(wire + ["add", "relay", "type", "bridge", "mcast_snooping", "0"])
    try:
        for words in ("set relay up", "set relay0 master %s up" % plan.WIRE_BRIDGE, "set relay1 master relay up",
                      "set %s master relay" % port):
            namespaces.run(wire + words.split())
        yield switch, hypervisor
    finally:
        namespaces.run(wire + ["set", port, "master", plan.WIRE_BRIDGE])
        namespaces.run(wire + ["del", "relay"])


def main() -> int:
    """Be the wire until told to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("letter", metavar="HYPERVISOR_LETTER", choices=plan.LETTERS)
    parser.add_argument("--port", type=int, required=True)
    for name in ("drop", "duplicate", "swap"):
        parser.add_argument("--" + name, type=int, default=0, metavar="N")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS")
    mischief = Mischief(parser.parse_args())
    _end.setblocking(False)
    signal.set_wakeup_fd(_end.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _note)
    with between("p-" + mischief.options.letter) as (switch, hypervisor):
        shuttle.go_first()
        print("ready", flush=True)
        relay(switch, hypervisor, mischief)
    print(json.dumps(counts(mischief)), flush=True)
    return 0


def counts(mischief: Mischief) -> Dict[str, Any]:
    """What was done, with what is still held or waiting."""
    kept = [frame for _when, frame in mischief.waiting] + ([mischief.held] if mischief.held else [])
    return dict(mischief.counts, kept=sum(1 for frame in kept if mischief.matches(frame)))


def _note(_number: int, _frame: Any) -> None:
    """The wakeup descriptor has it."""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (namespaces.LabError, OSError) as failure:
        sys.exit("error: %s" % failure)
