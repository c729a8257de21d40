# SPDX-License-Identifier: Apache-2.0
"""The filter expressions of the command line: --filter and --inner-filter, compiled here or brought along."""
import re
from typing import NamedTuple, Optional

from ..errors import InputError, option
from . import classic, libpcap

OPTIONS = ("filter", "inner-filter")
_MOST_CHARACTERS = 2000
_TEXT = re.compile(r"[\x20-\x7e]{1,%d}\Z" % _MOST_CHARACTERS)


class Expression(NamedTuple):
    """What was asked for, with single spaces, and the program that it comes to."""

    text: str
    program: classic.Program


def make(name: str, given: Optional[str], code: Optional[str]) -> Optional[Expression]:
    """Return the expression of option `name`; code: its program, None to have it compiled here. Raises InputError."""
    if given is None:
        if code is not None:
            raise InputError("%s needs %s, of which it is the program" % (option(name + "-code"), option(name)))
        return None
    text = " ".join(str(given).split())
    if not _TEXT.match(text):
        raise InputError("%s is %.100r: it must be an expression as tcpdump takes it, in ASCII, of 1 to %d characters"
                         % (option(name), given, _MOST_CHARACTERS))
    return Expression(text, _compile(name, text) if code is None else _parse(name + "-code", code))


def is_program(word: str) -> bool:
    """Whether a word of the command line is the program of an expression that stands beside it."""
    return any(word.startswith("--%s-code=" % name) for name in OPTIONS)


def _compile(name: str, text: str) -> classic.Program:
    try:
        return libpcap.compile_expression(text)
    except libpcap.Missing:
        raise InputError("%s is %r, and it takes libpcap to read it, which this machine has not: install libpcap0.8 "
                         "(Debian) or libpcap (RHEL family, openEuler), or give %s, too"
                         % (option(name), text, option(name + "-code"))) from None
    except classic.ProgramError as error:
        raise InputError("%s is %r: %s" % (option(name), text, error)) from None


def _parse(name: str, code: str) -> classic.Program:
    try:
        return classic.parse(code)
    except classic.ProgramError as error:
        raise InputError("%s is %.100r: %s" % (option(name), code, error)) from None
