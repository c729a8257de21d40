# SPDX-License-Identifier: Apache-2.0
"""Expressions such as `tcp port 443 and host 10.0.0.1`, compiled by libpcap, where it is, to classic BPF.

What is compiled is for Ethernet frames: bpf/frame.h lays every packet out as one.
"""
import ctypes
from typing import Any

from . import classic

_NAMES = ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so")  # in the RHEL family, in Debian, of one's own
_ETHERNET = 1              # DLT_EN10MB
_MOST_BYTES = 262144       # what libpcap takes for "all of the packet"
_NO_NETMASK = 0xFFFFFFFF   # PCAP_NETMASK_UNKNOWN: which address is a broadcast is refused, by libpcap itself


class Instruction(ctypes.Structure):
    """struct bpf_insn."""

    _fields_ = [("code", ctypes.c_uint16), ("if_true", ctypes.c_uint8), ("if_false", ctypes.c_uint8),
                ("number", ctypes.c_uint32)]


class Program(ctypes.Structure):
    """struct bpf_program."""

    _fields_ = [("count", ctypes.c_uint), ("instructions", ctypes.POINTER(Instruction))]


class Missing(OSError):
    """This machine has no libpcap."""


def library() -> Any:
    """Return libpcap, loaded; raises Missing."""
    for name in _NAMES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.pcap_open_dead.restype = ctypes.c_void_p
        found.pcap_geterr.restype = ctypes.c_char_p
        found.pcap_geterr.argtypes = found.pcap_close.argtypes = [ctypes.c_void_p]
        found.pcap_compile.argtypes = [ctypes.c_void_p, ctypes.POINTER(Program), ctypes.c_char_p, ctypes.c_int,
                                       ctypes.c_uint32]
        return found
    raise Missing("libpcap is not installed")


def is_there() -> bool:
    """Whether this machine has libpcap."""
    try:
        library()
    except Missing:
        return False
    return True


def compile_expression(expression: str) -> classic.Program:
    """Return the program of an expression.

    Raises Missing, or classic.ProgramError with libpcap's own reason, or why its program cannot be had.
    """
    pcap = library()
    handle, compiled = pcap.pcap_open_dead(_ETHERNET, _MOST_BYTES), Program()
    try:
        if pcap.pcap_compile(handle, ctypes.byref(compiled), expression.encode("ascii"), 1, _NO_NETMASK):
            raise classic.ProgramError(pcap.pcap_geterr(handle).decode("utf-8", "replace"))
        program = tuple(classic.Instruction(one.code, one.if_true, one.if_false, one.number)
                        for one in compiled.instructions[:compiled.count])
        pcap.pcap_freecode(ctypes.byref(compiled))
    finally:
        pcap.pcap_close(handle)
    classic.check(program)
    return program
