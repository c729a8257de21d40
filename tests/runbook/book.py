# SPDX-License-Identifier: Apache-2.0
"""RUNBOOK.md as data: its situations, the commands of each, and what it says comes out; and blocks of any such text."""
import pathlib
import re
from dataclasses import dataclass

from support.lab import ROOT

BOOK = ROOT / "RUNBOOK.md"


@dataclass
class Situation:
    """A section of the runbook."""

    title: str
    commands: list[str]      # blocks of the language sh, to be pasted
    shown: list[str]         # blocks without a language: what comes out, […] stands for anything


def situations(book: pathlib.Path = BOOK) -> list[Situation]:
    """Return the numbered situations, in their order."""
    sections = re.split(r"^## \d+\. (.+)$", book.read_text(), flags=re.M)[1:]
    return [Situation(title, blocks(text, "sh"), blocks(text, ""))
            for title, text in zip(sections[::2], sections[1::2], strict=True)]


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of a language in their order."""
    return [block for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S) if kind == language]


def missing(shown: str, said: str) -> list[str]:
    """Return what a block shows and a command did not say: numbers, times and names of runs may differ."""
    said = " ".join(said.split())
    parts = [" ".join(part.split()) for part in re.split(r"\[…\]|\n(?=- |exit status )", shown)]
    return [part for part in parts if part and not re.search(_pattern(part), said)]


# runs and moments; what stays as it is: addresses, names, exit statuses; numbers
_WORDS = re.compile(r"(\d{8}T\d{6}Z|\d{4}-\d\d-\d\dT[\d:.]+Z)|(\d+(?:\.\d+){3}|exit status \d+|[a-z][\w:-]*|"
                    r"[0-9a-f]{2}(?::[0-9a-f]{2}){5})|(\d+(?:\.\d+)?)", re.I)


def _pattern(part: str) -> str:
    """Return a pattern for what a block shows."""
    out, at = "", 0
    for found in _WORDS.finditer(part):
        moment, kept, _ = found.groups()
        out += re.escape(part[at:found.start()]) + (r"[\dTZ:.-]+" if moment else re.escape(kept) if kept
                                                    else r"\d+(?:\.\d+)?")
        at = found.end()
    return out + re.escape(part[at:]) + r"(?!\d)"
