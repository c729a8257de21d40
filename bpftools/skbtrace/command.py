# SPDX-License-Identifier: Apache-2.0
"""What both commands do, from the command line to the exit status: 0 ended, 1 could not, 2 was asked wrongly."""
import sys
import time
from typing import Any, List

from . import options as command_line
from .capture.rundir import RunDir
from .capture.salvage import salvage
from .capture.tracer import Tracer
from .errors import InputError, TracerError
from .host import limits
from .programs import filters, loader, points, queues
from .show import live, trial


def _list_points() -> None:
    for point in points.TABLE:
        queue = "; queue: %s" % point.queue_kind if point.queue_kind else ""
        print("%-16s %s (%s)%s" % (point.name, point.what, point.tracepoint, queue))
    print("%-16s any function of the kernel that takes a packet; func:NAME@ARG by this argument" % "func:NAME")
    for kind in queues.TABLE:
        print("queue %-10s %s, in %s" % (kind.name, kind.what, kind.unit))
    for name in sorted(points.PROFILES):
        print("profile %-8s %s" % (name, " ".join(points.PROFILES[name])))


def _check_host(options: Any, chosen: Any) -> None:
    """Raise InputError or TracerError for what arming would stumble over; compiles nothing and leaves nothing."""
    loader.require_machine()
    Tracer(options, chosen)
    if options.run_dir:
        limits.require_disk(limits.existing_directory(options.run_dir))


def _tell_programs(chosen: Any) -> None:
    """Print the options that a host without libpcap needs beside those that were given, one a line."""
    for word in filters.program_options(chosen):
        print(word)


def _run(options: Any, chosen: Any) -> None:
    begun = time.monotonic()
    run_dir = None
    try:
        tracer = Tracer(options, chosen)
        run_dir = RunDir(options) if options.run_dir else None
        if run_dir:
            run_dir.prepare(tracer)
        tracer.arm()
        tracer.seconds = {"armed": round(time.monotonic() - begun, 3), "compile": round(tracer.program.seconds, 3)}
        if options.trial:
            trial.run(tracer)
        elif run_dir:
            run_dir.run(tracer)
        else:
            live.run(tracer)
    except (InputError, TracerError) as error:
        if run_dir:
            _tell_failure(run_dir, str(error))
        raise


def _tell_failure(run_dir: RunDir, why: str) -> None:
    try:
        run_dir.give_up(why)
    except OSError:  # the directory is gone, and with it whoever would read this
        pass


def main(tracer: str, what: str, examples: str, default_profile: str, arguments: List[str]) -> int:
    """Run the tracer called `tracer` and return the exit status."""
    try:
        parser = command_line.make_parser(sys.argv[0].rpartition("/")[2], what, examples, default_profile)
        options, chosen = command_line.parse(parser, arguments)
        options.tracer = tracer
        if options.list_points:
            _list_points()
        elif options.salvage is not None:
            salvage(options.salvage)
        elif options.check_host:
            _check_host(options, chosen)
        elif options.check_options:
            _tell_programs(chosen)
        else:
            _run(options, chosen)
    except InputError as error:
        _say("error: %s\n" % error)
        return 2
    except TracerError as error:
        _say("error: %s\n" % error)
        return 1
    return 0


def _say(sentence: str) -> None:
    try:
        sys.stderr.write(sentence)
        sys.stderr.flush()
    except OSError:  # nobody reads, or the disk of the log is full: the exit status remains
        pass
