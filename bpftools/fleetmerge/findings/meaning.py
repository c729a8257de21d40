# SPDX-License-Identifier: Apache-2.0
"""What a drop usually means and what to look at next, by function and reason: the dictionary in drops.toml."""
import functools
import pathlib
import tomllib
from dataclasses import dataclass

PIECES = "skb_release_data"   # frees an skb's frag_list, for whatever reason the skb itself is freed
DICTIONARY = pathlib.Path(__file__).with_name("drops.toml")


@dataclass(frozen=True)
class Meaning:
    """What a support engineer should know about a drop."""

    means: str                # what happened
    causes: str               # what mostly leads to it
    look_at: str              # commands, settings and counters that tell more
    source: str               # file of the kernel that this was read in
    harmless: bool = False    # nobody misses such a packet
    harmless_to_many: bool = False    # nor a host that gets it as one of many, by a device of its own


@dataclass(frozen=True)
class Dictionary:
    """All rows, by what they are about."""

    reasons: dict[str, Meaning]
    functions: dict[str, Meaning]
    both: dict[tuple[str, str], Meaning]    # (function, reason)
    behind: dict[str, Meaning]              # point behind which nothing was seen


@functools.cache
def dictionary() -> Dictionary:
    """Return the dictionary; raises ValueError or TypeError if the file is not as it should be."""
    tables = tomllib.loads(DICTIONARY.read_text(encoding="utf-8"))
    reasons, functions, behind = ({name: Meaning(**row) for name, row in tables[table].items()}
                                  for table in ("reason", "function", "behind"))
    both = {(function, reason): Meaning(**row) for function, rows in tables["both"].items()
            for reason, row in rows.items()}
    return Dictionary(reasons, functions, both, behind)


def meaning(function: str | None, reason: str | None) -> Meaning | None:
    """Return what a drop means, if it is known: by function and reason, else by reason, else by function."""
    rows, plain = dictionary(), (function or "").split(".")[0]
    known = rows.functions[plain] if plain == PIECES else rows.both.get((plain, reason or ""))
    if known is None and reason and reason != "NOT_SPECIFIED":
        known = rows.reasons.get(reason)
    return known or rows.functions.get(plain) or rows.reasons.get(reason or "")


def meaning_behind(point: str) -> Meaning | None:
    """Return what it means that nothing was seen behind a point, if it is known."""
    return dictionary().behind.get(point)


def is_unknown(reason: str | None) -> bool:
    """Whether the dictionary has no row for a reason that a kernel gave."""
    return bool(reason) and reason not in dictionary().reasons
