# SPDX-License-Identifier: Apache-2.0
"""HTML and SVG, of which every text is escaped: what is not markup is text, wherever it comes from."""
import html
import json
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from ...words import printable

_TEXT = 5000    # characters of one text that are shown
_VOID = ("meta", "input", "br")


class Markup(str):
    """HTML that is what it is meant to be."""


def escaped(text: Any) -> Markup:
    """Return a text as HTML, in an attribute, too."""
    words = printable(text)
    return Markup(html.escape(words if len(words) <= _TEXT else words[:_TEXT] + "…"))


def tag(name: str, /, *content: Any, **attributes: Any) -> Markup:
    """Return an element: tag("td", "<a>", class_="n") is <td class="n">&lt;a&gt;</td>. None and False are left out of
    content and attributes; an attribute that is True has no value."""
    words = "".join(" " + key.rstrip("_").replace("_", "-") + ("" if value is True else '="%s"' % escaped(value))
                    for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Markup("<%s%s>" % (name, words))
    return Markup("<%s%s>%s</%s>" % (name, words, joined(content), name))


def joined(parts: Iterable[Any]) -> Markup:
    """Return texts and elements, one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else escaped(part) for part in parts
                          if part is not None and part is not False))


def data(name: str, content: Any) -> Markup:
    """Return data for the page's script, which no text in it can end."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    for char in "<>&":
        text = text.replace(char, "\\u%04x" % ord(char))
    return Markup('<script type="application/json" id="%s">%s</script>' % (escaped(name), text))


def more(summary: Any, *content: Any, **attributes: Any) -> Markup:
    """Return what is one click away."""
    return tag("details", tag("summary", summary), *content, **attributes)


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Markup:
    """Return a table; numbers stand right, and so does what stands over them."""
    listed = [list(row) for row in rows]
    numbers = [isinstance(cell, int) for cell in listed[0]] if listed else []
    heads = (tag("th", cell, scope="col", class_="n" if number else None)
             for cell, number in zip_longest(head, numbers))
    return tag("table", tag("thead", tag("tr", *heads)),
               tag("tbody", *(tag("tr", *(_cell(cell) for cell in row)) for row in listed)), **attributes)


def _cell(cell: Any) -> Markup:
    return tag("td", grouped(cell), class_="n") if isinstance(cell, int) else tag("td", cell)


def grouped(number: int) -> Markup:
    """Return a number with thin spaces between its thousands."""
    return Markup(format(number, ",").replace(",", "\u2009"))


def micros(value: float | None) -> str:
    """Return a time in us with the unit that suits it."""
    if value is None:
        return "–"
    size = abs(value)
    if size < 1000:
        return "%.3g µs" % value if size < 100 else "%.0f µs" % value
    return "%.3g ms" % (value / 1e3) if size < 1e6 else "%.3g s" % (value / 1e6)


def clipped(text: Any, most: int) -> str:
    """Return a text of at most so many characters."""
    words = printable(text)
    return words if len(words) <= most else words[:most - 1] + "…"
