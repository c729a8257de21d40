# SPDX-License-Identifier: Apache-2.0
"""A run in one word, for programs: what its summary comes to."""
from collections.abc import Mapping, Sequence
from typing import Any

from .unanswered import astray

NO_LOSS, LOSS, UNKNOWN, NOTHING_MATCHED, PARTIAL = RESULTS = (
    "no loss", "loss", "unknown", "nothing matched", "partial")


def result(summary: Mapping[str, Any], losses: Sequence[Mapping[str, Any]]) -> str:
    """Return one of RESULTS; losses: all of them, as summary.json has them.

    A run that lacks a host, or a part of one, is partial whatever the others show. A drop that is harmless is no loss.
    Where only drops were looked for, none of them is none lost. A question for one, asked of all, that got no answer,
    may not have got there.
    """
    if any(host["status"] != "complete" for host in summary["hosts"].values()):
        return PARTIAL
    if not summary["records"] and summary["tracers"] != ["drop_monitor"]:
        return NOTHING_MATCHED
    levels = {loss["certainty"] for loss in losses if not loss.get("harmless")}
    if levels & {"certain", "likely"}:
        return LOSS
    return UNKNOWN if levels or astray(summary) else NO_LOSS
