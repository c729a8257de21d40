# SPDX-License-Identifier: Apache-2.0
"""From points and filter to BPF programs that are compiled, loaded and attached."""
import os
import platform
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..kernel import lookup, structs
from . import BPF_DIR, cast, compiler, hooks, loader, points, recipe

# bcc rewrites map accesses in its main file only: the parts are joined, each named for the compiler's messages
PARTS = ["record.h", "read.h", "cast.h", "skb.h", "packet.h", "tunnel.h", "maps.h", "rate.h", "filter.h", "frame.h",
         "gather.h", "socket.h", "sample.h", "fill.h", "fields.h", "recipe.h", "queue.h", "follow.h", "expression.h",
         "observe.h", "points.h"]
STACK_ENTRIES = 16384
_AT_ONCE = 8  # hooks attached, or let go, at the same time: the kernel makes each wait until no CPU can be in it


class Attached(NamedTuple):
    """A point that is being looked at; id is what its records carry."""

    id: int
    name: str
    hook: str
    target: str
    made_up: bool  # the packets have no headers yet: those of the records are what their sockets will give them
    only_followed: bool = False  # another tracer records what matches


def source(declarations: structs.Declarations, defines: Dict[str, Any]) -> str:
    """Return the C source: types of this kernel, constants, the parts in order."""
    constants = dict(declarations.constants, **defines)
    text = [declarations.text] + ["#define %s %s" % item for item in sorted(constants.items())]
    for part in PARTS:
        with open(os.path.join(BPF_DIR, part)) as handle:
            text.append('#line 1 "%s"\n%s' % (part, handle.read()))
    return "\n".join(text)


class Program:
    """The compiled object of one tracer; `attached` and `skipped` (name -> why) tell what this kernel took."""

    def __init__(self, declarations: structs.Declarations, types: Optional[lookup.Types],
                 wanted: List[points.Point], defines: Dict[str, Any], ring_pages: int,
                 flow_actions_length: int, only_followed: Sequence[str] = ()) -> None:
        """ring_pages: of the ring buffer, if there is one; flow_actions_length: its offset in sw_flow_actions;
        only_followed: points where another tracer records what matches."""
        self._only_followed = only_followed
        self._wanted = wanted
        self._version = compiler.kernel_version()
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._descriptors: List[int] = []
        self._programs: Dict[int, int] = {}  # id of a point -> descriptor
        self._module_types: Dict[str, int] = {}
        self.attached: List[Attached] = []
        self.skipped: Dict[str, str] = {}
        self.missed: Dict[int, int] = {}  # id of a point -> packets that its program was not run for
        self._homes: Dict[str, Tuple[str, int]] = {}  # point -> the module that its hook is in, and which loading of it
        functions = hooks.wanted_functions(wanted)
        found = lookup.find_functions(functions) if functions else {}
        self._offers = [hooks.candidates(point, types, found) for point in wanted]
        self._has_kprobe_program = hooks.needs_kprobes(self._offers)
        constants = dict(defines, POINT_COUNT=len(wanted), RECIPE='"0x%x"' % recipe.PLACEHOLDER,
                         FLOW_ACTIONS_LENGTH=flow_actions_length, RING_PAGES=ring_pages, STACK_ENTRIES=STACK_ENTRIES)
        self._casts = cast.constants(types.vmlinux if types else None)
        constants.update(self._casts)
        if any(point.stack for point in wanted):
            constants["HAVE_STACKS"] = 1
        if any(point.made_up for point in wanted):
            constants["HAVE_MADE_UP"] = 1
        if "HAVE_LARGE_PROGRAMS" in declarations.constants and any("count" in point.arguments for point in wanted):
            constants["HAVE_LISTS"] = 1
        if self._has_kprobe_program:
            constants["HAVE_KPROBES"] = constants["MACHINE_" + platform.machine()] = 1
        begun = time.monotonic()
        self.bpf = compiler.compile_text(source(declarations, constants), declarations.from_headers)
        self.seconds = time.monotonic() - begun  # spent on compiling

    def attach(self) -> None:
        """Load and attach a program for every point; what cannot be had goes to `skipped` with its reason."""
        for module in {hook.module for candidates, _reasons in self._offers for hook in candidates if hook.btf_id}:
            if module:
                self._module_types[module] = self._keep(loader.open_module_types(module))
        self._start_threads()
        reached = self._pool.map(self._reach, range(len(self._offers)), self._wanted, self._offers)
        for point, (attached, reasons) in zip(self._wanted, reached):
            if attached:
                self.attached.append(attached)
            else:
                self.skipped[point.name] = "; ".join(reasons)

    def _start_threads(self) -> None:
        """Have all threads run from now on: when memory has run out, to start one may hang, and they are to let go."""
        everybody = threading.Barrier(_AT_ONCE)
        for _ in self._pool.map(lambda _number: everybody.wait(), range(_AT_ONCE)):
            pass

    def _reach(self, number: int, point: points.Point,
               offer: Tuple[List[hooks.Hook], List[str]]) -> Tuple[Optional[Attached], List[str]]:
        """Try the hooks of a point one after the other; returns what took it there, or else why nothing did."""
        candidates, reasons = offer
        for hook in candidates:
            if hook.kind == hooks.KPROBE and not self._has_kprobe_program:
                continue
            try:
                program = self._keep(self._load(number, point, hook))
                if hook.btf_id:
                    self._keep(loader.attach_typed(program))
                elif hook.kind == hooks.RAW_TRACEPOINT:
                    self._keep(loader.attach_raw_tracepoint(program, hook.target))
                else:
                    self._keep(loader.attach_kprobe(program, hook.target))
            except OSError as error:
                reasons.append("the kernel refused a %s: %s" % (hook.kind.replace("_", " "), error.strerror))
                continue
            self._programs[number] = program
            if hook.module:
                self._homes[point.name] = hook.module, lookup.loading_of(hook.module)
            return Attached(number, point.name, hook.kind, hook.target, point.made_up,
                            point.name in self._only_followed), reasons
        return None, reasons

    def _load(self, number: int, point: points.Point, hook: hooks.Hook) -> int:
        code = recipe.apply(self.bpf.dump_func("point_kprobe" if hook.kind == hooks.KPROBE else "point_raw"),
                            recipe.encode(number, point, hook, point.name in self._only_followed))
        code = cast.apply(code, self._casts)
        name = re.sub(r"\W", "_", point.name)
        if hook.btf_id:
            attach_type = loader.ATTACH_FENTRY if hook.kind == hooks.FENTRY else loader.ATTACH_RAW_TRACEPOINT
            return loader.load(loader.PROG_TYPE_TRACING, name, code, self._version, attach_type, hook.btf_id,
                               self._module_types.get(hook.module, 0))
        kind = loader.PROG_TYPE_KPROBE if hook.kind == hooks.KPROBE else loader.PROG_TYPE_RAW_TRACEPOINT
        return loader.load(kind, name, code, self._version)

    def _keep(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    def unloaded(self) -> Dict[str, str]:
        """Return point -> module of the points whose module was unloaded since, and perhaps loaded anew.

        The kernel does not let go of a module in which there is a tracepoint or a function with fentry; a kprobe does
        not hold its module, and dies with it.
        """
        return {point: module for point, (module, loading) in self._homes.items()
                if lookup.loading_of(module) != loading}

    def _count_missed(self) -> Dict[int, int]:
        return {number: loader.missed(program) for number, program in self._programs.items()}

    def detach(self) -> None:
        """Let go of every program; the maps, and what was `missed`, stay readable until the process ends."""
        self.missed = self._count_missed()
        closing, self._descriptors = self._descriptors, []
        with self._pool:
            for _ in self._pool.map(os.close, reversed(closing)):
                pass
