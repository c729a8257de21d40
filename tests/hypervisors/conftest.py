# SPDX-License-Identifier: Apache-2.0
"""Emulated machines for tests: `machine` (one per distribution, one at a time) and `cluster` (two, of one kind)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from emulated import cluster as two_machines  # noqa: E402
from emulated import images, table, tracing  # noqa: E402
from emulated.machine import Machine, existing  # noqa: E402

ROOT = HERE.parent.parent


ROWS = pytest.StashKey[list[list[str]]]()
RECORDED = pytest.StashKey[dict[str, table.Recorded]]()


def _chosen(variable: str, possible: tuple[str, ...]) -> list[str]:
    """Return the words of an environment variable, or all that is possible."""
    words = os.environ.get(variable, "").split() or list(possible)
    unknown = [word for word in words if word not in possible]
    if unknown:
        raise pytest.UsageError(f"{variable}={' '.join(unknown)}: only {', '.join(possible)} are possible")
    return words


def _down() -> None:
    for machine in existing():
        machine.stop()


@contextmanager
def _machine(distribution: str, form: str) -> Iterator[Machine]:
    """A machine with the tracers and the workload's networks in it."""
    _down()
    made = Machine(distribution, distribution, form)
    made.start()
    try:
        made.wait()
        made.push(ROOT / "bpftools", tracing.TOOLS)
        made.run("cat > /opt/workload.py", data=(HERE / "workload.py").read_bytes())
        made.run("modprobe -a tun vhost_net vxlan geneve br_netfilter nf_conntrack; python3 /opt/workload.py up")
        # the workload's frames stay frames: no second way through the IP hooks
        made.run("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session", params=_chosen("KERNELS", images.DISTRIBUTIONS))
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine as hypervisors are, without kernel headers; KERNELS="bookworm sid" chooses."""
    with _machine(request.param, "single") as made:
        yield made


@pytest.fixture(scope="session", params=_chosen("KERNELS", images.DISTRIBUTIONS))
def machine_with_headers(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that has its kernel's headers; KERNELS chooses here, too."""
    with _machine(request.param, "headers") as made:
        yield made


@pytest.fixture(scope="session", params=_chosen("CLUSTERS", two_machines.KINDS))
def cluster(request: pytest.FixtureRequest) -> Iterator[list[Machine]]:
    """Two machines with a guest each, joined by the underlay of that kind; CLUSTERS="vxlan" chooses."""
    _down()
    try:
        yield two_machines.up(request.param)
    finally:
        _down()


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[list[str]]:
    """The rows of the table that is printed at the end."""
    return request.config.stash.setdefault(ROWS, [])


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest, machine: Machine) -> table.Recorded:
    """How many points have recorded what passed them, of this machine's kernel."""
    kernels = request.config.stash.setdefault(RECORDED, {})
    return kernels.setdefault(machine.run("uname -r").stdout.strip(), table.Recorded())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the kernels took."""
    if config.stash.get(ROWS, []):
        terminalreporter.section("points attached/skipped in each profile")
        terminalreporter.write_line(table.markdown(config.stash[ROWS], config.stash.get(RECORDED, {})))
    for kernel, counts in config.stash.get(RECORDED, {}).items():
        terminalreporter.write_line(f"{kernel}: {counts.recorded} of {counts.points} points recorded what passed them")
