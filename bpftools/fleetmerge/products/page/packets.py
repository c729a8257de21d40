# SPDX-License-Identifier: Apache-2.0
"""Chosen packets: where each was when, all in one diagram; and each by itself, point by point."""
import math
from collections.abc import Mapping, Sequence
from string import ascii_letters
from typing import Any

from ..compare import changes
from .chosen import Packet
from .markup import Markup, clipped, joined, micros, more, table, tag

_FIELDS = 16      # columns
_ROWS = 40        # places in the diagram
_LEFT, _WIDTH, _PITCH, _TOP = 230, 1000, 24, 34    # px
_TICKS = (0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7)    # us
Place = tuple[str, str, str]


def packets(chosen: Sequence[Packet]) -> Markup:
    """Return the diagram and the packets."""
    if not chosen:
        return tag("section", tag("h2", "Packets"), tag("p", "There is none to show.", class_="dim"), id="packets")
    return tag("section", tag("h2", "Packets, for example"), _diagram(chosen),
               tag("p", "Time is since each packet's first place, on a logarithmic scale; between hosts it is as good "
                        "as the clocks. merge_captures.py --compare shows any other packet like this.", class_="note"),
               *map(_packet, chosen), id="packets")


def _class(packet: Packet) -> str:
    return {"lost": packet.certainty, "sent again": "again", "slow": "slow"}.get(packet.kind, "healthy")


def _took(packet: Packet) -> float:
    """Return the time from its first place to its last one, us."""
    times = [place["time"] for place in packet.places]
    return (max(times) - min(times)) / 1e3 if times else 0.0


def _packet(packet: Packet) -> Markup:
    head = joined([tag("span", packet.kind, class_="chip " + _class(packet)), " ", tag("code", packet.journey), " ",
                   packet.flow, tag("span", " ", packet.outcome.replace("_", " "), ", ", packet.certainty, ", ",
                                    micros(_took(packet)), class_="dim")])
    return more(head, _records(packet), id="packet-" + packet.journey, class_="packet")


def _records(packet: Packet) -> Markup:
    """Return the records of a packet, with what changed."""
    if not packet.records:
        return tag("p", "It has no records of its own.", class_="dim")
    names, fields = changes(packet.records)
    names, fields = names[:_FIELDS], [values[:_FIELDS] for values in fields]
    skbs: dict[Any, str] = {}
    bounds = {(place["host"], place["device"], place["point"], place["time"]): place["bound_us"]
              for place in packet.places}
    rows = []
    for row, values in zip(packet.records, fields, strict=True):
        skb = skbs.setdefault((row["host"], row["skb"]), ascii_letters[min(len(skbs), 51)])
        bound = bounds.get((row["host"], row["device"], row["point"], row["time"]))
        since = "%+.1f" % ((row["time"] - packet.records[0]["time"]) / 1e3)
        cells = [tag("span", since, tag("span", " ± %.1f" % bound, class_="dim") if bound else None), row["host"], skb,
                 tag("code", clipped(row["device"], 40)), tag("code", clipped(row["point"], 40)),
                 *(tag("b", clipped(text, 60), class_="changed") if changed else clipped(text, 60)
                   for text, changed in values),
                 tag("span", " ".join(clipped(row[name], 80) for name in ("reason", "at") if row[name]),
                     class_="certain")]
        rows.append(cells)
    return tag("div", table(("µs", "host", "skb", "device", "point", *(clipped(name, 40) for name in names), ""), rows),
               class_="wide")


def _diagram(chosen: Sequence[Packet]) -> Markup:
    """Return places down, time across, and a line for each packet."""
    rows = {place: number for number, place in enumerate(_places(chosen)[:_ROWS])}
    longest = max(map(_took, chosen))
    top = max(1.0, _scale(longest)) * 1.05
    height = _TOP + _PITCH * len(rows) + 8
    parts: list[Markup] = []
    host = ""
    for place, number in rows.items():
        y = _TOP + _PITCH * number
        if place[0] != host:
            parts.append(tag("line", x1=0, x2=_LEFT + _WIDTH, y1=y - _PITCH // 2, y2=y - _PITCH // 2, class_="border"))
        parts.append(tag("text", tag("tspan", clipped(place[0], 12) if place[0] != host else "", class_="host"), x=0,
                         y=y + 4))
        parts.append(tag("text", tag("tspan", clipped(place[1], 12), class_="device"), " ",
                         tag("tspan", clipped(place[2], 12), class_="point"), x=84, y=y + 4, class_="mono"))
        parts.append(tag("line", x1=_LEFT, x2=_LEFT + _WIDTH, y1=y, y2=y, class_="grid"))
        host = place[0]
    for tick in _TICKS:
        x = _LEFT + _WIDTH * _scale(tick) / top
        if x <= _LEFT + _WIDTH:
            parts.append(tag("line", x1=round(x), x2=round(x), y1=_TOP - 10, y2=height - 8, class_="grid"))
            parts.append(tag("text", micros(tick), x=round(x), y=12, class_="tick"))
    parts += [_line(packet, rows, top) for packet in reversed(chosen) if packet.places]
    return tag("div", tag("svg", tag("title", "Chosen packets: places down, time across"), *parts,
                          width=_LEFT + _WIDTH + 10, height=height,
                          viewBox="0 0 %d %d" % (_LEFT + _WIDTH + 10, height), role="img", class_="space-time"),
               class_="wide")


def _scale(us: float) -> float:
    return math.log10(1 + max(0.0, us))


def _places(chosen: Sequence[Packet]) -> list[Place]:
    """Return the places of all packets, each behind the one from which most come."""
    out: list[Place] = []
    for packet in chosen:
        at = -1
        for place in map(_place, packet.places):
            if place in out:
                at = out.index(place)
            else:
                at += 1
                out.insert(at, place)
    return out


def _place(place: Mapping[str, Any]) -> Place:
    return place["host"], place["device"], place["point"]


def _line(packet: Packet, rows: Mapping[Place, int], top: float) -> Markup:
    known = [place for place in packet.places if _place(place) in rows] or packet.places[:1]
    first = min(place["time"] for place in packet.places)
    points = [(round(_LEFT + _WIDTH * _scale((place["time"] - first) / 1e3) / top, 1),
               _TOP + _PITCH * rows.get(_place(place), 0)) for place in known]
    x, y = points[-1]
    gone = packet.kind == "lost"
    return tag("a", tag("title", "%s: %s, %s" % (packet.kind, packet.flow, micros(_took(packet)))),
               tag("polyline", points=" ".join("%g,%d" % point for point in points)),
               *(tag("circle", cx=x, cy=y, r=2.5) for x, y in points),
               tag("text", "✕", x=x + 5, y=y + 4) if gone else None,
               href="#packet-" + packet.journey, class_="line " + _class(packet))
