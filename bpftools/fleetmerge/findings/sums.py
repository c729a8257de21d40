# SPDX-License-Identifier: Apache-2.0
"""Sums that must agree, checked at the end of every merge: outcomes against packets, losses against outcomes, records
against the devices' own counters. Where they do not, the summary says so among its doubts."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..journey.found import DROPPED, LOSS, NAMES, OF_PACKET, VANISHED, Findings
from .devices import Key
from .hosts import Host
from .names import Names

_WORDS = "The sums do not agree: "
_OUTCOME, _KIND = ((LOSS.names or ()).index(name) for name in ("outcome", "kind"))
_LOST = ("packet", "receiver", "branch")   # whose losses the totals are of; copies' are none
_ROUNDING = 16      # packets by which a counter may lag behind: drivers do not update them at once
_SHARE = 0.02       # of the records, likewise


def disagreements(findings: Findings, losses: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], names: Names,
                  ) -> list[str]:
    """Return a sentence for each sum that does not agree. losses: all entries of flows that were followed."""
    return [_WORDS + words for words in [*_of_flows(findings, names), *_of_losses(findings, losses),
                                         *_of_summary(losses, summary)]]


def _of_flows(findings: Findings, names: Names) -> list[str]:
    """Each flow has as many outcomes as packets."""
    table = findings.flows
    odd = np.flatnonzero(table["packets"] != table["became"].sum(axis=1))
    if not len(odd):
        return []
    one = table[odd[0]]
    return ["%d flows have not as many outcomes as packets, among them %s with %d packets and %d outcomes." % (
        len(odd), names.flow(int(one["flow"])), one["packets"], one["became"].sum())]


def _of_losses(findings: Findings, losses: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the flows lost is what the losses are."""
    out = []
    lost = [(kind[_OUTCOME], one.packets) for kind, one in findings.losses.items() if kind[_KIND] == OF_PACKET]
    for outcome in (DROPPED, VANISHED):
        in_flows = int(findings.flows["became"][:, outcome].sum())
        in_losses = sum(packets for which, packets in lost if which == outcome)
        if in_flows != in_losses:
            out.append("by the flows %d packets were %s, by the losses %d." % (in_flows, NAMES[outcome], in_losses))
    found, listed = sum(packets for _, packets in lost), _total(losses, "packet")
    if found != listed:
        out.append("%d packets were lost or may be, and %d are in the list of losses." % (found, listed))
    return out


def _of_summary(losses: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[str]:
    """The totals are the sums over the losses by certainty, and over the flows if all are listed."""
    out = []
    certain = [loss for loss in losses if loss["certainty"] == "certain"]
    others = [loss for loss in losses if loss["certainty"] != "certain"]
    for name, said, summed in (("lost for certain", summary["lost"], _total(certain, *_LOST)),
                               ("perhaps lost", summary["unknown"], _total(others, *_LOST))):
        if said != summed:
            out.append("in all %d packets were %s, and %d by the losses." % (said, name, summed))
    if summary["packets"] != sum(summary["became"].values()):
        out.append("there were %d packets in all, and %d outcomes." % (summary["packets"],
                                                                       sum(summary["became"].values())))
    for flow in summary["flows"]:
        count = sum(flow[name] for name in NAMES)
        if flow["packets"] != count:
            out.append("the flow %s has %d packets and %d outcomes." % (flow["key"], flow["packets"], count))
            break
    return out


def _total(losses: Sequence[Mapping[str, Any]], *of: str) -> int:
    return sum(loss["wire_packets"] for loss in losses if loss["of"] in of)


def against_counters(hosts: Sequence[Host], seen: Sequence[Mapping[str, Any]],
                     devices: Mapping[Key, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each network card that counted fewer packets than were recorded as they came in by it, on
    hosts that looked for all packets. A card that counts nothing says nothing."""
    whole = {host.name for host in hosts if host.bundles
             and not any(bundle.manifest["filter"] for bundle, _, _ in host.bundles)}
    out = []
    for row in seen:
        device = devices.get((row["host"], row["netns"], row["device"]))
        if row["host"] in whole and row["point"] == "dev.rx" and device and device["role"] == "phy":
            gained = (device["rose"] or {}).get("rx_packets", 0)
            if gained and row["packets"] - gained > max(_ROUNDING, _SHARE * row["packets"]):
                out.append("%s%d records on %s show packets that came in by %s, whose own counter rose by %d." % (
                    _WORDS, row["packets"], row["host"], row["device"], gained))
    return out
