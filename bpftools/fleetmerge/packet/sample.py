# SPDX-License-Identifier: Apache-2.0
"""Sampling: which packets every place took, by what skbtrace/programs/bpf/sample.h, which says why, takes them by."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle.manifest import Bundle
from .identity import IS_TCP, Columns, mix

BLOCK = 16    # bits of a sequence number: TCP is taken in blocks
_TCP_BLOCK, _TCP_ACK, _IP_ID, _OTHER = range(1, 5)
_RST = 4


@dataclass(frozen=True)
class Sample:
    """One packet in so many, the same ones wherever the salt is the same."""

    one_in: int
    drops: bool    # of drops, too; else every drop was taken
    salt: int
    agreed: bool = True    # all tracers took the same packets: what was not taken can be told, and estimated

    def takes(self, draw: np.ndarray) -> np.ndarray:
        """Return which packets are taken. draw: of draws()."""
        return (_scramble(draw ^ np.uint64(self.salt)) >> np.uint64(32)) < (1 << 32) // self.one_in


def sample_of(bundles: Sequence[Bundle]) -> Sample | None:
    """Return what the tracers took; None if that is every packet."""
    found = [_one(bundle.manifest["sample"]) for bundle in bundles]
    sampled = [one for one in found if one.one_in > 1]
    return replace(sampled[0], agreed=len(set(found)) == 1) if sampled else None


def _one(given: Mapping[str, int]) -> Sample:
    return Sample(int(given.get("one_in") or 1), bool(given.get("drops")), int(given.get("salt") or 0))


def draws(rows: Columns, row: np.ndarray, begin: np.ndarray, length: np.ndarray,
          ident: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the number by which each unit is taken or not: alike for those that are taken together; whether it is
    the kernel's own, and tells whether it was: of a payload, only its hash was recorded).

    row: into rows; begin: TCP's sequence number; length: with SYN and FIN; ident: IP id, 0: none.
    """
    tcp = rows["kind"][row] == IS_TCP
    holds = tcp & ((length > 0) | (rows["flags"][row] & _RST > 0))
    seq = (begin.astype("i8") & 0xFFFFFFFF).astype("u8")
    ack = (rows["hash"][row] - np.uint64(1)) & np.uint64(0xFFFFFFFF)
    number = np.where(holds, seq >> np.uint64(BLOCK), (seq << np.uint64(32)) ^ ack)
    payload = mix(rows["hash"][row], seq) >> np.uint64(8)
    number = np.where(tcp, number, np.where(ident > 0, ident.astype("u8"), payload))
    kind = np.where(holds, _TCP_BLOCK, np.where(tcp, _TCP_ACK, np.where(ident > 0, _IP_ID, _OTHER))).astype("u8")
    return _scramble(number + (kind << np.uint64(56))), tcp | (ident > 0)


def _scramble(number: np.ndarray) -> np.ndarray:
    """Return the finalizer of splitmix64."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))
