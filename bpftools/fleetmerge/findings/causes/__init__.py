# SPDX-License-Identifier: Apache-2.0
"""From the function that dropped packets to the configuration that made it: a file for each kind of configuration."""
from collections.abc import Sequence

from ...bundle.evidence import Reading
from . import bridges, listeners, mtus, neighbours, netfilter, openvswitch, queues, readers, routes, xdp
from .drop import Candidate, Drop, Finder

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

# the first that is concerned answers
KINDS: tuple[Finder, ...] = (netfilter.find, openvswitch.find, routes.find_rp_filter, neighbours.find,
                             routes.find_route, mtus.find, queues.find_qdisc, queues.find_filter, queues.find_socket,
                             listeners.find, queues.find_backlog, readers.find, bridges.find, xdp.find)


def candidates(drop: Drop, reading: Reading, host: Reading) -> Sequence[Candidate]:
    """Return what may have dropped these packets; none if nothing that was read tells. Raises TooLarge."""
    for find in KINDS:
        try:
            found = find(drop, reading, host)
        except MALFORMED:    # a host that says what no command prints
            return []
        if found is not None:
            return found
    return []


def unseen(reading: Reading, device: str) -> list[str]:
    """Return what takes packets from a device before they can be recorded: XDP programs in its driver or hardware."""
    try:
        return [xdp.words(one, device) for one in xdp.programs(reading, device) if one["mode"] in xdp.BEFORE]
    except MALFORMED:
        return []
