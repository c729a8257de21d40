# SPDX-License-Identifier: Apache-2.0
"""What the machines of a cluster are told beyond their plain set-up, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from .machine import Machine

AS_BEFORE = """
ovs-vsctl clear bridge br0 mirrors -- --if-exists del-port br0 vnet9 -- --if-exists del-port br0 mon0
ovs-ofctl del-flows br0
ovs-ofctl add-flow br0 priority=0,actions=NORMAL
nft flush ruleset
ovs-appctl dpctl/flush-conntrack
"""


@contextmanager
def situation(cluster: list[Machine], **commands: str) -> Iterator[None]:
    """Make a situation on the machines, with nothing left in the kernels of what the switches knew, and undo it."""
    try:
        for machine, name in zip(cluster, ("a", "b"), strict=True):
            machine.run("set -e\n" + commands.get(name, "") + "\novs-appctl dpctl/del-flows")
        yield
    finally:
        for machine in cluster:
            machine.run(AS_BEFORE, check=False)
