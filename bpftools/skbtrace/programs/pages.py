# SPDX-License-Identifier: Apache-2.0
"""Where the kernel maps its memory: what turns a `struct page *`, as packets have it, into an address to read from.

The two bases are chosen anew at each boot, and few kernels tell them. They follow from a page of our own: of it we know
the content and the frame's number (/proc/self/pagemap), and the kernel has its struct page in the file that it is of.
Kernel memory is read by a program of a few instructions that runs on demand, and is attached to nothing.
"""
import contextlib
import ctypes
import mmap
import os
import struct
from typing import Dict, Iterator, Optional, Tuple

from ..kernel import btf
from . import loader

STRUCTS = ["task_struct", "files_struct", "fdtable", "file", "address_space", "page", "skb_frag_struct"]
_PAGEMAP = "/proc/self/pagemap"
_FRAME = (1 << 55) - 1
_ALIGNMENT = 1 << 30     # of the direct map's base
_MOST_STEPS = 4096       # 4 TiB
_READ_KERNEL, _CURRENT_TASK = 113, 35  # helpers


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)


_EXIT = _instruction(0x95)
# four bytes at the address that is the first argument, 0 where nothing can be read
_PEEK = b"".join([
    _instruction(0x79, 3, 1), _instruction(0x7A, 10, 0, -8, 0), _instruction(0xBF, 1, 10),
    _instruction(0x07, 1, 0, 0, -8), _instruction(0xB7, 2, 0, 0, 4), _instruction(0x85, value=_READ_KERNEL),
    _instruction(0x61, 0, 10, -8), _EXIT])
_TASK = [_instruction(0x85, value=_CURRENT_TASK) + shift + _EXIT
         for shift in (b"", _instruction(0x77, 0, 0, 0, 32))]  # its lower and its upper half


class _Memory:
    """The kernel's memory, to be read, and the address of the process's own struct task_struct."""

    def __init__(self) -> None:
        """Raises OSError where such programs cannot be run."""
        self._peek = loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "peek", _PEEK)
        halves = [loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "task", code) for code in _TASK]
        self.task = loader.run_once(halves[0], 0) | loader.run_once(halves[1], 0) << 32
        for descriptor in halves:
            os.close(descriptor)

    def word(self, address: int) -> int:
        """Return eight bytes, 0 where nothing can be read."""
        return loader.run_once(self._peek, address) | loader.run_once(self._peek, address + 4) << 32

    def close(self) -> None:
        """Let go of the program."""
        os.close(self._peek)


@contextlib.contextmanager
def _page(content: bytes) -> Iterator[Tuple[int, int]]:
    """A page of a file of its own, as (descriptor, number of its frame); raises OSError."""
    descriptor = loader.memory_file("page")
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        with mmap.mmap(descriptor, mmap.PAGESIZE) as mapped, open(_PAGEMAP, "rb", 0) as pagemap:
            mapped[:len(content)] = content
            view = ctypes.c_char.from_buffer(mapped)
            pagemap.seek(ctypes.addressof(view) // mmap.PAGESIZE * 8)
            frame = struct.unpack("=Q", pagemap.read(8))[0] & _FRAME
            del view
            yield descriptor, frame
    finally:
        os.close(descriptor)


def constants(types: Optional[btf.Btf]) -> Dict[str, str]:
    """Return the constants for bpf/gather.h; empty where the kernel does not let itself be asked."""
    if types is None or types.member("skb_frag_struct", "page"):  # fragments have other fields before 5.4
        return {}
    memory = None
    try:
        memory = _Memory()
        content = os.urandom(8)
        with _page(content) as (descriptor, frame):
            return _find(memory, types, descriptor, frame, struct.unpack("=Q", content)[0])
    except (OSError, LookupError):
        return {}
    finally:
        if memory:
            memory.close()


def _find(memory: _Memory, types: btf.Btf, descriptor: int, frame: int, content: int) -> Dict[str, str]:
    """Raises LookupError if the page, or the frame's number, is not to be had."""
    def follow(address: int, struct_name: str, field: str) -> int:
        member = types.member(struct_name, field)
        if not member or not address:
            raise LookupError(field)
        return memory.word(address + member.bit_offset // 8)

    table = follow(follow(memory.task, "task_struct", "files"), "files_struct", "fdt")
    file = memory.word(follow(table, "fdtable", "fd") + 8 * descriptor)
    page = follow(follow(file, "file", "f_mapping"), "address_space", "i_pages.xa_head")
    size = types.struct_size("page")
    if not frame or not page or page & 3 or not size:
        raise LookupError("page")
    base = memory.task & -_ALIGNMENT
    for _ in range(_MOST_STEPS):
        if memory.word(base + frame * mmap.PAGESIZE) == content:
            return {"DIRECT_MAP": "0x%xull" % base, "PAGE_STRUCTS": "0x%xull" % (page - frame * size),
                    "PAGE_STRUCT_SIZE": str(size), "PAGE_BYTES": str(mmap.PAGESIZE)}
        base -= _ALIGNMENT
    raise LookupError("direct map")
