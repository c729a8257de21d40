# SPDX-License-Identifier: Apache-2.0
"""Which mutants are tried: those that change what is decided, and of them a random sample that is spread evenly."""
import ast
import random
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

# An operator against its opposite, a comparison also against its neighbour: all others (`|` against `**`) only crash.
TELLING = re.compile(
    "core/(%s)$" % "|".join((
        "ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_FloorDiv|BitOr_BitAnd|BitAnd_BitOr"
        "|LShift_RShift|RShift_LShift)",
        "ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt"
        "|Is_IsNot|IsNot_Is)",
        "ReplaceUnaryOperator_Delete_(Not|Invert|USub)", "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue",
        "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak",
        "NumberReplacer", "ZeroIterationForLoop")))
_LARGE = 1000     # numbers from which on one more or less decides nothing: patience in ns, limits of tables

Position = tuple[int, int]      # line, column


class Mutant(NamedTuple):
    """One change at one place."""

    module: str
    start: Position
    end: Position
    operator: str
    occurrence: int
    job: str


def telling(mutants: Iterable[Mutant], code: Path) -> list[Mutant]:
    """Return those that change what is decided, in an order that is always the same. code: where the modules are."""
    return sorted(mutant for mutant in mutants if TELLING.match(mutant.operator) and not any(
        start <= mutant.start and mutant.end <= end for start, end in _idle(code / mutant.module)))


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return so many of them, at places of their own; each module has its share of the places."""
    places: dict[str, dict[Position, list[Mutant]]] = {}
    for mutant in mutants:
        places.setdefault(mutant.module, {}).setdefault(mutant.start, []).append(mutant)
    chance = random.Random(seed)
    total = sum(map(len, places.values()))
    count = min(count, total)
    out: list[Mutant] = []
    before = 0
    for each in places.values():
        share = (before + len(each)) * count // total - before * count // total
        before += len(each)
        out += [chance.choice(each[place]) for place in chance.sample(sorted(each), share)]
    return out


@cache
def _idle(module: Path) -> list[tuple[Position, Position]]:
    """Return the ranges of a module that decide nothing: annotations and large numbers."""
    out = []
    for node in ast.walk(ast.parse(module.read_text())):
        out += [_range(part) for name in ("annotation", "returns") if (part := getattr(node, name, None)) is not None]
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and node.value >= _LARGE:
            out.append(_range(node))
    return out


def _range(node: ast.expr) -> tuple[Position, Position]:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)
