# SPDX-License-Identifier: Apache-2.0
"""What is different between two runs, to look at: the sentences, and beside each what it was before and after."""
from collections.abc import Sequence

from ..products.page.frame import file, framed
from ..products.page.markup import Markup, grouped, micros, table, tag
from .compare import SHARE, Difference, differences, limits
from .read import Run

_BAR, _HEIGHT, _LABEL = 140, 11, 64     # px: the longest bar, the height of one, room for its number


def page(good: Run, bad: Run) -> str:
    """Return the page."""
    kinds = [(kind, found) for kind, found in differences(good, bad).items() if found]
    parts = [tag("section", tag("h2", kind), _table(found)) for kind, found in kinds] or [
        tag("section", tag("p", "Nothing is different that is more than chance."))]
    trust = limits(good, bad) or ["Both runs are complete, and saw with the same filter and points."]
    return framed("skbfleet %s and %s" % (good.name, bad.name), file("page.css"), "", _head(good, bad), tag(
        "main", *parts, tag("section", tag("h2", "How far to trust it"),
                            tag("ul", *(tag("li", sentence) for sentence in trust), class_="doubts"), id="trust")))


def _head(good: Run, bad: Run) -> Markup:
    facts = [(name, (run.name, ", ", grouped(run.packets), " packets",
                     "" if run.seconds is None else " in %.3f s" % run.seconds))
             for name, run in (("before", good), ("after", bad))]
    return tag("header", tag("p", "skbfleet", class_="mark"), tag("h1", "What is different"),
               tag("dl", *(tag("div", tag("dt", name), tag("dd", *words)) for name, words in facts), class_="facts"))


def _table(found: Sequence[Difference]) -> Markup:
    return tag("div", table(("before, after", "what"), ((_bars(one), one.words) for one in found)), class_="wide")


def _bars(one: Difference) -> Markup | None:
    """Return what it was before and after, as two bars."""
    most = max(one.before, one.after)
    if most <= 0:
        return None
    parts = []
    for number, (value, kind) in enumerate(((one.before, "before"), (one.after, "after"))):
        y, width = number * (_HEIGHT + 3), max(round(_BAR * max(value, 0) / most), 1)
        parts += [tag("rect", x=_LABEL, y=y, width=width, height=_HEIGHT, class_=kind),
                  tag("text", _number(value, one.unit), x=_LABEL - 6, y=y + _HEIGHT - 2, class_="most")]
    return tag("svg", tag("title", "%s, then %s" % (_number(one.before, one.unit), _number(one.after, one.unit))),
               *parts, width=_LABEL + _BAR, height=2 * _HEIGHT + 3, role="img", class_="bars")


def _number(value: float, unit: str) -> str:
    return "%.3g %%" % value if unit == SHARE else micros(value)
