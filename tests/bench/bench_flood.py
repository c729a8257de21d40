#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tracers cost a flood of small packets from VM to VM through both hypervisors of a lab, at default limits. As
root, on "another machine":

    tests/elsewhere tests/bench/bench_flood.py
    tests/elsewhere tests/bench/bench_flood.py --hosts hv-a      one host's tracers alone

Rounds without a tracer, with both tracers armed on the hosts for what does not come, and for the flood, take turns. The
lab's hosts have one kernel: a packet passes the programs of all of them, whichever it is at.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bpftools")]

from faults.capture import BOTH, Capture  # noqa: E402
from support import flood  # noqa: E402
from support.lab import PYTHON, Lab  # noqa: E402

PORT, OTHER = 5001, 5009
WAYS: dict[str, list | None] = {"no tracer": None, "armed, nothing matches": ["--dst-port", OTHER],
                                "armed, all match": ["--dst-port", PORT]}
COUNTED = ("matched", "written", "shed", "lost")


def one(lab: Lab, hosts: list[str], options: list | None, seconds: float,
        directory: pathlib.Path) -> tuple[float, dict[str, int]]:
    """Return packets a second that came to the VM, and what the tracers counted."""
    def through() -> float:
        before = lab.netns("hv-b").counters("vnet0")["tx_packets"]
        lab.netns("vm-a").run([PYTHON, flood.__file__, lab.address("vm-b"), PORT, seconds])
        return (lab.netns("hv-b").counters("vnet0")["tx_packets"] - before) / seconds
    if options is None:
        return through(), {}
    capture = Capture(directory / "run", hosts, ["--protocol", "udp", *options], tracers=BOTH)
    with capture.window():
        rate = through()
    told = [capture.manifest(host, tracer)["counters"] for host in hosts for tracer in BOTH]
    return rate, {name: sum(counters[name] for counters in told) for name in COUNTED}


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", nargs="+", default=["hv-a", "hv-b"], help="that are traced")
    options = parser.parse_args()
    lab = Lab()
    lab.up()
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    sums: dict[str, dict[str, int]] = {}
    try:
        lab.settle()
        with tempfile.TemporaryDirectory() as scratch:
            for _ in range(options.rounds):
                for way, words in WAYS.items():
                    rate, sums[way] = one(lab, options.hosts, words, options.seconds, pathlib.Path(scratch))
                    rates[way].append(rate)
    finally:
        lab.down()
    whole = statistics.median(rates["no tracer"])
    for way, found in rates.items():
        middle = statistics.median(found)
        print(f"{way:<24} {middle:>10.0f} packets/s {100 * middle / whole:>6.1f} %  "
              + ", ".join(f"{name} {count}" for name, count in sums[way].items()), flush=True)


if __name__ == "__main__":
    main()
