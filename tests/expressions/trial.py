# SPDX-License-Identifier: Apache-2.0
"""Random expressions on random packets: where the tracers and libpcap differ, and what the tracers leave open."""
import pathlib
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from skbtrace.programs import classic, libpcap

from . import packets, words
from .machine import MATCH, NO_MATCH, UNDECIDED, UNPARSED, Machine

NAMES = {MATCH: "fits", NO_MATCH: "does not", UNPARSED: "not readable", UNDECIDED: "undecided"}


@dataclass
class Outcome:
    """What was tried and found."""

    refused: Counter = field(default_factory=Counter)  # why -> expressions
    verdicts: Counter = field(default_factory=Counter)  # name -> packets
    expressions: int = 0
    alike: int = 0                                     # expressions that no packet fits, or every one
    differing: list[str] = field(default_factory=list)


def choose(rng: random.Random, count: int, refused: Counter) -> dict[str, classic.Program]:
    """Return so many expressions that can be had, with their programs."""
    found: dict[str, classic.Program] = {}
    while len(found) < count:
        text = words.make(rng)
        try:
            found[text] = libpcap.compile_expression(text)
        except classic.ProgramError as error:
            refused[str(error)] += 1
    return found


class _Open:
    """Where a verdict may stay open, by packet."""

    def __init__(self, given: list[packets.Packet], inner: bool) -> None:
        frames = [one.carried if inner else one for one in given]
        self.exists = np.array([one is not None for one in frames])
        self.later = np.array([bool(one and (one.later or one.carried and one.carried.later)) for one in frames])
        self.no_mac = np.array([bool(one and not one.has_mac) for one in frames])
        self.paged = np.array([one.linear < len(one.memory) for one in given])


def _differences(ours: np.ndarray, theirs: np.ndarray, may_be: _Open) -> np.ndarray:
    """Return which packets were judged wrongly, or left open without need."""
    theirs = np.where(may_be.exists, theirs, NO_MATCH)
    decided = (ours == MATCH) | (ours == NO_MATCH)
    fine = decided & (ours == theirs)
    fine |= (ours == UNDECIDED) & may_be.later & (theirs == NO_MATCH)
    fine |= (ours == UNPARSED) & (may_be.no_mac | may_be.paged)
    return ~fine


def run(seed: int, expressions: int, count: int) -> Outcome:
    """Try so many random expressions on so many random packets, and on what the packets carry."""
    rng = random.Random(seed)
    outcome = Outcome(expressions=expressions)
    given = [packets.make(rng) for _ in range(count)]
    chosen = choose(rng, expressions, outcome.refused)
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(list(chosen.values()), given, pathlib.Path(directory))
        for number, text in enumerate(chosen):
            for inner in (False, True):
                ours, theirs = machine.judge(number, inner), machine.ask(number, inner)
                for value, name in NAMES.items():
                    outcome.verdicts[("carried: " if inner else "") + name] += int((ours == value).sum())
                for at in np.flatnonzero(_differences(ours, theirs, _Open(given, inner))):
                    outcome.differing.append("seed %d: %s%s: %s here, %d by libpcap: %s" % (
                        seed, "carried: " if inner else "", text, NAMES[int(ours[at])], theirs[at],
                        given[at].frame.hex()))
                outcome.alike += not inner and ours.min() == ours.max()
    return outcome


def verdict(expression: str, frame: bytes, linear: int) -> str:
    """Return what an expression comes to for an IPv4 frame of which only so many bytes are in the linear part."""
    packet = packets.Packet(frame, frame, linear, 0, 0x0800, True, False, False, None)
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine([libpcap.compile_expression(expression)], [packet], pathlib.Path(directory))
        return NAMES[int(machine.judge(0, False)[0])]
