#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of a merge: makes bundles in bulk, merges them, prints both.

    tests/bench/bench_merge.py                       16 hosts, 500,000 records each
    tests/bench/bench_merge.py --hosts 8 --records 1250000 --grow
                                                     10 million records, and how time and memory grow up to there
"""
import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "bpftools")]


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


def measure(run: str, hosts: int, records: int) -> int:
    """Make the bundles of a run if they are not there, merge them, print time and memory; return the exit status."""
    if not os.path.isdir(run):
        from support import traffic
        for pair in range(1, hosts // 2 + 1):
            long = records / 6 * traffic.PERIOD + 1
            traffic.make_pair(run, pair, records, traffic.host("hv-%02da" % pair, duration=long),
                              traffic.host("hv-%02db" % pair, duration=long, skew=0.01 * pair, drift=1e-5 * pair,
                                           boot=5000.0))
    size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(run) for name in names
               if name == "records.bin")
    begin, peak, used = time.monotonic(), 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen([sys.executable, os.path.join(ROOT, "bpftools", "merge_captures.py"), "--quiet", run])
    while child.poll() is None:
        peak = max(peak, resident(child.pid))
        time.sleep(0.02)
    took, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    total = hosts * (records // 6 * 6)
    print("merge: %d bundles, %d records, %.2f GB: %.1f s (%.2f M records/s, %.1f s of CPU, %d CPUs, load %.1f), peak "
          "%.0f MiB over all processes, exit status %d" % (
              hosts, total, size / 1e9, took, total / took / 1e6, cpu, len(os.sched_getaffinity(0)),
              os.getloadavg()[0], peak / 2**20, child.returncode), flush=True)
    return child.returncode


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=16, help="an even number (default 16)")
    parser.add_argument("--records", type=int, default=500_000, help="for each host (default 500000)")
    parser.add_argument("--grow", action="store_true", help="also with a quarter and a half of the records")
    parser.add_argument("--directory", help="where to make the bundles; kept, and used again if it is there")
    options = parser.parse_args()
    directory = options.directory or tempfile.mkdtemp(prefix="bench-merge-")
    status = 0
    for part in (4, 2, 1) if options.grow else (1,):
        records = options.records // part
        run = os.path.join(directory, "run-%d-%d" % (options.hosts, records))
        status = status or measure(run, options.hosts, records)
        if not options.directory:
            shutil.rmtree(run)
    if not options.directory:
        shutil.rmtree(directory)
    return status


if __name__ == "__main__":
    sys.exit(main())
