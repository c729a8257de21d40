# SPDX-License-Identifier: Apache-2.0
"""What passed on a host where nothing matched: the flows that are nearest to the filter, and what they lack of it."""
from collections.abc import Sequence
from typing import Any

from skbtrace.show import nearest

from ..bundle.manifest import Bundle


def _sample(bundles: Sequence[Bundle]) -> tuple[dict[str, Any], list[nearest.Shown]]:
    """Return what a host's manifest says, and what is shown of it; one tracer of a host takes a sample."""
    for bundle in bundles:
        section = bundle.manifest["nearest"]
        if section:
            return section, nearest.shown(section, bundle.manifest["filter"])
    return {}, []


def entry(bundles: Sequence[Bundle]) -> dict[str, Any]:
    """Return what summary.json says of a host's sample, under `nearest`; empty if there was to be none."""
    section, flows = _sample(bundles)
    return {"nearest": {
        "packets": section.get("packets", 0), "flows_total": section.get("flows_total", 0),
        "why": section.get("why", ""),
        "flows": [{"flow": one.flow, "differs": one.difference, "packets": one.packets, "places": one.places}
                  for one in flows]}} if section else {}


def words(name: str, bundles: Sequence[Bundle]) -> list[str]:
    """Return what a host's sample showed, as a sentence; none if there was to be no sample, or nothing passed."""
    section, flows = _sample(bundles)
    if section.get("why"):
        return ["What passed on %s instead could not be sampled: %s." % (name, section["why"].rstrip("."))]
    return ["Nearest of the %d packets of a sample that was taken on %s just after the window: %s." % (
        section.get("packets", 0), name, "; ".join(one.sentence() for one in flows))] if flows else []
