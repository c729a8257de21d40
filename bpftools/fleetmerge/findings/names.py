# SPDX-License-Identifier: Apache-2.0
"""What numbers in findings stand for."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..bundle.labels import Labels
from ..journey.atlas import BRIDGE, CLOSED, Atlas
from ..packet.flowtext import flow_of
from ..packet.identity import network_text
from ..packet.places import Place

# net/core/skbuff.c: frees a list of packets, as those that a qdisc threw away
_HELPERS = ("kfree_skb_list", "kfree_skb_list_reason", "kfree_skb_reason", "sk_skb_reason_drop", "kfree_skb")

_BRIDGE = ("br_", "__br_")


@dataclass
class Names:
    """Names for numbers."""

    atlas: Atlas
    labels: Sequence[Labels]
    _words: dict[int, str] = field(default_factory=dict)

    def place(self, number: int) -> Place:
        """Return a place."""
        return self.atlas.places[number]

    def flow(self, flow: int) -> str:
        """Return the words for a flow."""
        if flow not in self._words:
            row = self._flow(flow)
            self._words[flow] = flow_of(row) if row is not None else "unknown flow"
        return self._words[flow]

    def ends(self, group: int) -> str:
        """Return the words for a pair of addresses."""
        rows = np.flatnonzero(self.atlas.flows["group"] == np.uint64(group))
        return ends_of(flow_of(self.atlas.flows[rows[0]])) if len(rows) else "unknown"

    @staticmethod
    def network(network: int) -> str:
        """Return the words for a network."""
        return network_text(network)

    @cached_property
    def _known(self) -> np.ndarray:
        return np.ascontiguousarray(self.atlas.flows["flow"])

    def _flow(self, flow: int) -> Any:
        table = self.atlas.flows
        place = int(np.searchsorted(self._known, np.uint64(flow)))
        return table[place] if place < len(table) and table["flow"][place] == flow else None

    def target(self, place: Place, drop: int) -> str:
        """Return the function that a place's point is at."""
        return self.labels[self.atlas.drops[drop][0]].target(place.point)

    def drop(self, number: int) -> dict[str, Any]:
        """Return function, reason and stack of a drop."""
        bundle, reason, location, stack = self.atlas.drops[number]
        names = self.labels[bundle]
        at, frames = names.symbol(location), names.stack(stack)
        return {"function": who(at, frames) if at else None, "at": at,
                "reason": names.reason(reason) if reason else None, "stack": frames}

    def unwanted(self) -> np.ndarray:
        """Return u1 by drop: BRIDGE if the bridge did not want the packet (for others, or from a wrong port), CLOSED if
        nobody may have had the VM's device open, or 0."""
        return np.array([0] + [_unwanted(self.drop(number)) for number in range(1, len(self.atlas.drops))], "u1")


def _unwanted(drop: dict[str, Any]) -> int:
    function = drop["function"] or ""
    # before 5.18 the kernel gives no reason
    closed = function == "tun_net_xmit" and drop["reason"] in (None, "DEV_READY")
    return BRIDGE if function.startswith(_BRIDGE) else CLOSED if closed else 0


def who(at: str, frames: Sequence[str]) -> str:
    """Return the function that dropped a packet: not the kernel's helper that frees for others, but who called it."""
    functions = [frame.split("+")[0] for frame in (at, *frames)]
    return next((function for function in functions if function not in _HELPERS), functions[0])


def ends_of(flow: str) -> str:
    """Return the words for the pair of addresses of a flow, given its words."""
    ends = [end[1:].split("]")[0] if end.startswith("[") else end.split(":")[0] if end.count(":") == 1 else end
            for end in flow.rsplit(" ", 1)[0].split(" > ")]
    return " > ".join(ends)
