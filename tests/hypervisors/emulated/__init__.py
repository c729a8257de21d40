# SPDX-License-Identifier: Apache-2.0
"""Emulated hypervisors: QEMU machines without hardware virtualisation, with real Debian kernels.

paths.py          where images, keys and the state of running machines are kept
architectures.py  x86-64 and AArch64: what of QEMU's arguments and the kernel's package they decide
initrd.py         writes a small initrd: busybox, a few modules, an init script
images.py         builds and caches the disk of a machine from Debian packages
machine.py        starts, reaches and stops one machine
guest.py          the KVM guest inside a machine
cluster.py        two machines with Open vSwitch, an underlay and a guest each
slow.py           a guest that does not take its packets
offload.py        two hosts joined by adapters that keep a queue of the kernel's
"""


class EmulationError(Exception):
    """What went wrong, as one sentence for the person who runs the tool."""
