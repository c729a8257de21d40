#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of a merge: makes bundles in bulk, merges them, prints both.

    tests/bench/bench_merge.py                       talk, flood and sites, as large as they are by default
    tests/bench/bench_merge.py talk --grow           how CPU time and memory grow from 10 to 40 million records
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

from support import traffic  # noqa: E402

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


def resident(pid: int) -> int:
    """Return the resident bytes of a process tree."""
    total = 0
    for member in tree(pid):
        try:
            with open("/proc/%d/statm" % member) as handle:
                total += int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass
    return total


def merge(run: Path) -> Cost:
    """Merge a run."""
    begin, peak, used = time.monotonic(), 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen([sys.executable, str(MERGER), "--quiet", str(run)])
    while child.poll() is None:
        peak = max(peak, resident(child.pid))
        time.sleep(0.02)
    took, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(child.returncode, took, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, peak)


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
    if not options.directory:
        shutil.rmtree(run)
    return cost


def main() -> int:
    """Run the benchmark; the exit status is 1 if a merge failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=[], help="talk, flood, sites; all if none is given")
    parser.add_argument("--records", type=int, help="in all")
    parser.add_argument("--hosts", type=int, help="of talk (an even number) or sites")
    parser.add_argument("--sites", type=int, default=400, help="of each host (default 400)")
    parser.add_argument("--grow", action="store_true", help="also with %d times the records, and compare" % GROW)
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
