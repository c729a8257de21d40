# SPDX-License-Identifier: Apache-2.0
"""Questions to which no answer was recorded: where they were seen last, and what became of them."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..journey.found import NAMES as OUTCOMES
from ..journey.found import Findings
from ..journey.questions import NAMES
from ..words import iso
from .hosts import Host
from .names import Names

_ONE_WAY = ("src", "dst", "src_port", "dst_port")   # filters of one direction, unless both are asked for
_MAY_BE = ("filter", "inner_filter", "interfaces")  # nobody can tell whether answers fit
_LOOKS = {"dev.rx", "dev.tx"}


def unanswered(findings: Findings, names: Names, hosts: Sequence[Host], most: int) -> list[dict[str, Any]]:
    """Return an entry for each kind, outcome and place, those with most packets first; none where answers may not have
    matched the filter, or nobody looked for them."""
    bundles = [bundle for host in hosts for bundle, _, _ in host.bundles]
    if not all(_both_ways(bundle.manifest["filter"]) for bundle in bundles) or not all(
            _LOOKS.issubset(host.attached()) for host in hosts if host.bundles):
        return []
    rows = findings.unanswered[np.argsort(-findings.unanswered["packets"], kind="stable")[:most]]
    return [{"kind": NAMES[row["kind"]], "outcome": OUTCOMES[row["outcome"]],
             "last": place.short(), "netns": place.netns, "packets": int(row["packets"]), "flows": int(row["flows"]),
             "first": iso(int(row["first"])), "latest": iso(int(row["latest"])), "flow": names.flow(int(row["flow"])),
             "network": names.network(int(row["network"])), "journeys": ["%016x" % row["journey"]]}
            for row, place in zip(rows, (names.place(int(last)) for last in rows["last"]), strict=True)]


def _both_ways(wanted: Mapping[str, Any]) -> bool:
    """Whether what matches this filter is answered by what matches it, too."""
    return bool(wanted.get("both_directions") or not any(name in wanted for name in _ONE_WAY)) and not any(
        name in wanted for name in _MAY_BE)
