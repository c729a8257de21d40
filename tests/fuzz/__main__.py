# SPDX-License-Identifier: Apache-2.0
"""Make up what hosts, files and command lines could hold, for some time for each target, and print what does not hold.

    python -m fuzz --seconds 600                 all targets
    python -m fuzz --seconds 60 manifest run     some of them
    python -m fuzz --seed 1700                   as another run began that found something
"""
import argparse
import sys
import time
import traceback

from .targets import TARGETS
from .trial import run

_AT_ONCE = 200  # values tried with one seed


def main() -> int:
    """Return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of %s (default: all)" % ", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="where the random numbers begin (default 0)")
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error("%s: it must be one of %s" % (unknown[0], ", ".join(TARGETS)))
    found = 0
    for name in options.targets or TARGETS:
        number, tried, end = options.seed, 0, time.monotonic() + options.seconds
        while time.monotonic() < end:
            try:
                run(TARGETS[name], number, _AT_ONCE)
            except Exception:
                found += 1
                traceback.print_exc()
                print("%s: found with --seed %d" % (name, number), flush=True)
                break
            number, tried = number + 1, tried + _AT_ONCE
        print("%-10s %d values" % (name, tried), flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
