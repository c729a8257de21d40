# SPDX-License-Identifier: Apache-2.0
"""Try random filter expressions on random packets, in the tracers' C and in libpcap, and print where they differ."""
import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from .trial import run

_AT_ONCE = 250  # expressions that are compiled together


def main() -> int:
    """Return 1 if there is a difference."""
    parser = argparse.ArgumentParser(prog="python -m expressions", description=__doc__)
    parser.add_argument("--expressions", type=int, default=10000, help="how many, at least (default 10000)")
    parser.add_argument("--packets", type=int, default=500, help="on how many packets each (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="where the random numbers begin (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args()
    batches = range(options.seed, options.seed - (-options.expressions // _AT_ONCE))
    verdicts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    differing, fit_some = 0, 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(partial(run, expressions=_AT_ONCE, count=options.packets), batches):
            verdicts += outcome.verdicts
            refused += outcome.refused
            differing += len(outcome.differing)
            fit_some += outcome.expressions - outcome.alike
            for line in outcome.differing:
                print(line)
    print(f"{len(batches) * _AT_ONCE} expressions, {fit_some} of which some packets fit and some do not, on "
          f"{options.packets} packets and what they carry: {differing} differences")
    for name, count in verdicts.most_common():
        print(f"{count:12} {name}")
    for why, count in refused.most_common():
        print(f"{count:12} expressions refused: {why}")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
