# SPDX-License-Identifier: Apache-2.0
"""Asks the VMs of a host whether an address is theirs, with one frame each that no other machine sees.

IPv4: an ARP probe (RFC 5227), whose sender address is 0.0.0.0, so that nobody learns anything from it.
IPv6: a neighbour solicitation from the link-local address that belongs to the tap's own MAC.
The frames leave at the taps themselves, towards the VM, and answers are read there, before any bridge or filter.
"""
import ctypes
import ipaddress
import select
import socket
import struct
import time
from typing import Optional, Set, Tuple  # noqa: F401 (in type comments)

SECONDS = 1.0
AGAIN = 0.4  # seconds until whoever has not answered is asked a second time
_LINGER = 0.1  # seconds for a second owner of an address to speak up
_ETH_P_ALL, _ARP, _IPV6, _ICMPV6 = 0x0003, 0x0806, 0x86DD, 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_OUTGOING = 4  # packet type of what this host itself sent
_SO_ATTACH_FILTER = 26
# classic BPF, (code, jump if true, jump if false, k): ARP and neighbour advertisements pass, all else is left alone
_FILTER = ((0x28, 0, 0, 12), (0x15, 5, 0, _ARP), (0x15, 0, 5, _IPV6), (0x30, 0, 0, 20), (0x15, 0, 3, _ICMPV6),
           (0x30, 0, 0, 54), (0x15, 0, 1, _ADVERTISEMENT), (0x06, 0, 0, 128), (0x06, 0, 0, 0))


def mac_bytes(text):
    """Return a MAC address's six bytes."""
    return bytes(bytearray.fromhex(text.replace(":", "")))


def link_local(mac):
    """Return the 16 bytes of the IPv6 address that belongs to a MAC (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]


def checksum(data):
    """Return the Internet checksum of an even number of bytes."""
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def question(mac, address):
    """Return the frame that asks for an address, from the device with this MAC (text)."""
    own, target = mac_bytes(mac), ipaddress.ip_address(address)
    if target.version == 4:
        return (b"\xff" * 6 + own + struct.pack("!HHHBBH", _ARP, 1, 0x0800, 6, 4, 1) + own + bytes(4) + bytes(6)
                + target.packed).ljust(60, b"\0")
    group = b"\xff\x02" + bytes(9) + b"\x01\xff" + target.packed[13:]
    source = link_local(own)
    body = target.packed + b"\x01\x01" + own  # with the option that says where to answer to
    pseudo = source + group + struct.pack("!II", 8 + len(body), _ICMPV6)
    total = checksum(pseudo + struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + body)
    return (b"\x33\x33" + group[12:] + own + struct.pack("!HIHBB", _IPV6, 6 << 28, 8 + len(body), _ICMPV6, 255)
            + source + group + struct.pack("!BBHI", _SOLICITATION, 0, total, 0) + body)


def answer(frame):
    """Return (address, mac) of the owner that a frame tells of; None if it tells of none."""
    if len(frame) >= 42 and frame[12:14] == b"\x08\x06":
        operation = struct.unpack_from("!H", frame, 20)[0]
        owner, address = frame[22:28], frame[28:32]
        if operation not in (1, 2) or address == bytes(4):
            return None
    elif len(frame) >= 78 and frame[12:14] == b"\x86\xdd" and frame[54] == _ADVERTISEMENT:
        owner, address = frame[6:12], frame[62:78]
    else:
        return None
    return str(ipaddress.ip_address(address)), ":".join("%02x" % byte for byte in owner)


def ask(taps, addresses):
    """Ask behind every tap for every address; return {(address, mac, ifindex of the tap)}.

    taps: ifindex, name and mac of each. Takes SECONDS, or less when all addresses have answered. Raises OSError if
    this kind of question cannot be asked at all; a tap that is just going away is passed over.
    """
    sockets = {}
    failure = None  # type: Optional[OSError]
    found = set()  # type: Set[Tuple[str, str, int]]
    try:
        for tap in taps:
            try:
                sockets[_open(tap["name"])] = tap
            except OSError as error:
                failure = error
        if failure and not sockets:
            raise failure
        end = _time() + SECONDS
        _send(sockets, addresses)
        again = _time() + AGAIN
        while sockets and _time() < end:
            if again and _time() >= again:
                _send(sockets, set(addresses) - {entry[0] for entry in found})
                again = 0
            ready, _write, _error = select.select(list(sockets), [], [], max(0, min(again or end, end) - _time()))
            for link in ready:
                found |= {entry + (sockets[link]["ifindex"],) for entry in _read(link) if entry[0] in addresses}
            if {entry[0] for entry in found} == set(addresses):
                end = min(end, _time() + _LINGER)
        return found
    finally:
        for link in sockets:
            link.close()


def _time():
    return time.monotonic()


def _open(name):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # sees nothing before it is bound
    try:
        program = b"".join(struct.pack("=HBBI", *line) for line in _FILTER)
        memory = ctypes.create_string_buffer(program, len(program))
        # struct sock_fprog, in native alignment
        link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_FILTER), ctypes.addressof(memory)))
        link.bind((name, _ETH_P_ALL))
        link.setblocking(False)
        return link
    except OSError:
        link.close()
        raise


def _send(sockets, addresses):
    for link, tap in sockets.items():
        for address in addresses:
            try:
                link.send(question(tap["mac"], address))
            except OSError:  # the tap is down, full, or gone
                break


def _read(link):
    try:
        frame, source = link.recvfrom(2048)
    except OSError:
        return []
    said = answer(frame) if source[2] != _OUTGOING else None
    return [said] if said else []
