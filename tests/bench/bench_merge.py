#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of a merge: makes bundles in bulk, merges them, prints both.

    tests/bench/bench_merge.py                       talk, flood and sites, as large as they are by default
    tests/bench/bench_merge.py talk --grow           how CPU time and memory grow from 10 to 40 million records
    tests/bench/bench_merge.py talk --dask 4         the same on a Dask cluster, and what that costs more
    tests/bench/bench_merge.py flood --records 200000

talk     8 hosts, 1,000 flows: pairs of VMs that talk; 10 million records
flood    a million flows: a SYN flood; 2 million records
sites    200 hosts, 400 places of the code each at which packets are dropped; 2 million records
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bpftools")]

from support import clusters, cost, products, traffic  # noqa: E402

from fleetmerge import certificates  # noqa: E402

MERGER = ROOT / "bpftools" / "merge_captures.py"
GROW = 4      # times the records
_TURNS = 9    # of templates: 8 hosts have 1,000 flows


class Kind(NamedTuple):
    """A kind of capture."""

    records: int                                         # if none are asked for
    make: Callable[[Path, argparse.Namespace, int], int]   # writes the bundles; returns how many records there are
    bar: str


KINDS = {
    "talk": Kind(10_000_000, lambda run, options, records: traffic.make_pairs(
        run, options.hosts or 8, records // (options.hosts or 8), _TURNS), "60 s, 1.5 GiB on 2 CPUs"),
    "flood": Kind(2_000_000, lambda run, _, records: traffic.make_flood(run, records), "60 s, 1.5 GiB on 2 CPUs"),
    "sites": Kind(2_000_000, lambda run, options, records: traffic.make_sites(
        run, options.hosts or 200, options.sites, records), "60 s on 2 CPUs"),
}


def merge(run: Path, *arguments: str) -> cost.Cost:
    """Merge a run."""
    return cost.of([sys.executable, str(MERGER), "--quiet", *arguments, str(run)])


def merge_by_dask(run: Path, workers: int, local: cost.Cost) -> int:
    """Merge a run on a Dask cluster of its own, compare with the products that are there and with what they cost; the
    exit status.
    """
    keys, there = run.with_name(run.name + ".keys"), run.with_name(run.name + ".dask")
    certificates.make(str(keys))
    try:
        with clusters.cluster(keys, workers, keys / "cluster.log") as address:
            took = merge(run, "--scheduler", address, "--certificates", str(keys), "--output", str(there))
        print("    by %d workers of Dask: %s; %.2f times the CPU time; bar: 1.3" % (
            workers, took, took.cpu / local.cpu), flush=True)
        if not took.status:
            products.assert_equal(run, there)
    finally:
        for directory in (keys, there):
            shutil.rmtree(directory, ignore_errors=True)
    return took.status


def measure(name: str, records: int, options: argparse.Namespace, directory: Path) -> cost.Cost:
    """Make the bundles of a run if they are not there, merge them, print what that took."""
    run, begin = directory / ("%s-%d" % (name, records)), time.monotonic()
    made = ""
    if not run.is_dir():
        unfinished = run.with_name(run.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        records = KINDS[name].make(unfinished, options, records)
        unfinished.rename(run)
        made = " (made in %.1f s)" % (time.monotonic() - begin)
    files = list(run.glob("hosts/*/*/records.bin"))
    size = sum(path.stat().st_size for path in files)
    print("%s: %d bundles, %d records, %.2f GB%s" % (name, len(files), records, size / 1e9, made), flush=True)
    took = merge(run)
    print("    %s; %.2f M records/s, %d CPUs, load %.1f; bar: %s" % (
        took, records / took.seconds / 1e6, len(os.sched_getaffinity(0)), os.getloadavg()[0], KINDS[name].bar),
        flush=True)
    status = took.status
    if options.dask and not status:
        status = merge_by_dask(run, options.dask, took)
    if not options.directory:
        shutil.rmtree(run)
    return took._replace(status=status)


def main() -> int:
    """Run the benchmark; the exit status is 1 if a merge failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=[], help="talk, flood, sites; all if none is given")
    parser.add_argument("--records", type=int, help="in all")
    parser.add_argument("--hosts", type=int, help="of talk (an even number) or sites")
    parser.add_argument("--sites", type=int, default=400, help="of each host (default 400)")
    parser.add_argument("--grow", action="store_true", help="also with %d times the records, and compare" % GROW)
    parser.add_argument("--dask", type=int, default=0, metavar="WORKERS",
                        help="merge on a Dask cluster of so many workers, too, and compare products and CPU time")
    parser.add_argument("--directory", type=Path,
                        help="where to make the bundles; kept, and used again if they are there")
    options = parser.parse_args()
    unknown = sorted(set(options.kinds) - set(KINDS))
    if unknown:
        parser.error("there is no kind %s: %s" % (", ".join(unknown), ", ".join(KINDS)))
    failed = False
    with tempfile.TemporaryDirectory(prefix="bench-merge-") as scratch:
        for name in options.kinds or KINDS:
            records = options.records or KINDS[name].records
            costs = [measure(name, times * records, options, options.directory or Path(scratch))
                     for times in ((1, GROW) if options.grow else (1,))]
            failed = failed or any(one.status for one in costs)
            if options.grow:
                print("    %d times the records: %.2f times the CPU time, %.2f times the memory; bar: 4.4, 1" % (
                    GROW, costs[1].cpu / costs[0].cpu, costs[1].peak / costs[0].peak))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
