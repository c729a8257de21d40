# SPDX-License-Identifier: Apache-2.0
"""manifest.json: what a bundle holds, and how far to trust it."""
import contextlib
import hashlib
import os
import platform
import sys
from typing import Any, Dict, Set, Tuple

from .. import VERSION, foreign
from ..host import clock, confinement
from ..programs import expressions, filters, queues, sample
from . import files, stacks

FORMAT = "skbfleet-bundle/1"
_CHUNK = 1 << 20


def kernel() -> Dict[str, str]:
    """Return what this kernel is, and since when it runs."""
    with open("/proc/sys/kernel/random/boot_id") as handle:
        boot_id = handle.read().strip()
    system = os.uname()
    return {"release": system.release, "version": system.version, "machine": system.machine, "boot_id": boot_id}


def _points(tracer: Any) -> Dict[str, Any]:
    return {"requested": [point.name for point in tracer.wanted] + list(tracer.absent),
            "attached": [dict(attached._asdict()) for attached in tracer.program.attached],
            "skipped": tracer.program.skipped, "absent": tracer.absent, "unmatched": tracer.unmatched()}


def _window(tracer: Any) -> Dict[str, Any]:
    window, last = tracer.window, tracer.pairs[-1]
    offset = last["realtime_ns"] - last["monotonic_ns"]
    shown = {"start_ns": window.start_ns, "end_ns": window.end_ns, "ended_ns": tracer.ended_ns,
             "start_realtime_ns": window.start_ns + offset, "end_realtime_ns": window.end_ns + offset,
             "late_by_ns": window.late_by_ns}
    shown.update(window.given)
    return shown


def file_entry(path: str) -> Dict[str, Any]:
    """Return size and checksum of a file; raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(_CHUNK), b""):
            digest.update(chunk)
    return {"bytes": os.path.getsize(path), "sha256": digest.hexdigest()}


def _name_stacks(tracer: Any, records_path: str) -> None:
    """Resolve the location and the stack of every record that has one, while this kernel's symbols are at hand."""
    seen: Set[Tuple[int, int]] = set()
    size = tracer.layout.stride * 4096
    with open(records_path, "rb") as handle:
        for chunk in iter(lambda: handle.read(size), b""):
            seen.update(tracer.layout.locations(chunk))
    for location, stack_id in seen:
        if location:
            tracer.symbols.name(location)
        if stack_id >= 0:
            tracer.symbols.stack(stack_id)


def drop_draft() -> None:
    """Remove the draft, and what belongs to it: there is a manifest."""
    for name in (files.DRAFT, stacks.NAME):
        with contextlib.suppress(FileNotFoundError):  # there was no room for one, or no stack
            os.unlink(name)


def known(tracer: Any) -> Dict[str, Any]:
    """Return of a manifest what is known as soon as the window is set."""
    import bcc
    return {
        "format": FORMAT, "run_id": tracer.options.run_id, "tracer": tracer.options.tracer,
        "host": tracer.options.host, "tool_version": VERSION, "bcc_version": bcc.__version__,
        "python_version": platform.python_version(), "kernel": kernel(),
        "command_line": [foreign.from_system(word) for word in sys.argv if not expressions.is_program(word)],
        "filter": filters.describe(tracer.chosen), "record": tracer.layout.describe(),
        "fields": [dict(one._asdict()) for one in tracer.fields], "load": tracer.load or {},
        "guards": dict(tracer.sharing.guards(), max_rate=tracer.options.max_rate),
        "sample": sample.describe(tracer.options), "queues": queues.describe(tracer.queues.absent),
        "drop_reasons": {str(key): name for key, name in tracer.reasons.items()},
        "netns": {str(key): name for key, name in tracer.scope.names.items()}, "devices": tracer.devices.rows(),
        "points": _points(tracer), "window": _window(tracer), "clock": dict(clock.discipline(), pairs=tracer.pairs),
        "seconds": tracer.seconds, "confinement": confinement.read(),
    }


def build(tracer: Any, budget: Any, nearest: Dict[str, Any]) -> Dict[str, Any]:
    """Return the manifest of a finished tracer whose records are in the current directory; raises OSError.

    nearest: what passed where nothing matched, as nearest.py has it.
    """
    _name_stacks(tracer, files.RECORDS)
    tracer.devices.finish()
    rows = tracer.counters()
    totals = tracer.totals(rows)
    totals.update(written=budget.kept, cut=budget.cut)
    why = _why_partial(tracer, budget)
    return dict(
        known(tracer), counters=totals, per_point=rows,
        sharing={"with": tracer.sharing.met, "problem": tracer.sharing.problem}, nearest=nearest,
        symbols={"0x%x" % key: name for key, name in tracer.symbols.names.items()},
        stacks={str(key): ["0x%x" % frame for frame in frames] for key, frames in tracer.symbols.stacks.items()},
        symbols_hidden=tracer.symbols.are_hidden(), limits=budget.limits, status="partial" if why else "complete",
        why=why, ended_by=tracer.stopped_by, files={files.RECORDS: file_entry(files.RECORDS)})


def _why_partial(tracer: Any, budget: Any) -> str:
    """Why the records do not cover the whole window; empty if they do."""
    reasons = ["limit %s was reached: %s" % (limit["limit"], limit["what"]) for limit in budget.limits]
    if tracer.stopped_by in ("signal", "closed") and not tracer.window.endless:
        reasons.append("the tracer was stopped before the window's end")
    reasons += tracer.went_blind()
    if tracer.window.late_by_ns:
        reasons.append("the window was set %.3f s after its start" % (tracer.window.late_by_ns / 1e9))
    return "; ".join(reasons)
