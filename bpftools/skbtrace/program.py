# SPDX-License-Identifier: Apache-2.0
"""From points and filter to BPF programs that are compiled, loaded and attached."""
import os
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import btf, compiler, kernel_types, loader, points, recipe

# bcc rewrites map accesses in its main file only: the parts are joined, each named for the compiler's messages
PARTS = ["record.h", "read.h", "skb.h", "packet.h", "filter.h", "maps.h", "queue.h", "fill.h", "observe.h", "points.h"]
STACK_ENTRIES = 16384

class Attached(NamedTuple):
    id: int
    name: str
    hook: str
    target: str


def arguments_of(point: points.Point, described: Optional[List[str]]) -> Dict[str, int]:
    """Return which argument of the hook (from 0) is the skb, its location, ….

    described: the types of the hook's arguments, None where the kernel does not tell.
    """
    found = {}
    for name, argument in point.arguments.items():
        if described is None:
            place = argument.place
        else:
            place = described.index(argument.type) if argument.type in described else None
        if place is not None:
            found[name] = place
    return found


def source(header: str, defines: Dict[str, Any]) -> str:
    """Return the C source: types of this kernel, constants, the parts in order."""
    text = [header] + ["#define %s %s" % item for item in sorted(defines.items())]
    for part in PARTS:
        with open(os.path.join(compiler.BPF_DIR, part)) as handle:
            text.append('#line 1 "%s"\n%s' % (part, handle.read()))
    return "\n".join(text)


def buffer_constants(uses_ring: bool, pages: int, wanted: List[points.Point]) -> Dict[str, Any]:
    """Return the constants for bpf/maps.h; a perf buffer's size is set when it is opened."""
    constants: Dict[str, Any] = {"USE_RING_BUFFER": 1, "RING_PAGES": pages} if uses_ring else {}
    if any(point.stack for point in wanted):
        constants.update(HAVE_STACKS=1, STACK_ENTRIES=STACK_ENTRIES)
    return constants


class Program:
    """The compiled object of one tracer; `attached` and `skipped` (name -> why) tell what this kernel took."""

    def __init__(self, types: btf.Btf, defines: Dict[str, Any], point_count: int) -> None:
        self._types = types
        self._version = compiler.kernel_version()
        self._descriptors: List[int] = []
        self.attached: List[Attached] = []
        self.skipped: Dict[str, str] = {}
        constants = dict(defines, POINT_COUNT=point_count, RECIPE='"0x%x"' % recipe.PLACEHOLDER)
        if kernel_types.has_enumerator(types, "bpf_func_id", "BPF_FUNC_probe_read_kernel"):
            constants["HAVE_PROBE_READ_KERNEL"] = 1
        begun = time.monotonic()
        self.bpf = compiler.compile_text(source(kernel_types.emit_header(types), constants))
        self.seconds = time.monotonic() - begun  # spent on compiling

    def attach(self, wanted: List[points.Point]) -> None:
        """Load and attach a program for every point; what cannot be had goes to `skipped` with its reason."""
        bytecode = self.bpf.dump_func("point_raw")
        for number, point in enumerate(wanted):
            described = self._types.parameters("btf_trace_" + point.tracepoint)
            if described is None:
                self.skipped[point.name] = "this kernel has no tracepoint " + point.tracepoint
                continue
            arguments = arguments_of(point, [kind for _name, kind in described[1:]])
            if "skb" not in arguments:
                self.skipped[point.name] = "this kernel's tracepoint %s does not show the packet" % point.tracepoint
                continue
            try:
                self._attach_raw(point, recipe.apply(bytecode, recipe.encode(number, point, arguments)))
            except OSError as error:
                self.skipped[point.name] = "the kernel refused tracepoint %s: %s" % (point.tracepoint, error.strerror)
                continue
            self.attached.append(Attached(number, point.name, "raw_tracepoint", point.tracepoint))

    def _attach_raw(self, point: points.Point, instructions: bytes) -> None:
        name = point.name.replace(".", "_")
        program = loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, name, instructions, self._version)
        self._descriptors.append(program)
        self._descriptors.append(loader.attach_raw_tracepoint(program, point.tracepoint))

    def detach(self) -> None:
        """Let go of every program; the maps stay readable until the process ends."""
        while self._descriptors:
            os.close(self._descriptors.pop())

