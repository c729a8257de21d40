# SPDX-License-Identifier: Apache-2.0
"""Text that somebody else wrote: names of devices, processes and namespaces, which any user of the host may choose.

Such a name is bytes, in no encoding, and may hold whatever a terminal obeys. Here, and nowhere else, it becomes text.
"""
import os
import re
from typing import Any

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_DIGITS = re.compile("[0-9]{1,18}")


def shown(raw: bytes, invalid: str = "backslashreplace") -> str:
    r"""Return bytes as text fit for a terminal and for JSON: what is not printable, or not UTF-8, as \x1b.

    invalid: how Python's decoder treats what is not UTF-8; the default keeps different names different.
    """
    text = raw.decode("utf-8", invalid)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def from_system(text: str) -> str:
    """Return a word that Python took from the command line, the environment or a directory, fit to be shown."""
    return shown(os.fsencode(text))


def to_bytes(word: str) -> bytes:
    """Return the bytes of a name that is given as it is, or as shown() spells it."""
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 16)]), os.fsencode(word))


def is_number(text: Any) -> bool:
    """Whether this is a number as anybody writes it: int() and isdigit() also take the digits of other scripts."""
    return bool(_DIGITS.fullmatch(str(text)))
