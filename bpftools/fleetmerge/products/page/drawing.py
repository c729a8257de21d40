# SPDX-License-Identifier: Apache-2.0
"""The ways as pictures, in SVG: lanes, stations, steps with packets, loss and latency."""
from collections.abc import Mapping, Sequence
from typing import Any

from ...words import passed
from . import layout
from .markup import Markup, clipped, grouped, joined, micros, more, table, tag
from .ways import Edge, Graph, Loss, Node, graphs

_GRAPHS = 12      # that are drawn
_STEPS = 400      # that are listed
_COLUMN, _ROW, _BOX, _LINE, _TOP = 236, 62, 24, 14, 30    # px: pitches, height of a box, of a line of text, of a name
_WIDTH = 168      # px of a box
_STEM = 16        # px from a box's left side to its steps
_LETTERS = 24     # of a box
Steps = Mapping[tuple[Any, Any], Mapping[str, Any]]


def ways(summary: Mapping[str, Any]) -> Markup:
    """Return the pictures, and the steps as a table."""
    drawn = graphs(summary)
    steps = {(_key(step["from"]), _key(step["to"])): step for step in summary["segments"]}
    figures = [tag("figure", tag("figcaption", tag("b", graph.addresses), " ", _caption(graph)), _picture(graph, steps))
               for graph in drawn[:_GRAPHS]]
    notes = ["%d more pairs of addresses are in summary.json." % (len(drawn) - _GRAPHS)] if len(drawn) > _GRAPHS else []
    notes += ["Packets are those of the pair; times are of all flows that take the step, median and 99 %."]
    if not drawn:
        return tag("section", tag("h2", "The way"), tag("p", "No packet was followed from place to place.",
                                                        class_="dim"), id="way")
    return tag("section", tag("h2", "The way"), tag("div", *figures, class_="ways"),
               tag("p", " ".join(notes), class_="note"), _table(summary["segments"]), id="way")


def _key(place: Mapping[str, str]) -> tuple[str, str, str]:
    return place["host"], place["device"], place["point"]


def _caption(graph: Graph) -> Markup:
    words = [grouped(graph.packets), " packets"] if graph.packets else ["no whole way is known"]
    words += [", ", grouped(graph.left_out), " more by other ways (see summary.json)"] if graph.left_out else []
    return tag("span", *words, class_="dim")


def _picture(graph: Graph, steps: Steps) -> Markup:
    laid = layout.place(graph)
    width = _COLUMN * sum(lane.columns for lane in laid.lanes)
    height = max(_at(node)[1] + (_BOX if node.loss is None else 3 * _LINE) for node in graph.nodes) + 12
    parts = [_lane(lane, height) for lane in laid.lanes]
    most = max((edge.packets for edge in graph.edges.values()), default=1)
    for (one, two), edge in sorted(graph.edges.items(), key=lambda item: item[1].own):
        way = [graph.nodes[one], *laid.routes[one, two], graph.nodes[two]]
        parts.append(_step(way, sum(end == two for _, end in graph.edges), edge, steps, most))
    parts += [_station(node) if node.loss is None else _loss(node, node.loss) for node in graph.nodes]
    return tag("div", tag("svg", tag("title", "Ways of packets %s" % graph.addresses), *parts, width=width,
                          height=height, viewBox="0 0 %d %d" % (width, height), role="img"), class_="wide")


def _lane(lane: layout.Lane, height: int) -> Markup:
    x, width = lane.first * _COLUMN, lane.columns * _COLUMN - 10
    return joined([tag("rect", x=x, y=0, width=width, height=height, rx=4, class_="lane"),
                   tag("text", clipped(lane.host, 30 * lane.columns), x=x + 10, y=18, class_="host")])


def _at(node: Node) -> tuple[int, int]:
    """Return the left upper corner of a node's box."""
    return node.column * _COLUMN + 10, _TOP + node.row * _ROW


def _station(node: Node) -> Markup:
    (x, y), (host, device, point) = _at(node), node.place
    letters = max(4, _LETTERS - min(len(point), 14) - 1)
    return tag("g", tag("title", "%s %s %s" % (host, device, point)),
               tag("rect", x=x, y=y, width=_WIDTH, height=_BOX, rx=3),
               tag("text", tag("tspan", clipped(device, letters), class_="device"), " ",
                   tag("tspan", clipped(point, 14), class_="point"), x=x + 8, y=y + 16), class_="station")


def _loss(node: Node, loss: Loss) -> Markup:
    x, y = _at(node)
    what = {"drop": "dropped", "vanished": "vanished"}.get(loss.kind, "more lost")
    if loss.kind == "vanished" and loss.certainty == "unknown":
        what = "not known"
    lines = [joined(["✕ ", grouped(loss.packets), " ", what]), *(clipped(word, 30) for word in loss.words[:2])]
    words = [tag("text", line, x=x + 2, y=y + 12 + _LINE * number) for number, line in enumerate(lines)]
    kind = "idle" if loss.idle else loss.certainty
    title = tag("title", joined([lines[0], ", ", loss.certainty, ": ", ", ".join(loss.words)]))
    group = tag("g", title, *words, class_="loss " + kind)
    return tag("a", group, href="#sentence-%d" % loss.sentence) if loss.sentence is not None else group


def _step(way: Sequence[Node], into: int, edge: Edge, steps: Steps, most: int) -> Markup:
    """Return a step. way: where it begins, leads by, and ends; into: how many steps end there."""
    target = way[-1]
    line = _line(way)
    if target.loss:
        return tag("path", d=line, class_="loss " + ("idle" if target.loss.idle else target.loss.certainty))
    step = steps.get((way[0].place, target.place))
    kind = "own" if edge.own else "copy"
    x2, y2 = _at(target)[0] + _STEM, _at(target)[1]
    x, y = _at(target if into == 1 else way[1] if len(way) > 2 else way[0])
    x, y = x + _STEM + 8, (y if into == 1 or len(way) > 2 else y + _ROW) - _LINE - 4
    words = [tag("text", text, x=x, y=y + _LINE * number) for number, text in enumerate(_label(edge, step))]
    return tag("g", tag("title", _told(edge, step)),
               tag("path", d=line, class_=kind, stroke_width="%.1f" % (1 + 2.2 * edge.packets / most)),
               tag("path", d="M%d %dl-4 -7h8z" % (x2, y2), class_="head " + kind), *words, class_="step")


def _line(way: Sequence[Node]) -> str:
    """Return a line from the first box to the last one: down, and across just below a box."""
    x, y = _at(way[0])
    x, y = x + _STEM, y + _BOX
    line = "M%d %d" % (x, y)
    for node in way[1:]:
        left, top = _at(node)
        if left + _STEM != x:
            x = left + _STEM
            line += "V%dH%d" % (top - _ROW + _BOX + 6, x)
    return line + "V%d" % (_at(way[-1])[1] - 1)


def _label(edge: Edge, step: Mapping[str, Any] | None) -> list[Markup]:
    """Return two short lines beside a step."""
    lines = [joined([grouped(edge.packets), tag("tspan", " copies", class_="dim") if not edge.own else None])]
    took = step["latency_us"] if step else None
    if took:
        bound = took["bound"]
        off = " ± ?" if bound is None else " ± " + micros(bound) if bound else ""
        lines.append(joined([micros(took["p50"]), tag("tspan", " · ", micros(took["p99"]), off, class_="dim")]))
    return lines


def _told(edge: Edge, step: Mapping[str, Any] | None) -> str:
    """Return all that is known of a step."""
    words = ["%d packets of this pair" % edge.packets]
    if step:
        words.append("all flows: %s packets, %d missing, %d overtaken" % (
            passed(step), step["missing"], step["reordered"]))
        if step["latency_us"]:
            words.append(", ".join("%s %s" % (name, micros(step["latency_us"][name]))
                                   for name in ("min", "p50", "p99", "max")))
        if step["changed"]:
            words.append("changed: %s" % _changed(step))
    return "; ".join(words)


def _changed(step: Mapping[str, Any]) -> str:
    return ", ".join("%s of %d" % item for item in sorted(step["changed"].items()))


def _table(segments: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [[*(tag("code", " ".join(_key(step[end]))) for end in ("from", "to")),
             passed(step) if step["unsure"] else step["packets"], step["missing"],
             *(micros(step["latency_us"][name]) if step["latency_us"] else "–"
               for name in ("min", "p50", "p99", "max", "bound")),
             micros(step["jitter_us"]), step["reordered"], clipped(_changed(step), 200)] for step in segments[:_STEPS]]
    rest = len(segments) - len(rows)
    return more("All %d steps, as a table" % len(segments), tag("div", table(
        ("from", "to", "packets", "missing", "min", "median", "99 %", "max", "±", "jitter", "overtaken", "changed"),
        rows), class_="wide"), tag("p", "%d more steps are in summary.json." % rest) if rest else None)
