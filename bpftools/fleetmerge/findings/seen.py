# SPDX-License-Identifier: Apache-2.0
"""What was seen where, as the first reading of the bundles counted it."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bundle.labels import Labels
from ..clock.host import HostClock
from ..packet.identity import among
from ..packet.places import Places
from ..packet.survey import Survey
from ..words import iso


def seen(labels: Sequence[Labels], surveys: Sequence[Survey], places: Sequence[Places], clocks: Sequence[HostClock],
         counts: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Return what was seen at each point of each device: packets (records) and bytes.

    Of each bundle: its names, what reading it showed, its places, its clock, and which of its places count.
    """
    out: dict[tuple[str, str, str, str], list[int]] = {}
    for names, survey, here, clock, count in zip(labels, surveys, places, clocks, counts, strict=True):
        sums = survey.sums[:len(here.entries)]
        first, last = clock.to_wall(sums["first"]).tolist(), clock.to_wall(sums["last"]).tolist()
        for number in np.flatnonzero(count[:len(sums)] & (sums["packets"] > 0)).tolist():
            place = here.entries[number]
            have = out.setdefault((names.host, place.netns, place.device, place.point),
                                  [0, 0, first[number], last[number]])
            have[0] += int(sums["packets"][number])
            have[1] += int(sums["bytes"][number])
            have[2], have[3] = min(have[2], first[number]), max(have[3], last[number])
    return [dict(zip(("host", "netns", "device", "point"), key, strict=True), packets=packets, bytes=size,
                 first=iso(first_ns), last=iso(last_ns))
            for key, (packets, size, first_ns, last_ns) in sorted(out.items())]


class Witnesses:
    """Which hosts saw a flow."""

    def __init__(self, labels: Sequence[Labels], surveys: Sequence[Survey]) -> None:
        self._flows = [(names.host, np.ascontiguousarray(survey.tables.flows["flow"]))
                       for names, survey in zip(labels, surveys, strict=True)]

    def of(self, flows: np.ndarray) -> list[set[str]]:
        """Return the hosts that saw each of these flows (u8)."""
        out: list[set[str]] = [set() for _ in flows]
        for host, known in self._flows:
            for number in np.flatnonzero(among(flows, known)).tolist():
                out[number].add(host)
        return out
