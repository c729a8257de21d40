# SPDX-License-Identifier: Apache-2.0
"""What taps, queues, XDP and traffic control refuse."""
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from .cases import Me, case
from .packets import frame, udp
from .pair import DEVICE, Pair

TUNSETIFF, TUNSETTXFILTER, TAP, NO_HEADER = 0x400454CA, 0x400454D1, 2, 0x1000
FAR = "02:00:00:77:00:99"
BPF, PROG_LOAD, LINK_CREATE, XDP_TYPE, XDP_ATTACH, GENERIC = 321, 5, 28, 6, 37, 2    # the system call is x86-64's
XDP_DROP, XDP_REDIRECT = 1, 4


@contextmanager
def tap(pair: Pair) -> Iterator[int]:
    """A tap on `b`, and the end that nobody reads."""
    # the descriptor belongs to the namespace of the process that attaches it
    with pair.b.inside():
        end = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", b"tap7", TAP | NO_HEADER))
    try:
        pair.b.set(ipv6__conf__tap7__disable_ipv6=1)    # it would send by itself
        pair.b.run("ip link set tap7 txqueuelen 8 up")
        yield end
    finally:
        os.close(end)


def _to_tap(pair: Pair, me: Me, count: int = 1, to: str = FAR) -> None:
    with pair.b.link("tap7") as link:
        for _number in range(count):
            link.send(frame(udp(me.v4, me.port), to=to))


@case("FULL_RING")
def vm_does_not_read(pair: Pair, me: Me) -> int:
    with tap(pair):
        _to_tap(pair, me, 20)
    return 20 - 8


@case("TAP_TXFILTER")
def vm_does_not_want_it(pair: Pair, me: Me) -> None:
    with tap(pair) as end:
        fcntl.ioctl(end, TUNSETTXFILTER, struct.pack("HH6s", 0, 1, bytes.fromhex("020000770001")))
        _to_tap(pair, me)


@case("NOT_SPECIFIED")
def tap_is_closed(pair: Pair, me: Me) -> int:
    with tap(pair):
        _to_tap(pair, me, 3)
    return 3


@case("TC_INGRESS")
def filter_on_ingress(pair: Pair, me: Me) -> None:
    with pair.b.with_commands((f"tc qdisc add dev {DEVICE} clsact", f"tc qdisc del dev {DEVICE} clsact"),
                              (f"tc filter add dev {DEVICE} ingress protocol ip bpf da bytecode '1,6 0 0 2,'", "")):
        pair.wire.send(frame(udp(me.v4, me.port)))
    pair.settle()


@case("TC_EGRESS")
def filter_on_egress(pair: Pair, me: Me) -> None:
    with pair.b.with_commands((f"tc qdisc add dev {DEVICE} clsact", f"tc qdisc del dev {DEVICE} clsact"),
                              (f"tc filter add dev {DEVICE} egress protocol ip bpf da bytecode '1,6 0 0 2,'", "")):
        assert not _sent(pair, me)


def _sent(pair: Pair, me: Me) -> bool:
    """Send out of the wire's end on `b`; returns whether it was taken."""
    with pair.b.link() as link:
        try:
            link.send(frame(udp(me.v4, me.port, bytes(100))))
        except OSError as error:
            assert error.errno == errno.ENOBUFS
            return False
    return True


@case("QDISC_DROP")
def no_room_in_the_queue(pair: Pair, me: Me) -> int:
    with pair.b.with_commands((f"tc qdisc add dev {DEVICE} root tbf rate 8bit burst 200 limit 200",
                               f"tc qdisc del dev {DEVICE} root")):
        lost = [_sent(pair, me) for _number in range(10)].count(False)
    assert 0 < lost < 10
    return lost


def _bpf(command: int, attributes: bytes) -> int:
    """Return the descriptor that a bpf() call makes."""
    made = ctypes.CDLL(None, use_errno=True).syscall(BPF, command, attributes, len(attributes))
    if made < 0:
        raise OSError(ctypes.get_errno(), "bpf() command %d" % command)
    return made


def _to_xdp(pair: Pair, me: Me, verdict: int) -> None:
    """Send a frame to a program on `b` that gives all the same verdict."""
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0))  # r0 = it; exit
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    program = _bpf(PROG_LOAD, struct.pack("IIQQ", XDP_TYPE, 2, ctypes.addressof(code),
                                          ctypes.addressof(licence)).ljust(48, b"\0"))
    with pair.b.inside():
        attached = _bpf(LINK_CREATE, struct.pack("IIII", program, socket.if_nametoindex(DEVICE), XDP_ATTACH, GENERIC))
    try:
        pair.wire.send(frame(udp(me.v4, me.port)))
    finally:
        os.close(attached)
        os.close(program)
    pair.settle()


@case("NOT_SPECIFIED")
def dropped_by_xdp(pair: Pair, me: Me) -> None:
    _to_xdp(pair, me, XDP_DROP)


@case("XDP")
def redirected_to_nowhere(pair: Pair, me: Me) -> None:
    _to_xdp(pair, me, XDP_REDIRECT)
