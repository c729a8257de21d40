# SPDX-License-Identifier: Apache-2.0
"""The verdict, each sentence with its basis one click away, and how far to trust it."""
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...words import case, settings
from ..verdict import missed
from .markup import Markup, clipped, grouped, joined, micros, more, table, tag

_FIRST = 12       # sentences that are shown at once
_HOSTS = 200      # that are listed
_FEW = 20         # that are listed without a frame of their own
_DOUBTS = 500
_STACK = 64       # frames
Summary = Mapping[str, Any]


def head(summary: Summary) -> Markup:
    """Return what run this is, and its numbers."""
    window, hosts = summary["window"], summary["hosts"].values()
    seconds = "%.3f s" % window["seconds"] if window["seconds"] is not None else "?"
    complete = sum(host["status"] == "complete" for host in hosts)
    facts = [("case", about) for about in case(summary)]
    facts += [("window", "%s to %s (%s)" % (window["start"], window["end"], seconds)),
              ("filter", settings(summary["filter"]) or "none"),
              ("hosts", "%d of %d complete" % (complete, len(hosts))), ("tracers", ", ".join(summary["tracers"]))]
    facts += [("command", "%s (status %s)" % (summary["reproduce"].get("command"), summary["reproduce"].get("status")))
              ] if summary.get("reproduce") else []
    return tag("header", tag("p", "skbfleet", class_="mark"), tag("h1", summary["run_id"]),
               tag("dl", *(tag("div", tag("dt", name), tag("dd", text)) for name, text in facts), class_="facts"),
               tag("ul", *(_number(*one) for one in _numbers(summary)), class_="numbers"))


def _numbers(summary: Summary) -> list[tuple[str, int, str]]:
    """Return (what, how many, class) for the page's first line."""
    lost, likely, nobody = missed(summary)
    return [("records", summary["records"], ""), ("packets", summary["packets"], ""),
            ("flows", summary["flows_total"], ""), ("lost", lost, "certain"),
            ("probably lost", likely, "likely"), ("not known", nobody, "unknown"),
            ("sent again", summary["retransmitted"], "again")]


def _number(what: str, count: int, kind: str) -> Markup:
    return tag("li", tag("b", grouped(count)), " ", tag("span", what), class_=kind if count and kind else None)


def verdict(summary: Summary, shown: Collection[str], most: int = 200) -> Markup:
    """Return the verdict's sentences, with the basis of the first `most`. shown: the packets that are on the page.
    """
    pairs = zip(summary["verdict"], summary["basis"], strict=True)
    said = [tag("li", _sentence(number, text, basis, shown, number < most))
            for number, (text, basis) in enumerate(pairs)]
    rest = said[_FIRST:] if len(said) > 2 * _FIRST else []
    first = said[:len(said) - len(rest)]
    more_said = more("%d more sentences" % len(rest), tag("ol", *rest, class_="verdict"), class_="rest")
    return tag("section", tag("h2", "Verdict"), tag("ol", *first, class_="verdict"), more_said if rest else None,
               id="verdict")


def _sentence(number: int, text: str, basis: Mapping[str, Any], shown: Collection[str], full: bool) -> Markup:
    kind = basis["certainty"] or "count"
    lead, stop, rest = text.partition(". ") if basis["certainty"] or not number else ("", "", text)
    words = [tag("b", lead + stop.rstrip()) if lead else None, " " if lead and rest else None, rest]
    if not full:
        return tag("p", *words, class_=kind)
    return more(joined([*words, " ", tag("span", basis["certainty"], class_="chip")
                        if basis["certainty"] else None]), _basis(basis, shown), class_=kind,
                id="sentence-%d" % number)


def _basis(basis: Mapping[str, Any], shown: Collection[str]) -> Markup:
    """Return what a sentence rests on."""
    parts = [_list("Grounds", basis["grounds"]), _list("What is missing to be certain", basis["missing_grounds"])]
    if basis["stack"]:
        frames = [clipped(frame, 200) for frame in basis["stack"][:_STACK]]
        parts.append(tag("div", tag("h4", "Call stack"), tag("pre", *(
            tag("span", frame, class_="at" if frame == basis["at"] else None) for frame in frames))))
    if basis["journeys"]:
        parts.append(tag("div", tag("h4", "Packets, for example"), tag("p", *(joined([
            tag("a", tag("code", journey), href="#packet-" + journey) if journey in shown else tag("code", journey),
            " "]) for journey in basis["journeys"]))))
    return tag("div", *parts, class_="basis")


def _list(title: str, texts: Sequence[str]) -> Markup | None:
    return tag("div", tag("h4", title), tag("ul", *(tag("li", text) for text in texts))) if texts else None


def trust(summary: Summary) -> Markup:
    """Return what limits the trust in the verdict, and each host's points, clock and losses of records."""
    doubts = summary["doubts"][:_DOUBTS] or ["No record was lost, and no host is missing."]
    left = len(summary["doubts"]) - len(doubts)
    worst_first = sorted(summary["hosts"].items(), key=lambda item: (
        item[1]["status"] == "complete", not (item[1]["lost"] or item[1]["shed"])))
    rows = [_host(name, host) for name, host in worst_first[:_HOSTS]]
    hidden = len(summary["hosts"]) - len(rows)
    return tag("section", tag("h2", "How far to trust it"), tag("ul", *(tag("li", doubt) for doubt in doubts),
                                                               class_="doubts"),
               tag("p", "%d more doubts are in summary.json." % left) if left > 0 else None,
               tag("div", table(("host", "status", "records", "lost", "shed", "clock", "±", "how it is known", "kernel",
                                 "points"), rows), class_="wide tall" if len(rows) > _FEW else "wide",
                   tabindex=0 if len(rows) > _FEW else None, role="region", aria_label="hosts"),
               tag("p", "%d more hosts are in summary.json." % hidden) if hidden else None, id="trust")


def _host(name: str, host: Mapping[str, Any]) -> list[Any]:
    clock = host["clock"] or {}
    status = tag("span", host["status"], class_="status " + host["status"], title=host["why"] or None)
    return [tag("b", name), joined([status, tag("div", host["why"], class_="why") if host["why"] else None]),
            host["records"], host["lost"], host["shed"],
            tag("span", "%+.1f µs" % (round(clock["offset_us"], 1) + 0.0)) if clock else "–",
            (micros(clock["bound_us"]) if clock["bound_us"] is not None else "not known") if clock else "–",
            clock.get("method", "–"), host["kernel"] or "–", _points(host["points"])]


def _points(points: Mapping[str, Any]) -> Markup:
    attached, skipped = points["attached"], points["skipped"]
    words = "%d attached, %d skipped" % (len(attached), len(skipped))
    return more(words, tag("p", *(joined([tag("code", clipped(point, 60)), " "]) for point in attached[:200])),
                tag("ul", *(tag("li", tag("code", clipped(point, 60)), ": ", clipped(why, 300))
                            for point, why in list(skipped.items())[:200])) if skipped else None)
