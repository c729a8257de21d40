# SPDX-License-Identifier: Apache-2.0
"""Devices, namespaces and processes whose names are random bytes; all are gone when the command ends.

    coming_and_going.py SEED ADDRESS PORT COUNT

Sends COUNT datagrams to ADDRESS, which is the far end of a pair of devices that is made for them, in a namespace of its
own, by a process that is called something else.
"""
import ctypes
import os
import random
import socket
import subprocess
import sys

CLONE_NEWNET, PR_SET_NAME = 0x40000000, 15
_libc = ctypes.CDLL(None, use_errno=True)


def name(rng: random.Random) -> bytes:
    """A name that the kernel takes for a device: anything but spaces, `/` and `:`, and not `.` or `..`."""
    possible = [byte for byte in range(1, 256) if not chr(byte).isspace() and byte not in b"/:%\x85\xa0"]
    return b"n" + bytes(rng.choices(possible, k=rng.randrange(1, 14)))


def main() -> None:
    """Make them, send, let them go with the namespace that they are in."""
    seed, address, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rng = random.Random(seed)
    if _libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no namespace")
    near, far, bridge = (name(rng) + bytes([number]) for number in (65, 66, 67))
    for words in ([b"link", b"add", near, b"type", b"veth", b"peer", b"name", far],
                  [b"link", b"add", b"name", bridge, b"type", b"bridge"],
                  [b"link", b"set", far, b"master", bridge], [b"addr", b"add", b"10.99.0.1/24", b"dev", near],
                  [b"link", b"set", b"lo", b"up"], [b"link", b"set", far, b"up"], [b"link", b"set", bridge, b"up"],
                  [b"link", b"set", near, b"up"],
                  [b"neigh", b"add", address.encode(), b"lladdr", b"02:00:00:00:00:09", b"dev", near]):
        subprocess.run([b"ip", *words], check=True)
    _libc.prctl(PR_SET_NAME, bytes(rng.choices(range(1, 256), k=15)), 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(os.urandom(8) + number.to_bytes(4, "big"), (address, port))


if __name__ == "__main__":
    main()
