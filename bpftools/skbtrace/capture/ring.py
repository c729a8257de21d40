# SPDX-License-Identifier: Apache-2.0
"""Getting records out of the kernel in bulk: bytes as they lie in the buffer, many records at a time.

Both buffers hand `take` one bytes-like object that holds whole records of `stride` bytes each.
"""
import mmap
import platform
from typing import Any, Callable, List

from . import record

Take = Callable[[Any], None]
_HEADER_TOP_BYTE = 3  # of the u32 length before each record: bit 7 busy (not submitted yet), bit 6 discarded


class RingBuffer:
    """A BPF ring buffer, mapped: everything between consumer and producer is one slice.

    The data pages are mapped twice in a row by the kernel, so a slice never wraps. Fixed-size records let a strided
    slice show all their headers at once. Plain loads are ordered on x86 alone: other machines get CallbackBuffer.
    """

    def __init__(self, descriptor: int, size: int, stride: int, take: Take) -> None:
        """descriptor: of the map; size: of its data in bytes, a power of two; take: gets the records."""
        self._stride = stride
        self._mask = size - 1
        self._take = take
        page = mmap.PAGESIZE
        consumer = mmap.mmap(descriptor, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        producer = mmap.mmap(descriptor, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        # native words: read and written in one go, where struct's "<Q" goes byte by byte under the kernel's eyes
        self._consumer = memoryview(consumer).cast("Q")
        self._producer = memoryview(producer)[:page].cast("Q")
        self._data = memoryview(producer)[page:]

    def drain(self) -> int:
        """Hand over what is there; returns the number of records."""
        begin, end = self._consumer[0], self._producer[0]
        if begin == end:
            return 0
        offset = begin & self._mask
        waiting = self._data[offset:offset + end - begin]
        flags = bytes(waiting[_HEADER_TOP_BYTE::self._stride])
        ready = len(flags) - len(flags.lstrip(b"\0")) if any(flags) else len(flags)
        if ready:
            self._take(waiting[:ready * self._stride])
            self._consumer[0] = begin + ready * self._stride
        return ready


class CallbackBuffer:
    """A ring buffer or perf buffer through bcc's own reader: an upcall per record, gathered into bulk."""

    def __init__(self, bpf: Any, ring: bool, pages: int, stride: int, take: Take) -> None:
        """bpf: bcc's object; ring: its map `events` is a ring buffer, else a perf buffer of `pages` a CPU."""
        import ctypes
        self._bpf, self._ring, self._take = bpf, ring, take
        self._gathered: List[bytes] = []
        self.lost = 0  # records that the kernel dropped on the way, as the perf buffer tells

        def gather(_cpu: Any, data: int, _size: int) -> int:
            # a perf record brings the ring's eight header bytes itself (struct scratch of maps.h)
            header = bytes(record.RING_HEADER) if ring else b""
            self._gathered.append(header + ctypes.string_at(data, stride - len(header)))
            return 0

        def count(lost: int) -> None:
            self.lost += lost

        if ring:
            bpf["events"].open_ring_buffer(gather)
        else:
            bpf["events"].open_perf_buffer(gather, page_cnt=pages, lost_cb=count)

    def drain(self) -> int:
        """Hand over what is there; returns the number of records."""
        if self._ring:
            self._bpf.ring_buffer_consume()
        else:
            self._bpf.perf_buffer_poll(timeout=0)
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._take(b"".join(gathered))
        return len(gathered)


def open_buffer(bpf: Any, ring: bool, pages: int, stride: int, take: Take) -> Any:
    """Return the reader that fits: `pages` of the ring, or of each CPU's perf buffer."""
    if ring and platform.machine() == "x86_64":
        return RingBuffer(bpf["events"].map_fd, pages * mmap.PAGESIZE, stride, take)
    return CallbackBuffer(bpf, ring, pages, stride, take)
