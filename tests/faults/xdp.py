# SPDX-License-Identifier: Apache-2.0
"""An XDP program at a device for as long as a process of its host lives: it drops what is for one UDP port."""
import contextlib
import subprocess
from collections.abc import Iterator

from .scene import Scene

# bpf(2) by hand, for the lab's hosts have no compiler: BPF_PROG_LOAD, BPF_LINK_CREATE (include/uapi/linux/bpf.h)
_ATTACHED = '''
import ctypes, os, socket, struct, sys
device, port, mode, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
libc = ctypes.CDLL(None, use_errno=True)

def bpf(command, attributes):
    number = libc.syscall(321, command, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes))
    if number < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return number

def row(code, to=0, of=0, offset=0, value=0):
    return struct.pack("<BBhi", code, to | of << 4, offset, value)

program = b"".join([
    row(0x61, 2, 1, 0), row(0x61, 3, 1, 4),                          # r2, r3: the frame's first byte, and its end
    row(0xbf, 4, 2), row(0x07, 4, value=38), row(0x2d, 4, 3, 4),     # it is too short for ports
    row(0x69, 0, 2, 36), row(0x55, 0, 0, 2, socket.htons(port)),     # another port
    row(0xb7, 0, value=1), row(0x95), row(0xb7, 0, value=2), row(0x95)])     # XDP_DROP, XDP_PASS
code, licence = (ctypes.create_string_buffer(some) for some in (program, b"GPL"))
loaded = bpf(5, struct.pack("<IIQQIIQII16sI", 6, len(program) // 8, ctypes.addressof(code), ctypes.addressof(licence),
                            0, 0, 0, 0, 0, name, 0))
link = bpf(28, struct.pack("<IIII", loaded, socket.if_nametoindex(device), 37, mode))
print("ready", flush=True)
sys.stdin.read()
'''
GENERIC, NATIVE = 2, 4    # XDP_FLAGS_*_MODE


@contextlib.contextmanager
def attached(scene: Scene, device: str, port: int, mode: int, name: str) -> Iterator[None]:
    """hv-b's device has the program."""
    holder = scene.hv_b.popen(["/usr/bin/python3", "-c", _ATTACHED, device, str(port), str(mode), name],
                              stdin=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == "ready\n", holder.communicate()
        yield
    finally:
        holder.communicate("")
