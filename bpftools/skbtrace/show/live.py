# SPDX-License-Identifier: Apache-2.0
"""A tracer by hand: records as lines on the terminal, what it does and what it saw on stderr."""
import sys
from typing import Any, Dict, List, Tuple

from ..capture.nearest import take
from ..capture.spool import Budget
from ..programs import filters
from . import compare, nearest, summary, text
from .stream import Stream
from .terminal import Terminal

_PATIENCE_S = 2.0  # that a reader gets who takes nothing, before what is left is given up


def run(tracer: Any) -> None:
    """Print records until the tracer ends, then a summary."""
    options = tracer.options
    armed = tracer.pairs[0]
    facts = text.Facts(options.host, {attached.id: attached.name for attached in tracer.program.attached},
                       tracer.devices, tracer.scope.names, tracer.reasons, tracer.symbols,
                       armed["realtime_ns"] - armed["monotonic_ns"],
                       {attached.id for attached in tracer.program.attached if attached.made_up}, tracer.fields)
    budget = Budget(options.max_records, options.max_bytes, tracer.layout.stride)
    lines, remarks = Stream(sys.stdout.fileno()), Stream(sys.stderr.fileno())
    printer: Any = compare.Comparison(lines, facts) if options.compare else text.Printer(
        lines, facts, options.format == "json", options.tracer == "datapath_tracing")
    terminal: Any = summary.Silent(budget, tracer.layout.stride) if options.summary else Terminal(
        printer, lines, sys.stdout.fileno(), budget, tracer.layout)
    tracer.open_buffer(terminal.take)
    try:
        tracer.window.open_now(options.duration)  # before it is said: whoever reads it may send at once
        _say(remarks, _beginning(tracer))
        tracer.follow(terminal)
    finally:
        tracer.finish()
        passed = nearest.sentences(take(tracer), filters.describe(tracer.chosen))
        tracer.release_signals()
        if options.compare:
            printer.finish()
        if options.summary:
            shown = summary.as_json if options.format == "json" else summary.table
            lines.write(shown(tracer.counters(), tracer.totals()))
        lines.drain(_PATIENCE_S)
        _say(remarks, [*tracer.went_blind(), *_unmatched(tracer), *passed,
                       _summary(tracer, budget, terminal.unshown())])


def _say(remarks: Stream, sentences: List[str]) -> None:
    remarks.write("".join(sentence + "\n" for sentence in sentences))
    remarks.drain(_PATIENCE_S)  # in its order with the records, where both go to one file


def _beginning(tracer: Any) -> List[str]:
    said = ["tracing %s on %s%s" % (", ".join(attached.name for attached in tracer.program.attached),
                                    tracer.options.host, "" if tracer.options.duration else "; Ctrl-C ends it")]
    if tracer.symbols.are_hidden():
        said.append("the kernel hides where its functions are (kernel.kptr_restrict is 2, or it is locked down): "
                    "places and stacks are shown as addresses")
    missing = dict(tracer.absent, **tracer.program.skipped)
    said += ["skipped %s: %s" % (", ".join(names), why) for why, names in _by_reason(missing)]
    return said + ["not read, queues of kind %s: %s" % (", ".join(names), why)
                   for why, names in _by_reason(tracer.queues.absent)]


def _by_reason(skipped: Dict[str, str]) -> List[Tuple[str, List[str]]]:
    """Return (why, points), those with one reason together."""
    reasons: Dict[str, List[str]] = {}
    for name, why in sorted(skipped.items()):
        reasons.setdefault(why, []).append(name)
    return sorted(reasons.items(), key=lambda item: item[1])


def _unmatched(tracer: Any) -> List[str]:
    """Say which points saw packets and none that fits, unless a table of all points is shown."""
    found = tracer.unmatched()
    if not found or tracer.options.summary:
        return []
    return ["none that fits at %s" % ", ".join("%s (%d seen)" % item for item in found.items())]


def _summary(tracer: Any, budget: Budget, unshown: int) -> str:
    totals = tracer.totals()
    words = ["seen %(seen)d, matched %(matched)d" % totals]
    if not tracer.options.summary:
        words.append("shown %d" % (budget.kept - unshown))
    words.append("lost %d" % totals["lost"])
    words += ["%s %d" % (name, number) for name, number in (
        ("followed where they do not match", totals["followed"]),
        ("not shown because the output was not read", unshown),
        ("shed to keep to --max-rate", totals["shed"]), ("not taken by --sample", totals["sampled_out"]),
        ("after the limit", budget.cut),
        ("headers not readable", totals["unparsed"]),
        ("later fragments not decidable by port", totals["undecided"]),
        ("without a device to tell by", totals["no_device"]), ("without stack", totals["stacks_lost"]),
        ("not followed any further, for there were too many", totals["forgotten"]),
        ("not looked at because the tracer was interrupted", totals["missed"]),
    ) if number]
    if totals["shed"] and tracer.sharing.met:
        words.append("--max-rate was shared with %s" % ", ".join(tracer.sharing.met))
    words += ["limit %s of %s reached (%s)" % (limit["limit"], limit["value"], limit["what"])
              for limit in budget.limits]
    return ", ".join(words)
