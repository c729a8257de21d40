# SPDX-License-Identifier: Apache-2.0
"""Names of the drop reasons of kernels, one file for each release, as the tracers would name them: facts, no text.

5.17 was the first release that has reasons. 7.3's subsystems in modules are missing, and those of 6.1 to 6.8, which are
among those of 6.12.
"""
import pathlib
from collections.abc import Iterable

# what the enums hold beside reasons: marks of ranges, and what a packet has that was not dropped
NOT_REASONS = {"SKB_NOT_DROPPED_YET", "SKB_CONSUMED", "MAX", "SUBSYS_MASK", "OVS_DROP_MAX", "QDISC_DROP_MAX"}
RELEASES = {path.stem: path.read_text().split() for path in sorted(pathlib.Path(__file__).parent.glob("*.txt"))}


def real(names: Iterable[str]) -> set[str]:
    """Return the names that a dropped packet can have."""
    return {name for name in names if name not in NOT_REASONS and not name.startswith("__")}
