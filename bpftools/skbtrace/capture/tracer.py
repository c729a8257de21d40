# SPDX-License-Identifier: Apache-2.0
"""One tracer at work: arm, open the window, drain, finish."""
import os
import signal
import time
from typing import Any, Dict, List, Optional

from ..errors import TracerError, option
from ..host import clock, devices, limits
from ..kernel import lookup, reasons, structs
from ..kernel.symbols import Symbols
from ..programs import cast, fields, filters, hooks, pages, points, program, queues, rate, sample
from . import record, ring
from .scope import Scope
from .sharing import Sharing
from .window import Window

# of struct counters in programs/bpf/maps.h
COUNTERS = ("seen", "matched", "followed", "lost", "shed", "sampled_out", "outside_window", "unparsed", "undecided",
            "no_device", "stacks_lost", "forgotten", "missed")
_IDLE_SECONDS = 0.01   # between looks at an empty buffer: a tenth of what fills it at a million records a second
_CLOSED_SECONDS = 0.1   # likewise, as long as the window is closed: nothing can come, and many may wait for it
_CONTROL_SECONDS = 0.05  # between looks at the window file
_CHECK_SECONDS = 0.25  # between looks at disk and reader
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _reasons(missing: Dict[str, str]) -> str:
    return "; ".join("%s: %s" % item for item in sorted(missing.items()))


def total(rows: Dict[str, Dict[str, Any]]) -> Dict[str, int]:
    """Return counters summed over the points; rows: point -> counters."""
    return {name: sum(row[name] for row in rows.values()) for name in COUNTERS}


class Tracer:
    """Programs of one tracer on this host, from loading to letting go."""

    def __init__(self, options: Any, chosen: filters.Filter) -> None:
        """Raises InputError or TracerError before anything is loaded, if it cannot be done."""
        self.options, self.chosen = options, chosen
        self.stopped_by = ""
        self.interrupted = False  # by a signal, if only after the window's end
        self.seconds: Dict[str, float] = {}  # how long arming took
        self.load: Optional[Dict[str, Any]] = None  # before the window, if it was measured
        limits.require_root()
        limits.require_bcc()
        self.scope = Scope(chosen)
        asked_for = points.wanted(options)
        names = list(structs.FIELDS) + [structs.FLOW_ACTIONS[0]] + reasons.ENUMS + structs.ENUMS
        names += pages.STRUCTS + queues.type_names() + [cast.FUNCTION]
        names += hooks.wanted_functions(asked_for) + ["btf_trace_" + point.tracepoint for point in asked_for]
        self._types = lookup.read_types(names)
        self._found_fields = fields.find(options.field, self._types)
        self.fields = fields.describe(self._found_fields)
        self.layout = record.Layout(len(self.fields))
        # name -> why there is nothing to look at, as when the point's module is not in this kernel
        why = [(point.name, hooks.why_absent(point, self._types)) for point in asked_for]
        self.absent = {name: reason for name, reason in why if reason}
        self._refuse_without_required(self.absent)
        self.wanted = [point for point in asked_for if point.name not in self.absent]
        if not self.wanted:
            raise TracerError("none of the points is in this kernel: " + _reasons(self.absent))
        self.declarations = structs.from_btf(self._types.vmlinux) if self._types else \
            structs.from_headers(os.uname().release)
        if options.perf_buffer:
            self.declarations.constants.pop("USE_RING_BUFFER", None)
        self.reasons = reasons.read(self._types)
        self.pairs: List[Dict[str, Any]] = []
        self.ended_ns = 0  # CLOCK_MONOTONIC: when the window really ended
        self.unloaded: Dict[str, str] = {}  # point -> its module, which went away before the end

    def arm(self) -> None:
        """Compile, load and attach with a closed window; raises TracerError if no point can be had."""
        for number in _SIGNALS:
            # under nohup, or where the caller does not want it, hanging up ends nothing
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)
        limits.raise_memlock()
        constants = filters.defines(self.chosen, self.scope.netns)
        constants.update(rate.defines())
        constants.update(fields.defines(self._found_fields))
        constants.update(points.follow_defines(self.options))
        constants.update(sample.defines(self.options))
        constants.update(pages.constants(self._types.vmlinux if self._types else None))
        constants.update(self._find_queues())
        self.program = program.Program(self.declarations, self._types, self.wanted, constants,
                                       self.options.buffer_pages, self._flow_actions_length(),
                                       self.options.only_followed)
        self.symbols = Symbols(self.program.bpf)
        self.window = Window(self.program.bpf)
        self.limit = rate.Limit(self.program.bpf, self.options.max_rate)
        self.sharing = Sharing(self.options.run_id, self.limit)
        self._learn_interfaces()
        self._tell_offsets()
        try:
            self._attach()
        except BaseException:
            self.program.detach()  # whatever else the process may have to wait for
            raise
        self.devices = devices.Table(self.scope.paths)
        self.pairs.append(clock.pair("arm"))

    def _learn_interfaces(self) -> None:
        """Tell the programs the present numbers of the devices that the filter names."""
        if not self.scope.interfaces:
            return
        table = self.program.bpf["interfaces"]
        wanted, known = self.scope.interfaces.now(), {key.value for key in table}
        for number in wanted - known:
            table[table.Key(number)] = table.Leaf(1)
        for number in known - wanted:
            del table[table.Key(number)]

    def _find_queues(self) -> Dict[str, Any]:
        """Find out which queues can be read, declare what they are made of, and return their constants."""
        self.queues = queues.find(self._types, self.reasons, {point.queue_kind for point in self.wanted})
        if self._types:
            declared = structs.from_btf(self._types.vmlinux, self.queues.fields, self.queues.declarations)
            self.declarations = self.declarations._replace(text=declared.text)
        return self.queues.constants

    def _tell_offsets(self) -> None:
        """Tell the programs where each CPU has its own memory."""
        if self.queues.offsets:
            table = self.program.bpf["cpu_offsets"]
            leaf = table.Leaf()
            leaf.of[:] = self.queues.offsets
            table[table.Key(0)] = leaf

    def _attach(self) -> None:
        self.program.attach()
        if not self.program.attached:
            raise TracerError("none of the points can be attached: " + _reasons(self.program.skipped)
                              + limits.memlock_hint())
        self._refuse_without_required(self.program.skipped)

    def _refuse_without_required(self, missing: Dict[str, str]) -> None:
        """Raise TracerError if a point without which the user does not want to run is among these: name -> why."""
        for name in self.options.require_point:
            if name in missing:
                raise TracerError("%s is %r, which cannot be had on this host: %s"
                                  % (option("require-point"), name, missing[name]))

    def _flow_actions_length(self) -> int:
        """Where Open vSwitch keeps the length of a flow's actions, in bytes from the start of their struct."""
        wanted = any("actions" in point.arguments for point in self.wanted)
        module = self._types.of("openvswitch") if self._types and wanted else None
        member = module.member(*structs.FLOW_ACTIONS) if module else None
        return member.bit_offset // 8 if member else structs.FLOW_ACTIONS_LENGTH

    def open_buffer(self, take: ring.Take) -> None:
        """Choose who gets the records."""
        uses_ring = "USE_RING_BUFFER" in self.declarations.constants
        self._buffer = ring.open_buffer(self.program.bpf, uses_ring, self.options.buffer_pages,
                                        self.layout.stride, take)

    def _stop(self, _number: int, _frame: Any) -> None:
        self.interrupted = True
        self.stopped_by = self.stopped_by or "signal"

    def release_signals(self) -> None:
        """Let the next signal end the process, whatever it waits for."""
        for number in _SIGNALS:
            if signal.getsignal(number) == self._stop:
                signal.signal(number, signal.SIG_DFL)

    def follow(self, output: Any, control: Any = None) -> None:
        """Drain until the window is over, a limit is reached, a signal comes or nobody wants the records any more.

        output: gets the records (output.py); control: looked at now and then, may set or end the window.
        """
        look_at = check_at = 0.0
        while not self.stopped_by:
            if not self._buffer.drain():
                time.sleep(min(_CLOSED_SECONDS, max(_IDLE_SECONDS, self.window.opens_in())))
            now = time.monotonic()
            if now >= look_at:
                self._look(output, control, now >= check_at)
                check_at = now + _CHECK_SECONDS if now >= check_at else check_at
                look_at = now + _CONTROL_SECONDS if control else check_at

    def _look(self, output: Any, control: Any, thoroughly: bool) -> None:
        if thoroughly:
            self._learn_interfaces()
            self.sharing.look(self.window)
        if control:
            control.look(self)
        if output.budget.limits:
            self.stopped_by = "limit"
        elif self.window.is_over():
            self.stopped_by = "window"
        elif thoroughly and not output.check():
            self.stopped_by = "closed"

    def finish(self) -> None:
        """Close the window, let go of every program, take what is left in the buffer."""
        self.window.close()
        self.sharing.end()
        self.unloaded = self.program.unloaded()
        if self.takes_stacks():
            self.symbols.learn()
        self.program.detach()
        while self._buffer.drain():
            pass
        self.ended_ns = min(clock.monotonic_ns(), self.window.end_ns)
        self.pairs.append(clock.pair("end"))

    def went_blind(self) -> List[str]:
        """Say which points saw nothing any more from some moment on."""
        return ["the kernel's module %s was unloaded: from then on nothing was seen at %s" % (
            module, ", ".join(sorted(point for point, home in self.unloaded.items() if home == module)))
            for module in sorted(set(self.unloaded.values()))]

    def takes_stacks(self) -> bool:
        """Whether some point takes call stacks."""
        return any(point.stack for point in self.wanted)

    def counters(self) -> Dict[str, Dict[str, Any]]:
        """Return point -> counters, each summed over the CPUs, and `lost_per_cpu` where there is loss."""
        found = {}
        table = self.program.bpf["counters"]
        for attached in self.program.attached:
            per_cpu = table[table.Key(attached.id)]
            row: Dict[str, Any] = {name: sum(getattr(values, name) for values in per_cpu) for name in COUNTERS}
            row["missed"] += self.program.missed.get(attached.id, 0)
            lost = {str(cpu): values.lost for cpu, values in enumerate(per_cpu) if values.lost}
            found[attached.name] = dict(row, lost_per_cpu=lost) if lost else row
        return found

    def unmatched(self) -> Dict[str, int]:
        """Return the points that saw packets (how many) and matched none, though others did."""
        rows = self.counters()
        return points.unmatched({attached.name: rows[attached.name] for attached in self.program.attached
                                 if not attached.only_followed})

    def totals(self, rows: Optional[Dict[str, Dict[str, Any]]] = None) -> Dict[str, int]:
        """Return the counters, read just now or these, summed over the points, with what a perf buffer lost on the way.
        """
        totals = total(rows or self.counters())
        # the buffer tells again of what its programs were told and counted; kernels before 5.1 tell it alone
        totals["lost"] = max(totals["lost"], getattr(self._buffer, "lost", 0))
        return totals
