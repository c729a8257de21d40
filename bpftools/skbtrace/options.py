# SPDX-License-Identifier: Apache-2.0
"""The command line that both tracers share, checked before anything is touched."""
import argparse
import mmap
import os
import re
from typing import Any, List, NoReturn, Optional, Tuple

from . import VERSION, foreign
from .capture import record
from .errors import InputError, option
from .programs import expressions, fields, filters, points, rate, sample

MOST_SECONDS = 24 * 3600
_SMALL_PAGE = 4096  # bytes
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, without the usage text around it."""

    def error(self, message: str) -> "NoReturn":
        raise InputError(message + "; see --help")


def make_parser(program: str, what: str, examples: str, default_profile: str) -> argparse.ArgumentParser:
    """Return the parser of one tracer; `examples` ends its help."""
    parser = _Parser(prog=program, description=what, epilog=examples, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_argument_group("which packets (each may be left out)")
    which.add_argument("--src", metavar="ADDRESS", help="source address or prefix, IPv4 or IPv6")
    which.add_argument("--dst", metavar="ADDRESS", help="destination address or prefix")
    which.add_argument("--protocol", default="all", metavar="NAME",
                       help="all (default), tcp, udp, icmp, icmpv6, sctp, arp, or a number")
    which.add_argument("--src-port", metavar="PORT", help="source port, or a range: 8000-8080")
    which.add_argument("--dst-port", metavar="PORT", help="destination port, or a range")
    which.add_argument("--both-directions", action="store_true", help="the answers too: src and dst exchanged")
    which.add_argument("--vlan", metavar="ID", help="only packets that carry this VLAN id")
    which.add_argument("--filter", metavar="EXPRESSION",
                       help="only packets that, besides, fit this expression in the language of tcpdump "
                            "(pcap-filter(7))")
    which.add_argument("--inner-filter", metavar="EXPRESSION",
                       help="the same of what a tunnel carries; with --filter, a packet has to fit one of the two")
    for name in expressions.OPTIONS:
        which.add_argument("--%s-code" % name, metavar="PROGRAM",
                           help="what the expression of --%s is compiled to, for a host without libpcap; where it is, "
                                "--check-options prints it" % name)
    where = parser.add_argument_group("where")
    where.add_argument("--interface", action="append", default=[], metavar="NAME",
                       help="only at this device; may be given more than once")
    where.add_argument("--netns", metavar="NETNS",
                       help="only in this network namespace: a name, a path, a pid, or self (default: in all)")
    where.add_argument("--profile", action="append", default=[], metavar="NAME",
                       help="a set of points: %s (default: %s)" % (", ".join(sorted(points.PROFILES)), default_profile))
    where.add_argument("--point", action="append", default=[], metavar="NAME",
                       help="a single point; may be given more than once; --list-points names them; func:NAME is any "
                            "function of the kernel that takes a packet, func:NAME@ARG by this argument of it")
    where.add_argument("--exclude-point", action="append", default=[], metavar="NAME", help="leave this point out")
    where.add_argument("--require-point", action="append", default=[], metavar="NAME",
                       help="look at this point too, and do not run where it cannot be had")
    where.add_argument("--stack", action="append", default=[], metavar="POINT",
                       help="look at this point too, and take the call stack there, as at drops")
    where.add_argument("--field", action="append", default=[], metavar="NAME",
                       help="with each record, this number by its kernel name, such as sk_buff.mark or "
                            "'sk_buff.dev->mtu'; may be given %d times" % fields.MOST)
    where.add_argument("--follow", action="store_true",
                       help="record a packet that has matched until it is freed, also where it does not match any "
                            "more: behind NAT, in a tunnel, as a clone; a packet that is rejected costs 15 ns more")
    where.add_argument("--only-followed", action="append", default=[], metavar="NAME",
                       help="with --follow: look at this point too, and record there only what does not match any "
                            "more; another tracer records what matches")
    ends = parser.add_argument_group("when it ends (Ctrl-C always ends it)")
    ends.add_argument("--duration", metavar="SECONDS", help="after this time, at most %d" % MOST_SECONDS)
    ends.add_argument("--max-records", metavar="N", help="after so many records")
    ends.add_argument("--max-bytes", metavar="N", help="after so many bytes of records, %d each" % record.STRIDE)
    parser.add_argument("--max-rate", default=str(rate.DEFAULT), metavar="N",
                        help="at most so many records a second, on average; what is more is counted, and shed "
                             "(default %d)" % rate.DEFAULT)
    parser.add_argument("--sample", default="1", metavar="N",
                        help="take one packet in N, the same ones at every place and on every host; the others are "
                             "counted (default 1, at most %d)" % sample.MOST)
    parser.add_argument("--sample-drops", action="store_true", help="of drops, too; they are all taken else")
    _add_output(parser.add_argument_group("output"))
    parser.add_argument("--list-points", action="store_true", help="print the table of points and profiles, and end")
    parser.add_argument("--trial", action="store_true",
                        help="attach what was asked for, say as JSON what this host takes and what not, and end")
    parser.add_argument("--check-options", action="store_true", help="check the options, touch nothing, and end")
    parser.add_argument("--check-host", action="store_true",
                        help="check the options and what this host lacks for them, load nothing, and end")
    parser.add_argument("--salvage", metavar="DIR",
                        help="make a bundle of the records in a run directory whose tracer was killed, and end")
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    parser.set_defaults(default_profile=default_profile)
    return parser


def _add_output(output: Any) -> None:
    output.add_argument("--format", default="text", metavar="FORMAT", help="text (default) or json: an object a line")
    output.add_argument("--compare", action="store_true",
                        help="a table for each packet instead of lines: its points down, across only what changed, "
                             "changes marked with *")
    output.add_argument("--summary", action="store_true",
                        help="no lines, only how many packets each point saw, matched, lost, …, at the end")
    output.add_argument("--run-dir", metavar="DIR",
                        help="write records.bin and manifest.json into this directory instead of lines to the terminal")
    output.add_argument("--wait-window", metavar="SECONDS",
                        help="with --run-dir: arm with a closed window, and wait so long for DIR/window.json")
    output.add_argument("--measure", metavar="SECONDS",
                        help="with --wait-window: before it is armed, count for so long how much would be recorded")
    output.add_argument("--evidence", nargs="?", const="all", default="", metavar="OF",
                        help="with --run-dir: before the window and after it, read what of this host's configuration "
                             "can drop packets, with its counters, and in between who takes packets from taps and UDP "
                             "sockets (host); what Open vSwitch has, and what it would do with packets that were "
                             "recorded (switch); or all, the default; into DIR/evidence.json; host_evidence.py --help")
    output.add_argument("--no-nearest", action="store_true",
                        help="where nothing matched until the window's end, do not look for a second at the headers of "
                             "what passes without a filter, to name the flows that are nearest to it")
    output.add_argument("--run-id", default="", metavar="ID", help="with --run-dir: name of the run in the manifest")
    output.add_argument("--host", default="", metavar="NAME", help="this host's name in the output (default: hostname)")
    output.add_argument("--perf-buffer", action="store_true",
                        help="use a perf buffer, as on kernels before 5.8, even where there is a ring buffer")
    output.add_argument("--buffer-pages", default="4096", metavar="N",
                        help="pages of 4 KiB of the ring buffer, or of each CPU's perf buffer; a power of two "
                             "(default 4096)")


def _number(name: str, value: Optional[str], least: int, most: int, unit: str) -> Optional[int]:
    if value is None:
        return None
    if foreign.is_number(value) and least <= int(value) <= most:
        return int(value)
    raise InputError("%s is %r: it must be a whole number of %s from %d to %d"
                     % (option(name), value, unit, least, most))


def _seconds(name: str, value: Optional[str]) -> Optional[float]:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if 0 < seconds <= MOST_SECONDS:  # false for nan, too
        return seconds
    raise InputError("%s is %r: it must be more than 0 and at most %d seconds" % (option(name), value, MOST_SECONDS))


def _check_points(options: Any) -> None:
    for name in options.profile:
        if name not in points.PROFILES:
            raise InputError("%s is %r: it must be one of %s"
                             % (option("profile"), name, ", ".join(sorted(points.PROFILES))))
    for key, names in (("point", options.point), ("exclude-point", options.exclude_point),
                       ("require-point", options.require_point), ("stack", options.stack),
                       ("only-followed", options.only_followed)):
        for name in names:
            if not points.named(name):
                raise InputError("%s is %r: it must be one of %s, or func:NAME"
                                 % (option(key), foreign.from_system(name), ", ".join(sorted(points.BY_NAME))))
    for key, names in (("require-point", options.require_point), ("stack", options.stack),
                       ("only-followed", options.only_followed)):
        for name in names:
            if name in options.exclude_point:
                raise InputError("%s and %s are both %r: a point is either looked at or left out"
                                 % (option(key), option("exclude-point"), name))
    if options.only_followed and not options.follow:
        raise InputError("%s needs %s" % (option("only-followed"), option("follow")))
    if not points.wanted(options):
        raise InputError("%s leaves no point at which to look" % option("exclude-point"))


def _buffer_pages(pages: Any) -> int:
    """Return pages of 4 KiB as pages of this machine, which may be larger: 64 KiB on some with AArch64."""
    if pages & (pages - 1):
        raise InputError("%s is %d: it must be a power of two" % (option("buffer-pages"), pages))
    return max(1, pages * _SMALL_PAGE // mmap.PAGESIZE)


def _check_compare(options: Any) -> None:
    for name, given in (("run-dir", options.run_dir), ("format", options.format != "text"),
                        ("summary", options.summary)):
        if options.compare and given:
            raise InputError("%s and %s exclude each other" % (option("compare"), option(name)))


def _check_choice(options: Any) -> None:
    """Refuse what cannot be chosen together."""
    if options.sample > 1 and options.follow:
        raise InputError("%s and %s exclude each other: what is left out cannot be followed"
                         % (option("sample"), option("follow")))
    if options.sample_drops and options.sample == 1:
        raise InputError("%s needs %s: without it, every packet is taken" % (option("sample-drops"), option("sample")))


def _check_evidence(options: Any) -> None:
    if options.evidence not in ("", "all", "host", "switch"):
        raise InputError("%s is %r: it must be host, switch or all" % (option("evidence"), options.evidence))
    if options.evidence and not options.run_dir:
        raise InputError("%s needs %s: the readings are written there" % (option("evidence"), option("run-dir")))


def parse(parser: argparse.ArgumentParser, arguments: List[str]) -> Tuple[Any, filters.Filter]:
    """Return (options with numbers as numbers, filter); raises InputError. Touches nothing on the host."""
    options = parser.parse_args(arguments)
    chosen = filters.make_filter(options)
    options.duration = _seconds("duration", options.duration)
    options.wait_window = _seconds("wait-window", options.wait_window)
    options.measure = _seconds("measure", options.measure)
    options.max_records = _number("max-records", options.max_records, 1, 10 ** 12, "records")
    options.field = fields.check(options.field)
    options.max_bytes = _number("max-bytes", options.max_bytes, record.Layout(len(options.field)).stride, 10 ** 15,
                                "bytes")
    options.max_rate = _number("max-rate", options.max_rate, 1, rate.MOST, "records a second")
    options.sample = _number("sample", options.sample, 1, sample.MOST, "packets")
    _check_choice(options)
    options.buffer_pages = _buffer_pages(_number("buffer-pages", options.buffer_pages, 8, 1 << 18, "pages"))
    if options.trial and options.run_dir:
        raise InputError("%s and %s exclude each other" % (option("trial"), option("run-dir")))
    _check_compare(options)
    if options.summary and options.run_dir:
        raise InputError("%s and %s exclude each other: the manifest has what a summary tells"
                         % (option("summary"), option("run-dir")))
    if options.format not in ("text", "json"):
        raise InputError("%s is %r: it must be text or json" % (option("format"), options.format))
    if options.wait_window and not options.run_dir:
        raise InputError("%s needs %s: the window is read from there" % (option("wait-window"), option("run-dir")))
    if options.measure and not options.wait_window:
        raise InputError("%s needs %s: it is measured while the window is closed"
                         % (option("measure"), option("wait-window")))
    _check_evidence(options)
    for name, value in (("run-id", options.run_id), ("host", options.host)):
        if value and not _NAME.match(value):
            raise InputError("%s is %r: it must be letters, digits, dots, dashes and underscores, at most 100"
                             % (option(name), value))
    for name in options.interface:
        if not name or len(foreign.to_bytes(name)) > 15 or "/" in name or name != name.strip():
            raise InputError("%s is %r: it must be the name of a device, at most 15 bytes"
                             % (option("interface"), name))
    _check_points(options)
    options.host = options.host or foreign.from_system(os.uname().nodename)
    return options, chosen
