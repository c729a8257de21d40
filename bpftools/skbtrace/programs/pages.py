# SPDX-License-Identifier: Apache-2.0
"""Where the kernel maps its memory: what turns a `struct page *`, as packets have it, into an address to read from.

The two bases are chosen anew at each boot, and few kernels tell them. They follow from a page of our own: of it we know
the content and the frame's number (/proc/self/pagemap), and the kernel has its struct page in the file that it is of.
"""
import contextlib
import ctypes
import mmap
import os
import struct
from typing import Dict, Iterator, Optional, Tuple

from ..kernel import btf
from . import loader, memory

STRUCTS = ["task_struct", "files_struct", "fdtable", "file", "address_space", "page", "skb_frag_struct"]
_PAGEMAP = "/proc/self/pagemap"
_FRAME = (1 << 55) - 1
_ALIGNMENT = 1 << 30     # of the direct map's base
_MOST_STEPS = 4096       # 4 TiB


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
    content = os.urandom(8)
    try:
        with memory.opened() as kernel, _page(content) as (descriptor, frame):
            return _find(kernel, types, descriptor, frame, struct.unpack("=Q", content)[0])
    except (OSError, LookupError):
        return {}


def _find(kernel: memory.Memory, types: btf.Btf, descriptor: int, frame: int, content: int) -> Dict[str, str]:
    """Raises LookupError if the page, or the frame's number, is not to be had."""
    def follow(address: int, struct_name: str, field: str) -> int:
        member = types.member(struct_name, field)
        if not member or not address:
            raise LookupError(field)
        return kernel.word(address + member.bit_offset // 8)

    table = follow(follow(kernel.task, "task_struct", "files"), "files_struct", "fdt")
    file = kernel.word(follow(table, "fdtable", "fd") + 8 * descriptor)
    page = follow(follow(file, "file", "f_mapping"), "address_space", "i_pages.xa_head")
    size = types.struct_size("page")
    if not frame or not page or page & 3 or not size:
        raise LookupError("page")
    base = kernel.task & -_ALIGNMENT
    for _ in range(_MOST_STEPS):
        if kernel.word(base + frame * mmap.PAGESIZE) == content:
            return {"DIRECT_MAP": "0x%xull" % base, "PAGE_STRUCTS": "0x%xull" % (page - frame * size),
                    "PAGE_STRUCT_SIZE": str(size), "PAGE_BYTES": str(mmap.PAGESIZE)}
        base -= _ALIGNMENT
    raise LookupError("direct map")
