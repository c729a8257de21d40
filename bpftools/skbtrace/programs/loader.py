# SPDX-License-Identifier: Apache-2.0
"""System calls: load a BPF program, attach it, let it go.

bcc compiles and makes the maps; loading is done here, because each point loads an altered copy of one compiled
program. Everything hangs on file descriptors, so the kernel cleans up when the process ends, however it ends.
Layouts: include/uapi/linux/bpf.h and perf_event.h of the kernel; it takes shorter ones and zeros it does not know.
"""
import ctypes
import errno
import fcntl
import os
import platform
from typing import Any

from ..errors import TracerError
from . import bytecode

PROG_TYPE_KPROBE, PROG_TYPE_RAW_TRACEPOINT, PROG_TYPE_TRACING = 2, 17, 26
ATTACH_RAW_TRACEPOINT, ATTACH_FENTRY = 23, 24
_MAP_PERCPU_ARRAY = 6
EMPTY = bytecode.instruction(bytecode.MOVE) + bytecode.instruction(bytecode.EXIT)  # does nothing: r0 = 0; exit
KPROBE_PMU = "/sys/bus/event_source/devices/kprobe/type"
_BPF_MAP_CREATE, _BPF_PROG_LOAD, _BPF_PROG_TEST_RUN = 0, 5, 10
_BPF_OBJ_GET_INFO_BY_FD, _BPF_RAW_TRACEPOINT_OPEN = 15, 17
_BPF_BTF_GET_FD_BY_ID, _BPF_BTF_GET_NEXT_ID = 19, 23
_PERF_EVENT_IOC_SET_BPF, _PERF_EVENT_IOC_ENABLE = 0x40042408, 0x2400
_PERF_FLAG_FD_CLOEXEC = 8
_SYSCALLS = {"x86_64": (321, 298, 319), "aarch64": (280, 241, 279)}  # bpf, perf_event_open, memfd_create
MACHINES = tuple(sorted(_SYSCALLS))
_LICENSE = ctypes.create_string_buffer(b"Dual BSD/GPL")  # what the kernel knows as compatible with its GPL-only helpers
_LOG_BYTES = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class _ProgLoad(ctypes.Structure):
    _fields_ = [("prog_type", ctypes.c_uint32), ("insn_cnt", ctypes.c_uint32), ("insns", ctypes.c_uint64),
                ("license", ctypes.c_uint64), ("log_level", ctypes.c_uint32), ("log_size", ctypes.c_uint32),
                ("log_buf", ctypes.c_uint64), ("kern_version", ctypes.c_uint32), ("prog_flags", ctypes.c_uint32),
                ("prog_name", ctypes.c_char * 16), ("prog_ifindex", ctypes.c_uint32),
                ("expected_attach_type", ctypes.c_uint32), ("prog_btf_fd", ctypes.c_uint32),
                ("func_info_rec_size", ctypes.c_uint32), ("func_info", ctypes.c_uint64),
                ("func_info_cnt", ctypes.c_uint32), ("line_info_rec_size", ctypes.c_uint32),
                ("line_info", ctypes.c_uint64), ("line_info_cnt", ctypes.c_uint32),
                ("attach_btf_id", ctypes.c_uint32), ("attach_btf_obj_fd", ctypes.c_uint32)]


class _MapCreate(ctypes.Structure):
    _fields_ = [("map_type", ctypes.c_uint32), ("key_size", ctypes.c_uint32), ("value_size", ctypes.c_uint32),
                ("max_entries", ctypes.c_uint32)]


class _RawTracepointOpen(ctypes.Structure):
    _fields_ = [("name", ctypes.c_uint64), ("prog_fd", ctypes.c_uint32)]


class _ById(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32)]


class _GetInfo(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64)]


class _BtfInfo(ctypes.Structure):
    _fields_ = [("btf", ctypes.c_uint64), ("btf_size", ctypes.c_uint32), ("id", ctypes.c_uint32),
                ("name", ctypes.c_uint64), ("name_len", ctypes.c_uint32), ("kernel_btf", ctypes.c_uint32)]


class _ProgInfo(ctypes.Structure):
    """struct bpf_prog_info: only its end is read here, recursion_misses."""
    _fields_ = [("before", ctypes.c_char * 208), ("recursion_misses", ctypes.c_uint64)]


class _TestRun(ctypes.Structure):
    _fields_ = [("prog_fd", ctypes.c_uint32), ("retval", ctypes.c_uint32), ("data_size_in", ctypes.c_uint32),
                ("data_size_out", ctypes.c_uint32), ("data_in", ctypes.c_uint64), ("data_out", ctypes.c_uint64),
                ("repeat", ctypes.c_uint32), ("duration", ctypes.c_uint32), ("ctx_size_in", ctypes.c_uint32),
                ("ctx_size_out", ctypes.c_uint32), ("ctx_in", ctypes.c_uint64), ("ctx_out", ctypes.c_uint64),
                ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32)]


class _PerfEvent(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("size", ctypes.c_uint32), ("config", ctypes.c_uint64),
                ("sample_period", ctypes.c_uint64), ("sample_type", ctypes.c_uint64), ("read_format", ctypes.c_uint64),
                ("flags", ctypes.c_uint64), ("wakeup_events", ctypes.c_uint32), ("bp_type", ctypes.c_uint32),
                ("kprobe_func", ctypes.c_uint64), ("probe_offset", ctypes.c_uint64)]


def require_machine() -> None:
    """Raise TracerError if this is a type of machine of which too little is known."""
    if platform.machine() not in MACHINES:
        raise TracerError("this machine is of type %s: it must be one of %s"
                          % (platform.machine(), ", ".join(MACHINES)))


def _syscall(which: int, *arguments: Any) -> int:
    """Make the bpf (0), perf_event_open (1) or memfd_create (2) system call; raises OSError."""
    try:
        number = _SYSCALLS[platform.machine()][which]
    except KeyError:
        raise TracerError("the numbers of system calls are not known for machines of type %s"
                          % platform.machine()) from None
    result = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def _bpf(command: int, attributes: Any) -> int:
    return _syscall(0, command, ctypes.byref(attributes), ctypes.sizeof(attributes))


def load(prog_type: int, name: str, instructions: bytes, kernel_version: int = 0, attach_type: int = 0,
         btf_id: int = 0, btf_object: int = 0) -> int:
    """Load a program and return its file descriptor; raises OSError with the verifier's last words.

    btf_id, btf_object: for PROG_TYPE_TRACING, the type id of the function or of the tracepoint's typedef, and the
    descriptor of its module's BTF (0: the kernel's).
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    attributes = _ProgLoad(prog_type=prog_type, insn_cnt=len(instructions) // 8, insns=ctypes.addressof(code),
                           license=ctypes.addressof(_LICENSE), kern_version=kernel_version,
                           prog_name=name.encode()[:15], expected_attach_type=attach_type, attach_btf_id=btf_id,
                           attach_btf_obj_fd=btf_object)
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


def run_once(program: int, argument: int) -> int:
    """Run a raw tracepoint's program with one argument and return its 32-bit result; raises OSError before 5.10."""
    context = (ctypes.c_uint64 * 1)(argument)
    attributes = _TestRun(prog_fd=program, ctx_size_in=8, ctx_in=ctypes.addressof(context))
    _bpf(_BPF_PROG_TEST_RUN, attributes)
    return int(attributes.retval)


def make_per_cpu_word() -> int:
    """Return the descriptor of a new map that holds eight bytes for each CPU; raises OSError."""
    return _bpf(_BPF_MAP_CREATE, _MapCreate(map_type=_MAP_PERCPU_ARRAY, key_size=4, value_size=8, max_entries=1))


def memory_file(name: str) -> int:
    """Return the descriptor of a new file in memory; raises OSError."""
    return _syscall(2, ctypes.create_string_buffer(name.encode()), 0)


def missed(program: int) -> int:
    """Return how often a loaded program was not run because it was running on that CPU already.

    An interrupt between two instructions of it brings packets of its own; kernels before 5.12 do not count them.
    """
    info = _ProgInfo()
    _bpf(_BPF_OBJ_GET_INFO_BY_FD, _GetInfo(fd=program, length=ctypes.sizeof(info), info=ctypes.addressof(info)))
    return int(info.recursion_misses)


def attach_raw_tracepoint(program: int, tracepoint: str) -> int:
    """Attach a loaded program and return the link's file descriptor; raises OSError."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_BPF_RAW_TRACEPOINT_OPEN, _RawTracepointOpen(name=ctypes.addressof(name), prog_fd=program))


def attach_typed(program: int) -> int:
    """Attach a program to the function or tracepoint that it was loaded for; returns the link; raises OSError."""
    return _bpf(_BPF_RAW_TRACEPOINT_OPEN, _RawTracepointOpen(prog_fd=program))


def attach_kprobe(program: int, function: str) -> int:
    """Attach a program to a function by a probe that lives as long as the returned descriptor; raises OSError."""
    with open(KPROBE_PMU) as handle:
        kind = int(handle.read())
    name = ctypes.create_string_buffer(function.encode())
    event = _PerfEvent(type=kind, size=ctypes.sizeof(_PerfEvent), kprobe_func=ctypes.addressof(name))
    # for every process, on CPU 0: the CPU is a formality, the probe fires on all
    descriptor = _syscall(1, ctypes.byref(event), -1, 0, -1, _PERF_FLAG_FD_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _PERF_EVENT_IOC_SET_BPF, program)
        fcntl.ioctl(descriptor, _PERF_EVENT_IOC_ENABLE, 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_module_types(module: str) -> int:
    """Return a descriptor of a module's BTF, by which fentry names the module; raises OSError if there is none."""
    number = 0
    while True:
        following = _ById(id=number)
        try:
            _bpf(_BPF_BTF_GET_NEXT_ID, following)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise OSError(errno.ENOENT, "module %s has no BTF" % module) from None
            raise
        number = following.next_id
        descriptor = _bpf(_BPF_BTF_GET_FD_BY_ID, _ById(id=number))
        name = ctypes.create_string_buffer(64)
        info = _BtfInfo(name=ctypes.addressof(name), name_len=64)
        _bpf(_BPF_OBJ_GET_INFO_BY_FD, _GetInfo(fd=descriptor, length=ctypes.sizeof(info), info=ctypes.addressof(info)))
        if name.value.decode() == module:
            return descriptor
        os.close(descriptor)
