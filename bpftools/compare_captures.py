#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Say what is different between two merged runs: losses, ways, latencies, changed fields, queues."""
import argparse
import json
import sys

from fleetmerge import TOOL_VERSION
from fleetmerge.errors import MergeError, packages_missing

EXAMPLES = """
examples:
  %(prog)s captures/20261122T112750Z captures/20261123T031500Z     a good run, and a bad one
  %(prog)s --report compared.html captures/20261122T112750Z captures/latest
  %(prog)s --json captures/20261122T112750Z captures/latest        the same for a program
"""


def main() -> int:
    """Run the command; return its exit status: 0 compared, 2 a run cannot be read, or the report written."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", metavar="GOOD", help="the directory of a merged run")
    parser.add_argument("after", metavar="BAD", help="that of another one")
    parser.add_argument("--json", action="store_true", help="print {different: [...], limits: [...], text: ...}")
    parser.add_argument("--report", metavar="FILE", help="write the comparison to look at, too, as one HTML file")
    parser.add_argument("--version", action="version", version=TOOL_VERSION)
    options = parser.parse_args()
    from fleetmerge.runs import compare, page, read
    try:
        good, bad = read.read(options.before), read.read(options.after)
        if options.report:
            _write(options.report, page.page(good, bad))
    except MergeError as error:
        print("error: %s" % error, file=sys.stderr)
        return 2
    text = compare.text(good, bad)
    sys.stdout.write(json.dumps(dict(compare.compare(good, bad), text=text)) + "\n" if options.json else text)
    return 0


def _write(path: str, text: str) -> None:
    from fleetmerge.whole import replacing
    try:
        with replacing(path) as out:
            out.write(text.encode())
    except OSError as error:
        raise MergeError("%s cannot be written: %s" % (path, error.strerror)) from error


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ModuleNotFoundError as error:
        sys.exit(packages_missing(error))
