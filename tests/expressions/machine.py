# SPDX-License-Identifier: Apache-2.0
"""The tracers' own C, compiled for user space with many expressions, and libpcap beside it."""
import ctypes
import pathlib
import subprocess
from collections.abc import Sequence

import numpy as np

from skbtrace.programs import BPF_DIR, classic, libpcap, program, queues, rate

from .packets import Packet

HERE = pathlib.Path(__file__).parent
NO_MATCH, MATCH, UNPARSED, UNDECIDED = range(4)
_OF_THE_KERNEL = ("points.h",)  # only they need hooks
# the one instruction that other machines do not have under this name
_AFTER = {"read.h": "#undef bound\n#define bound(value, mask) ((value) &= (mask))\n"}


class Given(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_char_p), ("length", ctypes.c_uint32), ("linear", ctypes.c_uint32),
                ("tag", ctypes.c_uint32), ("ethertype", ctypes.c_uint16), ("has_mac", ctypes.c_uint8),
                ("pulled", ctypes.c_uint8)]


class _Shown(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_char_p), ("length", ctypes.c_uint32)]


def source(programs: Sequence[classic.Program]) -> str:
    """Return one C file: what a kernel would offer, the tracers' parts, the trial, a function for each program."""
    parts = [(HERE / "user_space.h").read_text(),
             *(f"#define {name} {value}" for name, value in {
                 **rate.defines(), **queues.make_constants([], {})}.items())]
    for part in program.PARTS:
        if part not in _OF_THE_KERNEL:
            parts += [f'#line 1 "{part}"', (pathlib.Path(BPF_DIR) / part).read_text(), _AFTER.get(part, "")]
    parts.append((HERE / "trial.h").read_text())
    parts += [f"static int expression_{number}(struct frame *frame)\n{{\n    u32 a = 0, x = 0, m[16] = {{}};\n"
              f"    {classic.to_c(one)}\n}}" for number, one in enumerate(programs)]
    names = ", ".join(f"expression_{number}" for number in range(len(programs)))
    parts.append(f"static int (*const expressions[])(struct frame *) = {{{names}}};")
    return "\n".join(parts)


class Machine:
    """Expressions compiled for the tracers and for libpcap, to be tried on packets."""

    def __init__(self, programs: Sequence[classic.Program], packets: Sequence[Packet], directory: pathlib.Path) -> None:
        """directory: for what is compiled. Raises subprocess.CalledProcessError if the C is not right."""
        text, binary = directory / "machine.c", directory / "machine.so"
        text.write_text(source(programs))
        subprocess.run(["gcc", "-O1", "-w", "-shared", "-fPIC", "-o", binary, text], check=True)
        self._c, self._pcap, self._programs = ctypes.CDLL(str(binary)), libpcap.library(), programs
        self._given = (Given * len(packets))(*[
            Given(one.memory, len(one.memory), one.linear, one.tag, one.ethertype, one.has_mac, one.pulled)
            for one in packets])
        carried = [one.carried.frame if one.carried else b"" for one in packets]
        self._shown = [(_Shown * len(packets))(*[_Shown(frame, len(frame)) for frame in frames])
                       for frames in ([one.frame for one in packets], carried)]

    def judge(self, which: int, inner: bool) -> np.ndarray:
        """Return what expression `which` comes to in the tracers, for each packet or for what it carries."""
        verdicts = np.zeros(len(self._given), "u1")
        self._c.judge_all(which, int(inner), self._given, len(self._given), verdicts.ctypes.data_as(ctypes.c_void_p))
        return verdicts

    def ask(self, which: int, inner: bool) -> np.ndarray:
        """Return what libpcap says, MATCH or NO_MATCH."""
        program = self._programs[which]
        instructions = (libpcap.Instruction * len(program))(*[libpcap.Instruction(*one) for one in program])
        compiled = libpcap.Program(len(program), instructions)
        verdicts = np.zeros(len(self._given), "u1")
        self._c.ask_libpcap(self._pcap.pcap_offline_filter, ctypes.byref(compiled), self._shown[int(inner)],
                            len(self._given), verdicts.ctypes.data_as(ctypes.c_void_p))
        return verdicts
