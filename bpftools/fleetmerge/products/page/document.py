# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that holds all it needs, runs nothing but its own script, and asks nothing of the network."""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import chosen, drawing, flows, said, series
from .frame import file, framed
from .markup import Markup, data, joined, tag
from .packets import packets

MOST = 2_000_000   # bytes
_SPARE = 4_000     # of these, for what is around the parts, or stands in place of one
_PARTS = (("verdict", "Verdict"), ("trust", "Trust"), ("way", "Way"), ("time", "Time"), ("flows", "Flows"),
          ("packets", "Packets"))


def page(summary: Mapping[str, Any], journeys: str, events: str, fill: Sequence[Mapping[str, Any]]) -> str:
    """Return report.html. journeys, events: journeys.parquet and events.parquet; fill: what series.of_queues() said."""
    along = series.axis(summary)
    shown = chosen.choose(summary, journeys, events)
    counts = series.of_packets(journeys, along)
    lines = [*series.of_steps(journeys, summary, along), *fill]
    style, script = file("page.css"), file("page.js")
    names = {packet.journey for packet in shown}
    parts = _fitting(MOST - sum(len(part.encode()) for part in (style, script, said.head(summary))) - _SPARE, {
        "verdict": [lambda: said.verdict(summary, names), lambda: said.verdict(summary, names, 20)],
        "trust": [lambda: said.trust(summary)], "way": [lambda: drawing.ways(summary)],
        "time": [lambda: _time(summary, along, counts, lines)], "packets": [lambda: packets(shown)],
        "flows": [lambda: flows.flows(summary)]})
    return framed("skbfleet %s" % summary["run_id"], style, script, said.head(summary),
                  tag("nav", *(tag("a", title, href="#" + name) for name, title in _PARTS)),
                  tag("main", *(parts[name] for name, _ in _PARTS)))


def _fitting(room: int, makers: Mapping[str, Sequence[Callable[[], Markup]]]) -> dict[str, Markup]:
    """Return all parts, of `room` bytes in all: the first way to make each one for which there is room left. What must
    be there comes first."""
    parts = {}
    for name, ways in makers.items():
        too_large = tag("section", tag("p", "This part is too large for the page: see summary.json."), id=name)
        parts[name] = next((part for part in (make() for make in ways) if len(part.encode()) <= room), too_large)
        room -= len(parts[name].encode())
    return parts


def _time(summary: Mapping[str, Any], along: series.Axis | None, counts: Mapping[str, list[int]],
          lines: Sequence[Mapping[str, Any]]) -> Markup:
    """Return what the page's script draws over time. lines: steps and queues."""
    if not along:
        return tag("section", tag("h2", "Time"), tag("p", "Nothing was seen.", class_="dim"), id="time")
    content = {"start": along.start, "width": along.width, "counts": counts, "lines": list(lines)}
    return tag("section", tag("h2", "Time"),
               tag("p", tag("span", id="reading", role="status"), " ", class_="note"),
               tag("div", id="strips", tabindex=0, role="group", aria_label="packets, losses and queues over time"),
               tag("p", "Drag to look closer, double-click for all of it; keys: + and −, arrows, 0. Packets stand "
                        "where they were first seen, losses where they were last seen. Steps: median and, lighter, 99 "
                        "%, of a sample of packets.", class_="note"),
               tag("noscript", tag("p", "The curves need JavaScript.")), data("series", content),
               joined([flows.queues(summary)]), id="time")
