#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Merge the bundles of a run into one timeline, one table, one summary and one verdict."""
import argparse
import os
import signal
import sys
from typing import Any

from fleetmerge import TOOL_VERSION
from fleetmerge.errors import MergeError, packages_missing

EXAMPLES = """
examples:
  %(prog)s captures/20261122T112750Z-a1b2         merge a run where it lies; captures/latest points to it
  %(prog)s --expect-host hv-a --expect-host hv-b captures/20261122T112750Z-a1b2
                                                  name hosts that sent nothing
  %(prog)s --output merged hv-a/drop_monitor hv-b/drop_monitor
                                                  merge bundles that were brought together by hand
  %(prog)s --compare 00f3a9c2d41b7e05 captures/latest
                                                  one packet of a merged run: what changed on its way
  %(prog)s --filter "tcp port 443" --after +12 --before +15 captures/latest
                                                  a part of a run, into captures/latest/excerpts/NAME
  %(prog)s --archive captures/latest              one file to send; who gets it merges it with this command
  %(prog)s --check captures/20261122T112750Z-a1b2 only say whether the bundles can be merged
"""


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH",
                        help="a run's directory, its archive RUN.tar.zst, opened beside itself, or bundle directories")
    parser.add_argument("--output", metavar="DIR", help="where the products go; a run's own directory if not given")
    parser.add_argument("--expect-host", action="append", default=[], metavar="NAME",
                        help="a host that was asked for; it is named if nothing came from it (repeatable)")
    parser.add_argument("--expect", metavar="FILE",
                        help="JSON: host name -> {tracers: [...], why: what is known to have gone wrong}; "
                             "outcome.json in the run's directory if not given")
    parser.add_argument("--reproduce-command", metavar="TEXT", help="the command that ran in the window, to record it")
    parser.add_argument("--reproduce-status", type=int, metavar="N", help="its exit status")
    parser.add_argument("--no-pcapng", action="store_true", help="do not make capture.pcapng")
    parser.add_argument("--no-report", action="store_true", help="do not make report.html")
    parser.add_argument("--no-perfetto", action="store_true", help="do not make journeys.perfetto-trace")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="a Dask cluster that does the work, tls://HOST:PORT; its workers see PATH under the "
                             "same name")
    parser.add_argument("--certificates", metavar="DIR",
                        help="with --scheduler: the certificates of its run (ca.pem, cert.pem, key.pem)")
    parser.add_argument("--filter", metavar="EXPRESSION",
                        help="merge a part of the run: the packets of which a record fits, in the tracers' own "
                             "language, that of tcpdump; the products go into a directory of their own, excerpts/NAME")
    parser.add_argument("--after", metavar="TIME",
                        help="likewise, the packets of which a record is not older: 2026-11-22T11:27:51.25Z, as in "
                             "timeline.log, or +1.25, seconds since the window opened")
    parser.add_argument("--before", metavar="TIME", help="likewise, the packets of which a record is older")
    parser.add_argument("--compare", metavar="JOURNEY",
                        help="merge nothing; of a run that was merged, print one packet's table: its places down, over "
                             "all hosts, across only what changed, changes marked with *")
    parser.add_argument("--archive", action="store_true",
                        help="merge nothing; pack the run into one file to send, PATH.tar.zst, with checksums, which "
                             "this command takes as PATH anywhere")
    parser.add_argument("--pseudonymise", metavar="KEY",
                        help="with --archive: pack it without its addresses and names of hosts, processes and devices, "
                             "into PATH-pseudonymised.tar.zst; KEY: the file, made if needed, that keeps the same ones "
                             "the same, and stays here")
    parser.add_argument("--check", action="store_true", help="write nothing; only say whether the input can be merged")
    parser.add_argument("--quiet", action="store_true",
                        help="do not print the verdict; of a part of a run, or an archive, print where the files are")
    parser.add_argument("--version", action="version", version=TOOL_VERSION)
    return parser


def _merge(request: Any, scheduler: str | None, certificates: str | None) -> None:
    from fleetmerge.merge import merge
    if not scheduler:
        merge(request)
        return
    from fleetmerge.cluster import Cluster
    with Cluster(scheduler, certificates or "") as cluster:
        merge(request, cluster.executor(), cluster.workers)


def _compare(paths: list[str], journey: str) -> int:
    from fleetmerge.merge import EVENTS
    from fleetmerge.products import compare
    try:
        if len(paths) != 1:
            raise MergeError("--compare takes one run, not %d" % len(paths))
        sys.stdout.write(compare.table(os.path.join(paths[0], EVENTS), journey))
    except MergeError as error:
        print("error: %s" % error, file=sys.stderr)
        return 2
    return 0


def _archive(paths: list[str], key: str | None) -> int:
    from fleetmerge.archive.pack import pack
    try:
        if len(paths) != 1:
            raise MergeError("--archive takes one run, not %d" % len(paths))
        if key:
            from fleetmerge.pseudonyms.run import pack_pseudonymised
            print(pack_pseudonymised(paths[0], key))
        else:
            print(pack(paths[0]))
    except MergeError as error:
        print("error: %s" % error, file=sys.stderr)
        return 2
    return 0


def _opened(paths: list[str], check: bool) -> list[str]:
    """Return the paths, an archive among them unpacked."""
    from fleetmerge.archive.layout import is_archive
    if not any(map(is_archive, paths)):
        return paths
    if len(paths) != 1 or check:
        raise MergeError("%s is an archive: it is given alone, and without --check, as it is checked when it is opened"
                         % next(filter(is_archive, paths)))
    from fleetmerge.archive.unpack import unpack
    return [unpack(paths[0])]


def main() -> int:
    """Run the command; return its exit status: 0 merged, 2 the input cannot be merged, 1 the merge failed."""
    options = arguments().parse_args()
    if options.compare:
        return _compare(options.paths, options.compare)
    if options.pseudonymise and not options.archive:
        print("error: --pseudonymise is for --archive: what is merged here has its names", file=sys.stderr)
        return 2
    if options.archive:
        return _archive(options.paths, options.pseudonymise)
    from fleetmerge import merge
    from fleetmerge.bundle import find as inputs
    from fleetmerge.excerpt.asked import asked
    from fleetmerge.findings import topology
    from fleetmerge.products.summary import Request
    try:
        excerpt = asked(options.filter, options.after, options.before)
        paths = _opened(options.paths, options.check)
        found = inputs.find(paths, options.output)
        homes = topology.read(found.output)
        expected, facts = inputs.outcome(options.expect_host, options.expect, found.output)
    except MergeError as error:
        print("error: %s" % error, file=sys.stderr)
        return 2
    if excerpt:
        found.output, found.whole_run = excerpt.directory(found.output), False
    if options.check:
        print("%d bundles of run %s can be merged into %s" % (len(found.bundles), found.run_id, found.output))
        return 0
    if options.reproduce_command is not None or options.reproduce_status is not None:
        facts["reproduce"] = {"command": options.reproduce_command, "status": options.reproduce_status}
    try:
        request = Request(found, expected, homes, facts, not options.no_pcapng, not options.no_report,
                          not options.no_perfetto, excerpt)
        _merge(request, options.scheduler, options.certificates)
    except MergeError as error:
        print("error: %s" % error, file=sys.stderr)
        return 1
    if not options.quiet:
        with open(os.path.join(found.output, merge.VERDICT), encoding="utf-8") as handle:
            sys.stdout.write(handle.read())
        print("\nproducts in %s: %s" % (found.output, " ".join(merge.made(request))))
    elif excerpt or paths != options.paths:
        print(found.output)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except ModuleNotFoundError as error:
        sys.exit(packages_missing(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
