# SPDX-License-Identifier: Apache-2.0
"""A guest that does not take its packets: whether its vhost thread got no CPU, or the guest was stopped, is told apart.

On one machine of the cluster, which sends to its own guest. Twenty runs, half of each, take a while: `make
test-readers`; RUNS=2 makes fewer.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from emulated import cluster, slow, tracing
from emulated.machine import Machine
from support.fleet import merged

ROOT = Path(__file__).parents[2]
B = "192.168.32.20"
MAC_B = "52:54:00:32:00:02"
RING, ENOUGH = 100, 2000    # packets that the tap keeps, and drops: looks are far apart under emulation
DROPS = "drop_monitor", "--interface", "vnet0", "--protocol", "icmp", "--dst", B
WAYS = {"starved": slow.starved, "stopped": slow.stopped}
RUNS = [(number, list(WAYS)[number % 2]) for number in range(int(os.environ.get("RUNS") or 20))]
DROPPED = "cat /sys/class/net/vnet0/statistics/tx_dropped"
NEIGHBOUR = f"""
ip link set vnet0 txqueuelen {RING}
ip addr add 192.168.32.254/24 dev br0
ip neigh replace {B} lladdr {MAC_B} nud permanent dev br0
"""
ANSWERED = f"timeout 240 sh -c 'until ping -q -c 1 -W 1 {B} >/dev/null; do :; done'"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine with a guest, and the tracers; it sends to that guest itself."""
    made = cluster.alone()
    try:
        made.push(ROOT / "bpftools", tracing.TOOLS)
        made.run(NEIGHBOUR)
        yield made
    finally:
        made.stop()


@contextmanager
def pinging(machine: Machine) -> Iterator[None]:
    """The machine sends to its guest while the block runs, as slowly as it is looked at."""
    machine.run(f"ping -q -i 0.01 {B} >/dev/null 2>&1 & echo $! > /run/ping.pid")
    try:
        yield
    finally:
        machine.run("kill $(cat /run/ping.pid)")


def until_dropped(machine: Machine, before: int) -> None:
    """Wait until the tap has dropped enough."""
    machine.run(f"timeout 240 sh -c 'until [ $({DROPPED}) -ge {before + ENOUGH} ]; do sleep 0.2; done'")


def told(summary: dict[str, Any]) -> set[str]:
    """What is said of the drops at the tap: starved, of a vhost thread; stopped, of the guest; or anything else."""
    found = [one for loss in summary["losses"] if loss["device"] == "vnet0" and "cause" in loss
             for one in loss["cause"]["candidates"]]  # fmt: skip
    assert found, summary["verdict"]
    return {one["state"] if one["state"] == ("starved" if one.get("vhost") else "stopped") else f"other: {one['what']}"
            for one in found}  # fmt: skip


@pytest.mark.parametrize(("number", "way"), RUNS, ids=[f"{number}-{way}" for number, way in RUNS])
def test_who_was_slow(machine: Machine, tmp_path: Path, number: int, way: str) -> None:
    machine.run(ANSWERED)
    before = int(machine.run(DROPPED).stdout)
    run = tmp_path / f"run{number}"
    with tracing.bundling(machine, run, machine.name, *DROPS), WAYS[way](machine), pinging(machine):
        until_dropped(machine, before)
    summary = merged(run)
    causes = [loss["cause"] for loss in summary["losses"] if "cause" in loss]
    print(json.dumps(causes, indent=1), *summary["verdict"], sep="\n")
    assert way in told(summary)
    assert ({"starved", "stopped"} - {way}).isdisjoint(told(summary))
