# SPDX-License-Identifier: Apache-2.0
"""Sentences that say the same of many hosts, told once."""
import re
from collections.abc import Collection, Sequence

_FEW = 3        # sentences that are each told
_NAMED = 20     # hosts
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def folded(sentences: Sequence[str], hosts: Collection[str]) -> list[str]:
    """Return the sentences in their order; of those that differ in the host of which they speak, and in numbers, the
    first one, and which hosts the others are about."""
    alike: dict[str, list[str]] = {}
    of = [_of(sentence, hosts) for sentence in sentences]
    for host, pattern in of:
        if host:
            alike.setdefault(pattern, []).append(host)
    out: list[str] = []
    told: set[str] = set()
    for sentence, (host, pattern) in zip(sentences, of, strict=True):
        others = alike[pattern][1:] if host else []
        if len(others) < _FEW:
            out.append(sentence)
        elif pattern not in told:
            told.add(pattern)
            out.append("%s The same, with other numbers, of %d more hosts: %s." % (
                sentence, len(others), _listed(others)))
    return out


def _of(sentence: str, hosts: Collection[str]) -> tuple[str, str]:
    """Return (the one host of which a sentence speaks, empty if there is not one; what is the same in others)."""
    words = re.split(r"([^\w.-]+|[.:;,](?=\s|$))", sentence)
    named = {word for word in words if word in hosts}
    if len(named) != 1:
        return "", sentence
    host = named.pop()
    return host, _NUMBER.sub("#", "".join("\0" if word == host else word for word in words))


def _listed(hosts: Sequence[str]) -> str:
    rest = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (" and %d others" % rest if rest > 0 else "")
