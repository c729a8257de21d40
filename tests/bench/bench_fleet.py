#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a capture of many hosts takes from the command to the verdict, and what it costs the controller. As root.

    tests/elsewhere tests/bench/bench_fleet.py                    8, 16, 32 and 64 hosts
    tests/elsewhere tests/bench/bench_fleet.py 8 64 --forks 32

The hosts are those of a lab of its own: they share this machine's CPUs with the controller, as no real ones would.
The first VM pings the second one all the time; both tracers look for that on all hosts.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import cost  # noqa: E402
from support.lab import Lab  # noqa: E402
from support.playbooks import Play  # noqa: E402

WINDOW_S = 5
SIZES = (8, 16, 32, 64)
BAR = "64 hosts: 120 s on 2 CPUs, nobody late"


def inventory(lab: Lab, count: int, path: Path) -> Path:
    """Write an inventory of the lab's first hosts."""
    hosts = dict(list(lab.status()["hypervisors"].items())[:count])
    path.mkdir()
    (path / "hosts.json").write_text(json.dumps({"hypervisors": {"hosts": {
        name: {"ansible_host": host["address"]} for name, host in hosts.items()}}}))
    (path / "group_vars").symlink_to(ROOT / "inventories" / "lab" / "group_vars")
    return path


def measure(lab: Lab, count: int, forks: int, scratch: Path) -> int:
    """Capture on so many hosts, and print what that took; the exit status."""
    lab.up(count)
    play = Play(scratch / "captures")
    words = ["-i", str(inventory(lab, count, scratch / ("inventory-%d" % count))), "--forks", str(forks)]
    run = "bench-%d" % count
    command = play.command("capture.yml", *words, capture_run_id=run, capture_duration=WINDOW_S,
                           capture_protocol="icmp", capture_everything=False)
    took = cost.of(command, env=play.environment, cwd=ROOT, stdin=subprocess.DEVNULL,
                   stdout=(scratch / (run + ".log")).open("w"), stderr=subprocess.STDOUT)
    if took.status:
        print((scratch / (run + ".log")).read_text())
        return took.status
    summary = play.summary(run)
    states = [host["status"] for host in summary["hosts"].values()]
    late = sum("late" in doubt for doubt in summary["doubts"])
    print("%d hosts, %d forks: %s; complete %d, late %d, %d records; %d CPUs, load %.1f" % (
        count, forks, took, states.count("complete"), late, summary["records"], len(os.sched_getaffinity(0)),
        os.getloadavg()[0]), flush=True)
    return 0 if states.count("complete") == count else 1


def main() -> int:
    """Run the benchmark; the exit status is 1 if a capture failed, or lacks a host."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=list(SIZES), help="how many (default 8, 16, 32, 64)")
    parser.add_argument("--forks", type=int, default=16)
    options = parser.parse_args()
    lab, status = Lab(), 0
    lab.up(2)
    ping = lab.netns("vm-a").popen(["ping", "-q", "-i", "0.1", lab.address("vm-b")])
    try:
        with tempfile.TemporaryDirectory(prefix="bench-fleet-") as scratch:
            for count in options.hosts:
                status = measure(lab, count, options.forks, Path(scratch)) or status
    finally:
        ping.terminate()
        ping.communicate(timeout=10)
        lab.down()
    print("bar: " + BAR)
    return status


if __name__ == "__main__":
    sys.exit(main())
