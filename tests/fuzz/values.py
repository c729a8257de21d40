# SPDX-License-Identifier: Apache-2.0
"""What the fuzzers are made of: values that JSON and YAML know, and documents of which some parts are exchanged."""
import copy
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64, 10 ** 30, 3.5, float("inf"),
                     float("nan")]), st.integers(), st.floats())
WORDS = st.one_of(st.sampled_from(["", "0", "-1", "0x10", "é", "\0", "\x1b[2J", "a\nb", "../../x", "/etc/passwd", "u8",
                                   "{{ 1 }}", "x" * 5000, "1e400", "null", "self", "localhost"]), st.text(max_size=20))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
ANYTHING = st.recursive(SCALARS, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)), max_leaves=8)


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value in a document."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(pairs):
        yield document, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


@st.composite
def changed(draw: Callable, document: dict[str, Any], most: int = 3) -> Any:
    """A document with up to `most` of its values exchanged, doubled or gone."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        if not document:
            break
        part = draw(st.sampled_from(sorted(document, key=str)))  # small parts as often as large ones
        places = [(document, part), *(_places(document[part]) if isinstance(document[part], (dict, list)) else ())]
        container, key = places[draw(st.integers(0, len(places) - 1))]
        alike = [one for one in places if one[1] == key and one[0] is not container]
        way = draw(st.sampled_from(["other", "number", "gone", "moved", "alike", "alike"]))
        if way == "gone":
            del container[key]
        elif way == "moved" or way == "alike" and alike:
            other, where = draw(st.sampled_from(alike if way == "alike" else places))
            container[key] = copy.deepcopy(other[where])
        else:
            container[key] = draw(NUMBERS if way == "number" else ANYTHING)
    return document


@st.composite
def damaged(draw: Callable, content: bytes, most: int = 4) -> bytes:
    """Bytes of which some are others, or are missing, or come twice."""
    out = bytearray(content)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(out)))
        end = min(len(out), at + draw(st.integers(0, 40)))
        out[at:end] = draw(st.one_of(st.binary(max_size=40), st.just(bytes(out[at:end]) * 2)))
    return bytes(out)
