#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of a merge: makes bundles in bulk, merges them, prints both.

    tests/bench/bench_merge.py                       16 hosts, 500,000 records each
    tests/bench/bench_merge.py --hosts 8 --records 1250000
"""
import argparse
import os
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


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=16, help="an even number (default 16)")
    parser.add_argument("--records", type=int, default=500_000, help="for each host (default 500000)")
    parser.add_argument("--directory", help="where to make the bundles; kept, and used again if it is there")
    parser.add_argument("--keep", action="store_true", help="keep the bundles and the products")
    options = parser.parse_args()
    directory = options.directory or tempfile.mkdtemp(prefix="bench-merge-")
    run = os.path.join(directory, "run-%d-%d" % (options.hosts, options.records))
    if not os.path.isdir(run):
        from support import traffic
        for pair in range(1, options.hosts // 2 + 1):
            long = options.records / 6 * traffic.PERIOD + 1
            traffic.make_pair(run, pair, options.records, traffic.host("hv-%02da" % pair, duration=long),
                              traffic.host("hv-%02db" % pair, duration=long))
    size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(run) for name in names
               if name == "records.bin")
    begin, peak = time.monotonic(), 0
    child = subprocess.Popen([sys.executable, os.path.join(ROOT, "bpftools", "merge_captures.py"), "--quiet", run])
    while child.poll() is None:
        peak = max(peak, resident(child.pid))
        time.sleep(0.02)
    took = time.monotonic() - begin
    records = options.hosts * (options.records // 6 * 6)
    print("merge: %d bundles, %d records, %.2f GB in: %.1f s (%.2f M records/s), peak %.0f MiB over all processes, "
          "%d CPUs, exit status %d" % (options.hosts, records, size / 1e9, took, records / took / 1e6, peak / 2**20,
                                       len(os.sched_getaffinity(0)), child.returncode))
    for name in sorted(os.listdir(run)):
        if os.path.isfile(os.path.join(run, name)):
            print("  %-16s %8.1f MB" % (name, os.path.getsize(os.path.join(run, name)) / 1e6))
    if not (options.keep or options.directory):
        shutil.rmtree(directory)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
