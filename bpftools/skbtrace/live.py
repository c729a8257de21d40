# SPDX-License-Identifier: Apache-2.0
"""A tracer by hand: records as lines on the terminal, what it does and what it saw on stderr."""
import os
import sys
from typing import Any, Dict, List, Tuple

from . import text
from .output import Budget, Terminal


def _say(sentence: str) -> None:
    try:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()
    except BrokenPipeError:  # with 2>&1 the reader of both is gone
        pass


def run(tracer: Any) -> None:
    """Print records until the tracer ends, then a summary."""
    options = tracer.options
    armed = tracer.pairs[0]
    facts = text.Facts(options.host, {attached.id: attached.name for attached in tracer.program.attached},
                       tracer.devices, tracer.scope.names, tracer.reasons, tracer.symbols,
                       armed["realtime_ns"] - armed["monotonic_ns"])
    budget = Budget(options.max_records, options.max_bytes)
    printer = text.Printer(sys.stdout, facts, options.format == "json", options.tracer == "datapath_tracing")
    terminal = Terminal(printer, sys.stdout, budget)
    tracer.open_buffer(terminal.take)
    tracer.window.open_now(options.duration)  # before it is said: whoever reads it may send at once
    _say("tracing %s on %s%s" % (", ".join(attached.name for attached in tracer.program.attached), options.host,
                                 "" if options.duration else "; Ctrl-C ends it"))
    for why, names in _by_reason(tracer.program.skipped):
        _say("skipped %s: %s" % (", ".join(names), why))
    try:
        tracer.follow(terminal)
    finally:
        tracer.finish()
        _say(_summary(tracer, budget))
        _forget_closed_stdout()


def _by_reason(skipped: Dict[str, str]) -> List[Tuple[str, List[str]]]:
    """Return (why, points), those with one reason together."""
    reasons: Dict[str, List[str]] = {}
    for name, why in sorted(skipped.items()):
        reasons.setdefault(why, []).append(name)
    return sorted(reasons.items(), key=lambda item: item[1])


def _summary(tracer: Any, budget: Budget) -> str:
    totals = tracer.totals()
    words = ["seen %(seen)d, matched %(matched)d" % totals, "shown %d" % budget.kept, "lost %d" % totals["lost"]]
    words += ["%s %d" % (name, number) for name, number in (
        ("after the limit", budget.cut), ("headers not readable", totals["unparsed"]),
        ("later fragments not decidable by port", totals["undecided"]), ("without stack", totals["stacks_lost"]),
        ("not looked at because the tracer was interrupted", totals["missed"]),
    ) if number]
    words += ["limit %s of %s reached" % (limit["limit"], limit["value"]) for limit in budget.limits]
    return ", ".join(words)


def _forget_closed_stdout() -> None:
    """Python flushes stdout once more at its end, and would complain of a pipe that is closed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
