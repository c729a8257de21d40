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
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bpftools")]

from support import clusters, products, traffic  # noqa: E402

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


class Cost(NamedTuple):
    """What a merge took."""

    status: int
    seconds: float
    cpu: float      # s
    peak: int       # bytes, over all processes

    def __str__(self) -> str:
        return "%.1f s, %.1f s of CPU, peak %.0f MiB over all processes" % (
            self.seconds, self.cpu, self.peak / 2**20) + (", exit status %d" % self.status if self.status else "")


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, thread)) as handle:
                for child in handle.read().split():
                    found += tree(int(child))
    except OSError:
        pass
    return found


def resident() -> int:
    """Return the resident bytes of all that this process started."""
    total = 0
    for member in tree(os.getpid())[1:]:
        try:
            with open("/proc/%d/statm" % member) as handle:
                total += int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass
    return total


def used() -> float:
    """Return the seconds of CPU of all that this process started, whether it has ended or not."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for member in tree(os.getpid())[1:]:
        try:
            with open("/proc/%d/stat" % member) as handle:
                own_and_ended = handle.read().rpartition(")")[2].split()[11:15]
        except OSError:
            continue
        total += sum(map(int, own_and_ended)) / os.sysconf("SC_CLK_TCK")
    return total


def merge(run: Path, *arguments: str) -> Cost:
    """Merge a run."""
    begin, peak, before = time.monotonic(), 0, used()
    child = subprocess.Popen([sys.executable, str(MERGER), "--quiet", *arguments, str(run)])
    while child.poll() is None:
        peak = max(peak, resident())
        time.sleep(0.02)
    return Cost(child.returncode, time.monotonic() - begin, used() - before, peak)


def merge_by_dask(run: Path, workers: int, local: Cost) -> int:
    """Merge a run on a Dask cluster of its own, compare with the products that are there and with what they cost; the
    exit status.
    """
    keys, there = run.with_name(run.name + ".keys"), run.with_name(run.name + ".dask")
    certificates.make(str(keys))
    try:
        with clusters.cluster(keys, workers, keys / "cluster.log") as address:
            cost = merge(run, "--scheduler", address, "--certificates", str(keys), "--output", str(there))
        print("    by %d workers of Dask: %s; %.2f times the CPU time; bar: 1.3" % (
            workers, cost, cost.cpu / local.cpu), flush=True)
        if not cost.status:
            products.assert_equal(run, there)
    finally:
        for directory in (keys, there):
            shutil.rmtree(directory, ignore_errors=True)
    return cost.status


def measure(name: str, records: int, options: argparse.Namespace, directory: Path) -> Cost:
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
    cost = merge(run)
    print("    %s; %.2f M records/s, %d CPUs, load %.1f; bar: %s" % (
        cost, records / cost.seconds / 1e6, len(os.sched_getaffinity(0)), os.getloadavg()[0], KINDS[name].bar),
        flush=True)
    status = cost.status
    if options.dask and not status:
        status = merge_by_dask(run, options.dask, cost)
    if not options.directory:
        shutil.rmtree(run)
    return cost._replace(status=status)


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
            failed = failed or any(cost.status for cost in costs)
            if options.grow:
                print("    %d times the records: %.2f times the CPU time, %.2f times the memory; bar: 4.4, 1" % (
                    GROW, costs[1].cpu / costs[0].cpu, costs[1].peak / costs[0].peak))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
