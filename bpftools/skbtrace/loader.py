# SPDX-License-Identifier: Apache-2.0
"""The bpf() system call: load a program, attach it, let it go.

bcc compiles and makes the maps; loading is done here, because each point loads an altered copy of one compiled
program. Everything hangs on file descriptors, so the kernel cleans up when the process ends, however it ends.
"""
import ctypes
import os
import platform
from typing import Any

from .errors import TracerError

PROG_TYPE_RAW_TRACEPOINT = 17
_BPF_PROG_LOAD = 5
_BPF_RAW_TRACEPOINT_OPEN = 17
_SYSCALL = {"x86_64": 321, "aarch64": 280}
_LICENSE = ctypes.create_string_buffer(b"Dual BSD/GPL")  # what the kernel knows as compatible with its GPL-only helpers
_LOG_BYTES = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class _ProgLoad(ctypes.Structure):
    _fields_ = [("prog_type", ctypes.c_uint32), ("insn_cnt", ctypes.c_uint32), ("insns", ctypes.c_uint64),
                ("license", ctypes.c_uint64), ("log_level", ctypes.c_uint32), ("log_size", ctypes.c_uint32),
                ("log_buf", ctypes.c_uint64), ("kern_version", ctypes.c_uint32), ("prog_flags", ctypes.c_uint32),
                ("prog_name", ctypes.c_char * 16), ("prog_ifindex", ctypes.c_uint32),
                ("expected_attach_type", ctypes.c_uint32)]


class _RawTracepointOpen(ctypes.Structure):
    _fields_ = [("name", ctypes.c_uint64), ("prog_fd", ctypes.c_uint32)]


def _bpf(command: int, attributes: Any) -> int:
    try:
        number = _SYSCALL[platform.machine()]
    except KeyError:
        raise TracerError("no number of the bpf system call is known for machines of type %s"
                          % platform.machine()) from None
    result = _libc.syscall(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def load(prog_type: int, name: str, instructions: bytes, kernel_version: int) -> int:
    """Load a program and return its file descriptor; raises OSError with the verifier's last words."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    attributes = _ProgLoad(prog_type=prog_type, insn_cnt=len(instructions) // 8, insns=ctypes.addressof(code),
                           license=ctypes.addressof(_LICENSE), kern_version=kernel_version,
                           prog_name=name.encode()[:15])
    try:
        return _bpf(_BPF_PROG_LOAD, attributes)
    except OSError as error:
        raise OSError(error.errno, "%s%s" % (error.strerror, _verifier_says(attributes))) from None


def _verifier_says(attributes: _ProgLoad) -> str:
    """Load once more with a log: the log costs time, so it is taken only after a refusal."""
    log = ctypes.create_string_buffer(_LOG_BYTES)
    attributes.log_level, attributes.log_size, attributes.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
    try:
        os.close(_bpf(_BPF_PROG_LOAD, attributes))
    except OSError:
        pass
    lines = [line for line in log.value.decode(errors="replace").splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(("processed", "verification time", "stack depth"))]
    return ": " + wanted[-1].strip() if wanted else ""


def attach_raw_tracepoint(program: int, tracepoint: str) -> int:
    """Attach a loaded program and return the link's file descriptor; raises OSError."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_BPF_RAW_TRACEPOINT_OPEN, _RawTracepointOpen(name=ctypes.addressof(name), prog_fd=program))
