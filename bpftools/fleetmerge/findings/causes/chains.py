# SPDX-License-Identifier: Apache-2.0
"""What rules in chains do with a packet, be they nftables' or iptables': which of them may have dropped it.

Whether a rule fits a packet may not be known: yes, no, or None. Then all goes on both ways.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .drop import TooLarge
from .matching import Met

DROP, ACCEPT, RETURN, JUMP, GOTO, ELSEWHERE = "drop", "accept", "return", "jump", "goto", "elsewhere"
_DEPTH = 64


@dataclass(frozen=True)
class Verdict:
    """What becomes of a packet: drop, accept, return, jump, goto, or what nobody can follow (a queue to a program)."""

    kind: str
    target: str = ""


@dataclass
class Rule:
    """One rule; decide returns the possible verdicts, each with whether it is sure (else it may be another one)."""

    name: str                         # by which it is the same before and after
    text: str
    decide: Callable[[Met], list[tuple[Verdict, bool]]]
    counter: int | None = None        # packets; None: it has none


@dataclass
class Chain:
    """Rules; policy is drop or accept of a base chain, empty of another."""

    name: str
    rules: list[Rule] = field(default_factory=list)
    policy: str = ""
    counter: int | None = None        # of the policy


@dataclass(frozen=True)
class Hit:
    """A rule, or the policy of a chain (rule None), that drops a packet; sure: if nothing else does before it."""

    base: int                         # number of the base chain
    chain: str
    rule: str | None
    sure: bool


def walk(bases: Sequence[tuple[Chain, Mapping[str, Chain]]], met: Met) -> list[Hit]:
    """Return what may drop a packet that goes through these base chains in turn; raises TooLarge.

    bases: each with the chains that its rules may jump to, by name.
    """
    hits: list[Hit] = []
    sure = True
    for number, (base, chains) in enumerate(bases):
        ends = _Way(chains, met, number, hits).through(base, sure, 0)
        if "fall" in ends and base.policy == DROP:
            hits.append(Hit(number, base.name, None, sure and ends == {"fall"}))
            ends.discard("fall")
        if not ends - {DROP}:
            break
        sure = sure and DROP not in ends
    return hits


class _Way:
    """One packet's way through one base chain."""

    def __init__(self, chains: Mapping[str, Chain], met: Met, number: int, hits: list[Hit]) -> None:
        self._chains, self._met, self._number, self._hits = chains, met, number, hits

    def through(self, chain: Chain, sure: bool, depth: int) -> set[str]:
        """Return how the packet may come out of a chain: fall (at its end), accept, drop, elsewhere."""
        if depth > _DEPTH:
            raise TooLarge
        ends: set[str] = set()
        for rule in chain.rules:
            self._met.budget.spend(1)
            stays = True
            for verdict, certain in rule.decide(self._met):
                so_far = sure and certain and not ends
                out = self._follow(chain, rule, verdict, so_far, depth)
                ends |= out - {"on"}
                if certain and "on" not in out:
                    stays = False
            if not stays:
                return ends
        return ends | {"fall"}

    def _follow(self, chain: Chain, rule: Rule, verdict: Verdict, sure: bool, depth: int) -> set[str]:
        """Return how the packet may come out of a rule's verdict; on: with the next rule."""
        if verdict.kind == DROP:
            self._hits.append(Hit(self._number, chain.name, rule.name, sure))
            return {DROP}
        if verdict.kind == RETURN:
            return {"fall"}
        if verdict.kind in (JUMP, GOTO):
            target = self._chains.get(verdict.target)
            out = self.through(target, sure, depth + 1) if target else {"fall"}
            return {"on" if end == "fall" and verdict.kind == JUMP else end for end in out}
        return {verdict.kind}
