# SPDX-License-Identifier: Apache-2.0
"""A page, read by a parser of its own: elements with their attributes and the text in them."""
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

_VOID = ("meta", "input", "br")


class Element(NamedTuple):
    """An element and what is in it."""

    name: str
    attributes: dict[str, str | None]
    content: list["Element | str"]

    def text(self) -> str:
        """Return all text in it."""
        return "".join(part if isinstance(part, str) else part.text() for part in self.content)

    def all(self, name: str = "", **attributes: str) -> Iterator["Element"]:
        """Yield the elements in it, of a name and with these attributes if any are given."""
        for part in self.content:
            if not isinstance(part, str):
                if name in ("", part.name) and all(part.attributes.get(key.rstrip("_")) == value
                                                   for key, value in attributes.items()):
                    yield part
                yield from part.all(name, **attributes)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {}, [])]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), [])
        self.open[-1].content.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        element = self.open.pop()
        assert element.name == tag, "<%s> ends in </%s>" % (element.name, tag)

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def read(text: str) -> Element:
    """Return a page; every element in it must be closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert [element.name for element in reader.open] == [""]
    return reader.open[0]
