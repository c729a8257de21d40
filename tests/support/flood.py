# SPDX-License-Identifier: Apache-2.0
"""Small datagrams, as fast as one process makes them.

    ip netns exec vm-a python flood.py 192.168.32.20 5001 3      prints how many were sent in three seconds
"""
import ctypes
import socket
import struct
import sys
import time

_BATCH = 512
_BYTES = 22     # of payload: with Ethernet, IP and UDP a frame of 64 bytes


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("iov", ctypes.POINTER(_Iovec)),
                ("iov_length", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class _Messages(ctypes.Structure):
    _fields_ = [("message", _Message), ("sent", ctypes.c_uint)]


def flood(address: str, port: int, seconds: float) -> int:
    """Send datagrams as fast as sendmmsg() takes them; returns how many."""
    payload = ctypes.create_string_buffer(_BYTES)
    piece = _Iovec(ctypes.addressof(payload), _BYTES)
    # not connected: a connected socket would be told of errors, and stop a batch for each
    target = ctypes.create_string_buffer(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) +
                                         socket.inet_aton(address) + bytes(8), 16)
    messages = (_Messages * _BATCH)()
    for one in messages:
        one.message = _Message(ctypes.addressof(target), 16, ctypes.pointer(piece), 1)
    libc, sent = ctypes.CDLL(None), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sent += max(libc.sendmmsg(link.fileno(), messages, _BATCH, 0), 0)
    return sent


if __name__ == "__main__":
    print(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
