# SPDX-License-Identifier: Apache-2.0
"""Flows whose packets took another way from some time on."""
from collections.abc import Mapping
from typing import Any

from ..journey.found import Findings, Used
from ..journey.grounds import Trust
from ..words import iso
from .names import Names

_FEWEST = 2      # packets that make a way
_Way = tuple[tuple[int, ...], Used]


def path_changes(findings: Findings, names: Names, trusts: Mapping[str, Trust], most: int) -> list[dict[str, Any]]:
    """Return an entry for each change of a flow's way, in the order of time."""
    flows: dict[tuple[int, int], list[_Way]] = {}
    for (flow, network, *places), used in findings.used.items():
        if used[2] >= _FEWEST:
            flows.setdefault((flow, network), []).append((tuple(places), used))
    out = []
    for (flow, network), ways in flows.items():
        ways.sort(key=lambda way: way[1])
        for one, two in zip(ways[:-1], ways[1:], strict=True):
            if _changed(one, two, names, trusts):
                out.append({"flow": names.flow(flow), "network": names.network(network), "when": iso(two[1][0]),
                            "before": [names.place(place).short() for place in one[0]], "packets_before": one[1][2],
                            "after": [names.place(place).short() for place in two[0]], "packets_after": two[1][2]})
    return sorted(out, key=lambda entry: (entry["when"], entry["flow"]))[:most]


def _changed(one: _Way, two: _Way, names: Names, trusts: Mapping[str, Trust]) -> bool:
    """Whether the second way took the place of the first: it began when that had ended, each has something that the
    other has not, and no host on them missed anything."""
    before, after = set(one[0]), set(two[0])
    hosts = {names.place(place).host for place in before | after}
    whole = not any(host in trusts and trusts[host].lossy for host in hosts)
    return whole and one[1][1] < two[1][0] and bool(before - after) and bool(after - before)
