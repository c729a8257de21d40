# SPDX-License-Identifier: Apache-2.0
"""A VM's virtio link, reduced: moves frames between the hypervisor's tap and the VM's, one process per VM.

usage: shuttle.py HYPERVISOR_NETNS TAP VM_NETNS TAP PID   (prints the pid of the one that works, as seen from outside)

PID is any process of the hypervisor: the link is a process of the hypervisor, too, as a VM's would be.

Frames carry virtio-net headers, so GSO packets and unfinished checksums cross as they do with a real guest. A frame
that the other side does not take is counted by the kernel in that tap's own statistics.
"""
import contextlib
import fcntl
import os
import select
import struct
import sys

import namespaces

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CSUM, TSO4, TSO6, TSO_ECN, USO4, USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40

FRAME_MAX = 65536 + 64  # the largest GSO packet, its Ethernet header and its virtio-net header
NICENESS = -15
BATCH = 64              # frames from one side before the other side has its turn


def open_tap(netns: str, name: str) -> int:
    """Descriptor of the tap `name` in `netns`; this process stays in that namespace."""
    namespaces.enter_netns(namespaces.path_of(netns))
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    try:
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, CSUM | TSO4 | TSO6 | TSO_ECN | USO4 | USO6)
    except OSError:  # before Linux 6.2 there is no UDP segmentation here
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, CSUM | TSO4 | TSO6 | TSO_ECN)
    return descriptor


def move(source: int, sink: int, buffer: list, view: memoryview) -> None:
    """Move up to BATCH frames; returns early when there are no more."""
    for _frame in range(BATCH):
        try:
            length = os.readv(source, buffer)
        except BlockingIOError:
            return
        with contextlib.suppress(OSError):  # the tap is down, or refuses the frame: the kernel counts it
            os.write(sink, view[:length])


def shuttle(one: int, other: int) -> None:
    """Move frames both ways until a tap goes away."""
    storage = bytearray(FRAME_MAX)
    buffer, view = [storage], memoryview(storage)
    sinks = {one: other, other: one}
    poll = select.poll()
    poll.register(one, select.POLLIN)
    poll.register(other, select.POLLIN)
    while True:
        for source, _event in poll.poll():
            try:
                move(source, sinks[source], buffer, view)
            except OSError:
                return


def go_first() -> None:
    """Take precedence over what else runs: a link does not get slower because the machine is busy."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        with open("/proc/self/autogroup", "w") as group:  # else niceness would count within our session only
            group.write(str(NICENESS))


def main() -> None:
    """Open both taps, leave the work to a process of the hypervisor; the network that it ends up in is the VM's."""
    hypervisor, vnet, vm, eth, pid = sys.argv[1:]
    try:
        one, other = open_tap(hypervisor, vnet), open_tap(vm, eth)
    except OSError as error:
        sys.exit("cannot open the taps of %s: %s" % (vm, error))
    go_first()
    with open("/proc/self/comm", "w") as comm:
        comm.write(vm)
    namespaces.enter_pids(int(pid))
    worker = os.fork()
    if worker:
        print(worker, flush=True)
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    shuttle(one, other)


if __name__ == "__main__":
    main()
