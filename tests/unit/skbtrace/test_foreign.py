# SPDX-License-Identifier: Apache-2.0
"""Names that anybody may choose become text that harms no terminal and no reader."""
import json

import pytest

from skbtrace import foreign


@pytest.mark.parametrize(("raw", "text"), [
    (b"vnet0", "vnet0"), ("grün0".encode(), "grün0"), (b"\xff\xfe0", r"\xff\xfe0"), (b"\x1b[31mred", r"\x1b[31mred"),
    (b"a\nb\rc\t", r"a\nb\rc\t"), ("\u202eabc".encode(), r"\u202eabc"), (b"\xc2\x9b5m", r"\x9b5m"), (b"", ""),
    (b"two words", "two words")])
def test_what_is_not_printable_is_escaped(raw: bytes, text: str) -> None:
    assert foreign.shown(raw) == text
    assert foreign.shown(raw).isprintable()
    assert json.loads(json.dumps(foreign.shown(raw))) == text


def test_different_names_stay_different() -> None:
    assert foreign.shown(b"\xff0") != foreign.shown(b"\xfe0")


def test_a_word_of_the_command_line_comes_back_as_its_bytes() -> None:
    assert foreign.from_system(b"\xff\x07".decode("utf-8", "surrogateescape")) == r"\xff\x07"


def test_a_name_can_be_given_as_it_is_and_as_it_is_shown() -> None:
    for word in (b"\xff\x1bx".decode("utf-8", "surrogateescape"), r"\xff\x1bx"):
        assert foreign.to_bytes(word) == b"\xff\x1bx"


@pytest.mark.parametrize(("text", "number"), [("7", True), ("²", False), ("٣", False), ("7\n", False), ("", False),
                                              ("9" * 5000, False), ("-1", False), ("1_0", False)])
def test_numbers(text: str, number: bool) -> None:
    assert foreign.is_number(text) == number
