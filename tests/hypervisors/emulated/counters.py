# SPDX-License-Identifier: Apache-2.0
"""What a machine's own switch and firewall counted: the truth about what they did."""

import json
import re

from .machine import Machine


def of_flow_rules(machine: Machine, match: str) -> int:
    """Return how many packets the OpenFlow rules that match counted.

    The daemon collects the kernel's counters in rounds, of which one is waited for.
    """
    flows = machine.run(f"ovs-appctl revalidator/wait && ovs-ofctl dump-flows br0 '{match}'").stdout
    return sum(int(count) for count in re.findall(r"n_packets=(\d+)", flows))


def of_nft(machine: Machine) -> dict[str, int]:
    """Return how many packets each of nft's named counters counted."""
    listed = json.loads(machine.run("nft -j list counters").stdout)["nftables"]
    return {row["counter"]["name"]: row["counter"]["packets"] for row in listed if "counter" in row}
