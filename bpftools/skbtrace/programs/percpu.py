# SPDX-License-Identifier: Apache-2.0
"""Where each CPU has its own copy of the kernel's per-CPU memory, and its softnet_data in it.

Few kernels show these to everybody, so they are read off what a process has: a per-CPU map of its own gives one CPU's
place, and the run queues, to which every task's scheduling group leads, how far apart the CPUs are. In newer kernels,
as 7.2, a group has its queues in per-CPU memory itself (kernel/sched/sched.h): there each CPU is asked in its turn.
"""
import contextlib
import os
from typing import Iterator, List, NamedTuple, Optional

from ..kernel import btf, lookup
from . import loader, memory

STRUCTS = ["task_struct", "task_group", "cfs_rq", "rq", "bpf_array", "softnet_data"]
_SECTION = ".data..percpu"
NAMES = STRUCTS + [_SECTION, "runqueues", "softnet_data"]
_POSSIBLE, _ONLINE = "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/online"


class PerCpu(NamedTuple):
    """The places of per-CPU memory."""

    offsets: List[int]  # of each CPU: what a per-CPU pointer lacks to an address there
    softnet: int        # per-CPU pointer to softnet_data; 0: not known


def cpu_count() -> int:
    """Return how many CPUs there may ever be: one more than the last one's number."""
    return max(_cpus(_POSSIBLE)) + 1


def _cpus(path: str) -> List[int]:
    """Return the numbers of a list such as 0-3,8."""
    with open(path) as handle:
        ranges = [part.split("-") for part in handle.read().strip().split(",")]
    return [cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)]


def find(types: Optional[btf.Btf]) -> Optional[PerCpu]:
    """Return where per-CPU memory is; None where the kernel does not let itself be asked."""
    if types is None:
        return None
    try:
        with memory.opened() as kernel:
            return _find(kernel, types)
    except (OSError, LookupError):
        return None


def _find(kernel: memory.Memory, types: btf.Btf) -> PerCpu:
    """Raises LookupError, or OSError, if one of the things is not to be had."""
    def place(struct_name: str, field: str) -> int:
        member = types.member(struct_name, field)
        if not member:
            raise LookupError(field)
        return member.bit_offset // 8

    pointers, queue, number = place("bpf_array", "pptrs"), place("cfs_rq", "rq"), place("rq", "cpu")
    with _pinned() as cpu:
        own = _own_offset(kernel, pointers)
    group = kernel.word(kernel.task + place("task_struct", "sched_task_group"))
    queues = kernel.word(group + place("task_group", "cfs_rq"))
    cpus = list(range(cpu_count()))
    run_queues = [kernel.word(kernel.word(queues + 8 * each) + queue) for each in cpus]
    if _are_of(kernel, number, run_queues, cpus):
        offsets = [own + run_queue - run_queues[cpu] for run_queue in run_queues]
    else:
        cpus = _cpus(_ONLINE)
        offsets = _offsets_in_turn(kernel, pointers, cpus)
        run_queues = [kernel.word(queues + offsets[each] + queue) for each in cpus]
        if not _are_of(kernel, number, run_queues, cpus):
            raise LookupError("rq")
    return PerCpu([offset & (1 << 64) - 1 for offset in offsets],
                  _softnet(kernel, types, run_queues, cpus, offsets[cpus[0]]))


def _are_of(kernel: memory.Memory, number: int, run_queues: List[int], cpus: List[int]) -> bool:
    """Whether run queues are those of these CPUs. number: where a run queue has its CPU's."""
    return all(run_queues) and [kernel.word(one + number) & 0xFFFFFFFF for one in run_queues] == cpus


def _offsets_in_turn(kernel: memory.Memory, pointers: int, cpus: List[int]) -> List[int]:
    """Return each CPU's offset, 0 for those that are off; raises OSError if this process may not run on one of them."""
    offsets = [0] * cpu_count()
    for cpu in cpus:
        with _pinned(cpu):
            offsets[cpu] = _own_offset(kernel, pointers)
    return offsets


@contextlib.contextmanager
def _pinned(cpu: Optional[int] = None) -> Iterator[int]:
    """One CPU, this one or any, on which this thread stays for a while."""
    before = os.sched_getaffinity(0)
    cpu = min(before) if cpu is None else cpu
    os.sched_setaffinity(0, {cpu})
    try:
        yield cpu
    finally:
        os.sched_setaffinity(0, before)


def _own_offset(kernel: memory.Memory, pointers: int) -> int:
    """Return this CPU's offset. pointers: where struct bpf_array has its per-CPU pointers."""
    descriptor = loader.make_per_cpu_word()
    try:
        pointer = kernel.word(memory.address_of_map(descriptor) + pointers)
        return memory.address_of_first(descriptor) - pointer
    finally:
        os.close(descriptor)


def _softnet(kernel: memory.Memory, types: btf.Btf, run_queues: List[int], cpus: List[int], offset: int) -> int:
    """Return the per-CPU pointer to softnet_data; 0 if what is there does not look like it on every CPU. offset: of the
    first one."""
    apart = _apart(types)
    poll, number = types.member("softnet_data", "backlog.poll"), types.member("softnet_data", "cpu")
    if not apart or not poll or not number:
        return 0
    found = [run_queue + apart for run_queue in run_queues]
    polls = {kernel.word(address + poll.bit_offset // 8) for address in found}
    numbers = [kernel.word(address + number.bit_offset // 8) & 0xFFFFFFFF for address in found]
    if len(polls) != 1 or 0 in polls or numbers != cpus:
        return 0
    return found[0] - offset & (1 << 64) - 1


def _apart(types: btf.Btf) -> int:
    """Return how far softnet_data lies behind a CPU's run queue, in bytes; 0 if nothing tells: before 5.11 the kernel's
    types have no variables, and its symbols may be hidden."""
    names = ["runqueues", "softnet_data"]
    places = [types.variable(_SECTION, name) for name in names]
    if None in places:
        known = lookup.addresses(names)
        places = [known.get(name, 0) for name in names]
    return (places[1] or 0) - (places[0] or 0)
