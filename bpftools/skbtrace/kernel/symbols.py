# SPDX-License-Identifier: Apache-2.0
"""Kernel addresses as names, resolved on the host while its kallsyms are true."""
import contextlib
import ctypes
import itertools
import platform
import re
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

_NO_FRAME = 0
_CALLER = 0     # stands in a stack for a caller that is not on it
_ENOUGH = 1000  # symbols: the first ones of all may lie at 0 (per-CPU data)
_OWN_DEPTH = 5  # frames within which the tracer's own are
GONE = "bpf_prog_"  # how programs are called; one that is gone has no name
_ENTRY = re.compile(r"\+0x0\b")
_OWN_FRAMES = (GONE, "bpf_trampoline_", "bpf_trace_run", "__bpf_trace_", "__traceiter_")


def _lookup(bpf: Any, address: int) -> str:
    if address == _CALLER:
        return "(its caller is not on the stack)"
    text = str(bpf.ksym(address, show_module=True, show_offset=True).decode(errors="replace").replace(" [kernel]", ""))
    return "0x%x" % address if text.startswith("[unknown]") else text


def modules() -> Dict[str, str]:
    """Return where each module of the kernel is in memory, as the kernel writes it."""
    try:
        with open("/proc/modules") as handle:
            return {words[0]: words[-1] for words in (re.sub(r" \([A-Z]+\)$", "", line).split() for line in handle)}
    except FileNotFoundError:  # this kernel takes none
        return {}


def of_modules(addresses: Iterable[int], were: Dict[str, str]) -> Dict[str, str]:
    """Return the names of these locations of the running kernel, as the manifest has them; were: where its modules were
    when the addresses were taken: one that was loaded anew since has other functions there."""
    try:
        import bcc
    except (ImportError, OSError):
        return {}
    now = modules()
    names = {"0x%x" % address: _lookup(bcc.BPF, address) for address in addresses}
    moved = {name for name in set(now) | set(were) if now.get(name) != were.get(name)}
    return {address: name for address, name in names.items() if name.partition(" [")[2].rstrip("]") not in moved}


def without_own(frames: List[int], names: List[str]) -> List[int]:
    """Leave out of a stack what a tracer itself put there: its program and the kernel's call of it.

    On AArch64 a function's caller is in a register until the function has a frame of its own, and a kprobe comes before
    that: there a frame says so. names: of the first frames.
    """
    own = [depth for depth, name in enumerate(names[:_OWN_DEPTH]) if name.startswith(_OWN_FRAMES)]
    begin = own[-1] + 1 if own else 0
    at_once = platform.machine() == "aarch64" and names[begin:begin + 1] and _ENTRY.search(names[begin])
    return frames[begin:begin + 1] + ([_CALLER] if at_once else []) + frames[begin + 1:]


class Symbols:
    """Names of locations and stacks; remembers what it was asked, for the manifest."""

    def __init__(self, bpf: Any) -> None:
        self._bpf = bpf
        self.names: Dict[int, str] = {}
        self.stacks: Dict[int, List[int]] = {}

    def are_hidden(self) -> bool:
        """Whether the kernel keeps the addresses of its functions from this process."""
        with open("/proc/kallsyms") as handle:
            return all(int(line.split(None, 1)[0], 16) == 0 for line in itertools.islice(handle, _ENOUGH))

    def learn(self) -> None:
        """Read the kernel's names now, while the tracer's own programs have theirs: what bcc read once it keeps."""
        _lookup(self._bpf, 1)

    def name(self, address: int) -> str:
        """Return function+offset, with the module where it is one: tun_net_xmit+0x1a2 [tun]."""
        if address not in self.names:
            self.names[address] = _lookup(self._bpf, address)
        return self.names[address]

    def addresses(self, stack_id: int) -> List[int]:
        """Return the addresses of a stack, innermost first; empty if the kernel no longer has it."""
        if stack_id not in self.stacks:
            try:
                frames = self._bpf["stacks"][ctypes.c_int(stack_id)].ip
                self.stacks[stack_id] = self._without_own([frame for frame in frames if frame != _NO_FRAME])
            except KeyError:
                self.stacks[stack_id] = []
        return self.stacks[stack_id]

    def untold(self, told: Set[int]) -> Iterator[Tuple[int, List[int]]]:
        """Yield (id, addresses) of each stack that the kernel has taken since; told: ids, to which it is added.

        Addresses are as they were taken, and no symbol is looked up: that takes its time.
        """
        table = self._bpf["stacks"]
        for key in table:
            if key.value in told:
                continue
            with contextlib.suppress(KeyError):  # it was just being taken
                frames = [frame for frame in table[key].ip if frame != _NO_FRAME]
                told.add(key.value)
                yield key.value, frames

    def _without_own(self, frames: List[int]) -> List[int]:
        """Leave out what the tracer itself put on the stack: its program and the kernel's call of it."""
        return without_own(frames, [_lookup(self._bpf, frame) for frame in frames[:_OWN_DEPTH]])

    def stack(self, stack_id: int) -> List[str]:
        """Return the names of a stack's frames, innermost first."""
        return [self.name(address) for address in self.addresses(stack_id)]
