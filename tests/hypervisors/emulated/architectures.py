# SPDX-License-Identifier: Apache-2.0
"""What a machine's type decides: QEMU's program and arguments, the kernel's package and parameters."""

import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

from . import EmulationError

_BINFMT = Path("/proc/sys/fs/binfmt_misc")


class Architecture(NamedTuple):
    """A type of machine, by Debian's name and the kernel's."""

    debian: str
    machine: str
    arguments: list[str]  # QEMU's, that make the machine
    parameters: str       # the kernel's


# cx16=off: everything that QEMU can emulate (SVM for the guests among it) but cmpxchg16b; with it the slab allocator of
# kernel 6.12 corrupts its lists under QEMU 7.2, in one boot of three.
# clocksource=hpet: the clock that QEMU emulates best; the processors' own is calibrated wrongly on a busy machine.
AMD64 = Architecture("amd64", "x86_64", ["-machine", "q35", "-cpu", "max,cx16=off"],
                     "console=ttyS0 clocksource=hpet")  # fmt: skip
# neoverse-n1: what `max` has beside it, pointer authentication, takes most of the emulation's time
ARM64 = Architecture("arm64", "aarch64", ["-machine", "virt", "-cpu", "neoverse-n1"], "console=ttyAMA0")


def of(distribution: str) -> Architecture:
    """Return the type of the machines of a distribution, which its name ends with where it is not the usual one."""
    return ARM64 if distribution.endswith("-arm64") else AMD64


def release(distribution: str) -> str:
    """Return the distribution's name without the type of machine."""
    return distribution.removesuffix("-arm64")


def let_run(architecture: Architecture) -> None:
    """Have this machine's kernel run programs for the other type, by QEMU: packages run theirs while they install."""
    if platform.machine() == architecture.machine or (_BINFMT / f"qemu-{architecture.machine}").exists():
        return
    if not (_BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", str(_BINFMT)], check=True)
    rule = Path(f"/usr/lib/binfmt.d/qemu-{architecture.machine}.conf")
    try:
        descriptor = os.open(_BINFMT / "register", os.O_WRONLY)
        os.write(descriptor, rule.read_bytes().strip())
        os.close(descriptor)
    except OSError as error:
        raise EmulationError(f"programs for {architecture.machine} cannot be run here: {error}") from error
