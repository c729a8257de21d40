# SPDX-License-Identifier: Apache-2.0
"""Compare what is said of a part of a run with what is said of the whole: a part never says more."""
from collections.abc import Iterator, Mapping
from typing import Any

Summary = Mapping[str, Any]
_KEY = ("kind", "of", "flow", "network", "certainty", "why", "host", "device", "function", "reason")
OUTCOMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued")


def flow_filter(key: str) -> str:
    """Return the expression for one flow of a summary, by the name that it has there."""
    words = key.split(" ")
    if words[0] == "arp":
        return "arp"
    ends = [_end("src", words[0], words[3]), _end("dst", words[2], words[3])]
    return " and ".join([*ends, *(word for word in words[3:4] if word in ("tcp", "udp"))])


def _end(side: str, end: str, protocol: str) -> str:
    address, _, port = end.rpartition(":") if "." in end or "]" in end else ("", "", "")
    if protocol not in ("tcp", "udp") or not address:    # of a fragment the ports are not known
        return "%s host %s" % (side, end.strip("[]"))
    return "%s host %s and %s port %s" % (side, address.strip("[]"), side, port)


def _losses(summary: Summary) -> dict[tuple[Any, ...], int]:
    out: dict[tuple[Any, ...], int] = {}
    for loss in [*summary["losses"], *summary["copies"]]:
        key = (*(loss.get(name) for name in _KEY), str(loss.get("between")))
        out[key] = out.get(key, 0) + loss["wire_packets"]
    return out


def _unanswered(summary: Summary) -> dict[tuple[str, ...], int]:
    return {(entry["kind"], entry["outcome"], *entry["last"].values()): entry["packets"]
            for entry in summary["unanswered"]}


def _flows(summary: Summary) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(flow["key"], flow["network"]): flow for flow in summary["flows"]}


def more_than_the_whole(part: Summary, whole: Summary) -> Iterator[str]:
    """Yield what a part says that the whole run does not: losses, outcomes; and less of a flow that it has all of."""
    flows, losses, all_flows, all_losses = _flows(part), _losses(part), _flows(whole), _losses(whole)
    for key, count in losses.items():
        if count > all_losses.get(key, 0):
            yield "%d packets are lost in the part, %d in the run: %s" % (count, all_losses.get(key, 0), key)
    for name, flow in flows.items():
        for outcome in OUTCOMES:
            if flow[outcome] > all_flows[name][outcome]:
                yield "%d packets of %s %s in the part, %d in the run" % (flow[outcome], name[0], outcome,
                                                                         all_flows[name][outcome])
    entire = {key for (key, _), flow in flows.items() if all(
        flow["packets"] == all_flows[name]["packets"] for name in all_flows if name[0] == key)}
    for loss, count in all_losses.items():
        if loss[2] in entire and losses.get(loss, 0) != count:
            yield "%d packets are lost in the run, %d in the part: %s" % (count, losses.get(loss, 0), loss)
    asked = _unanswered(whole)
    for place, count in _unanswered(part).items():
        if count > asked.get(place, 0):
            yield "%d questions have no answer in the part, %d in the run: %s" % (count, asked.get(place, 0), place)
    for total in ("records", "packets", "lost", "unknown", "drops"):
        if part[total] > whole[total]:
            yield "%s: %d in the part, %d in the run" % (total, part[total], whole[total])
