# SPDX-License-Identifier: Apache-2.0
"""To which VMs' devices a bridge gives what comes out of a VM. Where it does not know whose a frame is, it gives it to
all of them: what it gave to one only was for that one."""
from dataclasses import dataclass

import numpy as np

from ..packet.places import NEAR
from .atlas import Layout
from .steps import Pair, Rows


@dataclass
class Reach:
    """That packets of one network came out of one VM's device and were given to another one's, and when (wall ns)."""

    network: int
    came: int
    went: int
    first: int
    last: int


def reaches(rows: dict[Pair, Rows], layout: Layout, network: np.ndarray, hops: np.ndarray,
            time: np.ndarray) -> list[Reach]:
    """Return all of them. rows: the units before and after each step; network, hops (that are left), time: of each."""
    out = []
    for (one, two), parts in rows.items():
        same = layout.host[one] == layout.host[two] and layout.device[one] != layout.device[two]
        if not same or layout.arrives[one] != NEAR or not layout.local[two]:
            continue
        units = np.concatenate([part[0][hops[part[0]] == hops[part[1]]] for part in parts])     # not routed
        for number in np.unique(network[units]).tolist():
            when = time[units[network[units] == number]]
            out.append(Reach(number, int(layout.device[one]), int(layout.device[two]), int(when.min()),
                             int(when.max())))
    return out


def for_one(known: list[Reach], came: np.ndarray, went: np.ndarray, network: np.ndarray,
            time: np.ndarray) -> np.ndarray:
    """Whether packets that came out of one VM's device and went to one other's only would have gone to further ones if
    the bridge had not known whose they are: what came out of there before and after did. came, went: devices."""
    out = np.zeros(len(came), bool)
    for reach in known:
        out |= ((came == reach.came) & (went != reach.went) & (network == reach.network) & (time > reach.first)
                & (time < reach.last))
    return out
