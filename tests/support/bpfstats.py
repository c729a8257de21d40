# SPDX-License-Identifier: Apache-2.0
"""Run counts and run times of loaded BPF programs, as kernel.bpf_stats_enabled keeps them. No bpftool needed."""
import contextlib
import ctypes
import os
import pathlib
import platform
from collections.abc import Iterator
from typing import NamedTuple

SWITCH = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
_GET_NEXT_ID, _GET_FD_BY_ID, _GET_INFO = 11, 13, 15
_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_libc = ctypes.CDLL(None, use_errno=True)


class _Info(ctypes.Structure):
    """struct bpf_prog_info of include/uapi/linux/bpf.h, as far as run_cnt."""
    _fields_ = [("type", ctypes.c_uint32), ("id", ctypes.c_uint32), ("tag", ctypes.c_uint8 * 8),
                ("jited_prog_len", ctypes.c_uint32), ("xlated_prog_len", ctypes.c_uint32),
                ("jited_prog_insns", ctypes.c_uint64), ("xlated_prog_insns", ctypes.c_uint64),
                ("load_time", ctypes.c_uint64), ("created_by_uid", ctypes.c_uint32), ("nr_map_ids", ctypes.c_uint32),
                ("map_ids", ctypes.c_uint64), ("name", ctypes.c_char * 16), ("ifindex", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("netns_dev", ctypes.c_uint64), ("netns_ino", ctypes.c_uint64),
                ("nr_jited_ksyms", ctypes.c_uint32), ("nr_jited_func_lens", ctypes.c_uint32),
                ("jited_ksyms", ctypes.c_uint64), ("jited_func_lens", ctypes.c_uint64), ("btf_id", ctypes.c_uint32),
                ("func_info_rec_size", ctypes.c_uint32), ("func_info", ctypes.c_uint64),
                ("nr_func_info", ctypes.c_uint32), ("nr_line_info", ctypes.c_uint32), ("line_info", ctypes.c_uint64),
                ("jited_line_info", ctypes.c_uint64), ("nr_jited_line_info", ctypes.c_uint32),
                ("line_info_rec_size", ctypes.c_uint32), ("jited_line_info_rec_size", ctypes.c_uint32),
                ("nr_prog_tags", ctypes.c_uint32), ("prog_tags", ctypes.c_uint64), ("run_time_ns", ctypes.c_uint64),
                ("run_cnt", ctypes.c_uint64)]


class Program(NamedTuple):
    """One loaded program: how often it ran and for how many ns altogether."""

    id: int
    name: str
    runs: int
    ns: int


def _bpf(command: int, words: bytearray) -> int:
    buffer = (ctypes.c_char * len(words)).from_buffer(words)
    return int(_libc.syscall(_SYSCALL, command, ctypes.byref(buffer), len(words)))


def programs() -> list[Program]:
    """Return all loaded programs."""
    found, number = [], 0
    while True:
        words = bytearray(number.to_bytes(4, "little") + bytes(12))
        if _bpf(_GET_NEXT_ID, words) < 0:
            return found
        number = int.from_bytes(words[4:8], "little")
        descriptor = _bpf(_GET_FD_BY_ID, bytearray(number.to_bytes(4, "little") + bytes(12)))
        if descriptor < 0:  # it went away in between
            continue
        info = _Info()
        attributes = bytearray(descriptor.to_bytes(4, "little") + ctypes.sizeof(info).to_bytes(4, "little") +
                               ctypes.addressof(info).to_bytes(8, "little"))
        if _bpf(_GET_INFO, attributes) == 0:
            found.append(Program(number, info.name.decode(), info.run_cnt, info.run_time_ns))
        os.close(descriptor)


@contextlib.contextmanager
def enabled() -> Iterator[None]:
    """Keep statistics while the block runs."""
    before = SWITCH.read_text()
    SWITCH.write_text("1")
    try:
        yield
    finally:
        SWITCH.write_text(before)
