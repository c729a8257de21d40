# SPDX-License-Identifier: Apache-2.0
"""Flows and queues as tables."""
from collections.abc import Mapping
from typing import Any

from .markup import Markup, clipped, grouped, joined, table, tag

_QUEUES = 40
_OUTCOMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight")


def flows(summary: Mapping[str, Any]) -> Markup:
    """Return the flows with most packets; the page's script sorts and searches them."""
    listed = summary["flows"]
    rows = [[tag("code", clipped(flow["key"], 120)), clipped(flow["network"], 60), flow["packets"], flow["bytes"],
             *(_lost(name, flow[name]) for name in _OUTCOMES), flow["retransmitted"],
             tag("span", "%.1f" % flow["rtt_us"]["p50"] if flow["rtt_us"] else "", class_="n"),
             tag("code", (flow["first"] or "–")[11:])] for flow in listed]
    head = ("flow", "network", "packets", "bytes", *(name.replace("_", " ") for name in _OUTCOMES), "sent again",
            "rtt µs", "first")
    words = joined([grouped(len(listed)), " of ", grouped(summary["flows_total"]),
                    " flows, those with most packets."]) if listed else "No flow was followed."
    return tag("section", tag("h2", "Flows"), tag("p", words, " ", tag("span", id="found", role="status"),
                                                 class_="note"),
               tag("input", type="search", id="search", placeholder="address, port, protocol, …",
                   aria_label="search flows") if listed else None,
               tag("div", table(head, rows, id="flow-table"), class_="wide tall", tabindex=0,
                   aria_label="flows", role="region") if listed else None, id="flows")


def _lost(name: str, count: int) -> Any:
    return tag("b", grouped(count), class_="certain" if name in ("dropped", "vanished") else "unknown"
               ) if count and name in ("dropped", "vanished", "unknown") else count


def queues(summary: Mapping[str, Any]) -> Markup | None:
    """Return the queues that packets met."""
    rows = [[row["host"], tag("code", clipped(("%s %s" % (row["device"], row["queue"])).strip(), 60)), row["kind"],
             row["unit"], row["records"], row["min"], row["median"], row["p99"], row["max"], row["limit"] or "–",
             "%.1f %%" % row["full"]["share"], row["drops"]] for row in summary["queues"][:_QUEUES]]
    head = ("host", "queue", "kind", "unit", "records", "min", "median", "99 %", "max", "limit", "full", "drops")
    rest = len(summary["queues"]) - len(rows)
    return joined([tag("h3", "Queues"), tag("div", table(head, rows), class_="wide"),
                   tag("p", "%d more queues are in summary.json." % rest) if rest else None]) if rows else None
