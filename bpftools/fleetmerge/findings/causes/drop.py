# SPDX-License-Identifier: Apache-2.0
"""Drops at one place, and what may have caused them."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...bundle.evidence import Reading
from ...bundle.looks import Looks


@dataclass(frozen=True)
class Packet:
    """What packets that were dropped at one place have in common; None: not known, or not such a packet."""

    count: int
    version: int = 0                  # of IP; 0: none
    protocol: str | None = None       # tcp, udp, icmp, ip-protocol-47, arp
    src: str | None = None
    dst: str | None = None
    src_port: int | None = None
    dst_port: int | None = None
    tcp_flags: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    ttl: int | None = None            # None also if they differ
    tos: int | None = None
    mark: int | None = None
    vlan: int | None = None
    fragment: bool = False            # a later one
    first: bool = False               # the first one of several
    mac_src: str | None = None
    mac_dst: str | None = None
    received: str = ""                # device that it came in by; empty: made here
    shortest: int = 0                 # bytes, as the kernel had them there; 0: not known, as of what is segmented
    longest: int = 0


class TooLarge(Exception):
    """A host's rules are too many to be followed."""


@dataclass
class Budget:
    """Comparisons that may be spent on the rules of one host."""

    left: int = 5_000_000

    def spend(self, steps: int) -> None:
        """Raise TooLarge if that is more than is left."""
        self.left -= steps
        if self.left < 0:
            raise TooLarge


@dataclass
class Drop:
    """Packets that were dropped at one place, by one function, for one reason."""

    host: str
    netns: str
    device: str
    function: str
    reason: str | None
    frames: list[str]                 # functions of the call stack, innermost first
    packets: list[Packet]
    budget: Budget = field(default_factory=Budget)
    limit: int = 0                    # of the queue that was full, in its unit; 0: not known
    full: bool = False                # whether each of these packets was recorded with a queue that was full
    inode: int = 0                    # of the network namespace
    moments: Sequence[tuple[int, int]] = ()   # when packets were dropped there, from and to: CLOCK_MONOTONIC, ns
    looks: Looks | None = None        # at those who take packets from queues; None: nobody looked


@dataclass
class Candidate:
    """A rule or setting that may have dropped packets."""

    kind: str                         # nftables, iptables, conntrack, tc, route, rp_filter, reader, ...
    what: str                         # names it, in words that go on after "by": rule "drop" (handle 7) of chain ...
    where: dict[str, Any] = field(default_factory=dict)   # the same for programs
    rose: int | None = None           # its counter's gain from the reading before to that after; None: it has none
    counter: str = "its counter"
    evaluated: bool = False           # whether the packets' own headers say that it is this
    traced: bool = False              # whether the host's own switch was asked what it makes of such packets
    by: str = ""                      # what was read that says so, if that is how it was found
    read: bool = False                # whether that leaves no other explanation
    usual: str = ""                   # it explains nothing, and is said only where nothing does: in which words
    alone: bool = False               # whether only rules that were read can have dropped there
    doubt: str = ""                   # what else may have dropped there, unseen
    vouched: int = 0                  # drops for which something else that was read takes that doubt away
    unchanged: bool = True            # whether it was the same before the window and after it


@dataclass
class Cause:
    """What dropped packets, as far as the host's own configuration tells."""

    candidates: list[Candidate]
    certainty: str                    # certain, likely, or unknown: nothing that was read explains the drops
    why: str                          # what keeps it from being certain; empty
    count: int                        # drops that it explains

    def entry(self) -> dict[str, Any]:
        """Return it as summary.json has it."""
        return {"certainty": self.certainty, "why": self.why, "drops": self.count, "candidates": [
            {"kind": one.kind, "what": one.what, "found": found(one), "rose": one.rose, **one.where}
            for one in self.candidates]}


def found(candidate: Candidate) -> list[str]:
    """Return how it was found: counted, evaluated, traced, read."""
    return [name for name, is_so in (("counted", bool(candidate.rose)), ("evaluated", candidate.evaluated),
                                     ("traced", candidate.traced), ("read", candidate.read)) if is_so]


Finder = Callable[[Drop, Reading, Reading], Sequence[Candidate] | None]


def conclude(drops: int, candidates: Sequence[Candidate], most: int = 0) -> Cause | None:
    """Return the cause, if there are candidates: certain if there is only one, and it explains all these drops. most:
    of how many these are an excerpt."""
    left = [one for one in candidates if one.rose is None or one.rose > 0]
    if not left:
        return None
    if all(one.usual for one in left):
        return Cause(left, "unknown", left[0].usual, drops)
    left = [one for one in left if one.read] or [one for one in left if not one.usual]
    if len(left) > 1:
        return Cause(left, "likely", "%d may have done it, and nothing tells them apart" % len(left), drops)
    (one,) = left
    why = ""
    if not one.unchanged:
        why = "it was not the same before the window and after it"
    elif one.rose is not None and one.rose < drops:
        why = "%s rose by %d, and %d packets were dropped" % (one.counter, one.rose, drops)
    elif one.rose is not None and one.rose < most:
        why = "%s rose by %d, and up to %d packets were dropped in the whole run" % (one.counter, one.rose, most)
    elif one.traced and one.doubt and drops > one.vouched:
        why = one.doubt
    elif one.alone:    # nothing else of what was asked there can have done it
        one.evaluated = True
    elif not found(one):
        why = one.doubt or "nothing counts it, and not all of it can be evaluated"
    return Cause(left, "likely" if why else "certain", why, drops)


def sentence(cause: Cause) -> str:
    """Return what dropped these packets, as a sentence for a ticket."""
    words = " or ".join(_words(one, cause.count) for one in cause.candidates)
    if cause.certainty == "certain":
        return "By %s." % words
    if cause.certainty == "unknown":
        return "%s: %s." % (cause.why[0].upper() + cause.why[1:], words)
    return "Probably by %s. That is not certain: %s." % (words, cause.why)


def _words(one: Candidate, count: int) -> str:
    how = [one.by] if one.by else []
    if one.rose is not None:
        how.append("%s rose by %d, with %d of these" % (one.counter, one.rose, count))
    elif one.evaluated and not one.by:
        how.append("the packets' own headers lead to it")
    return one.what + (": " + "; ".join(how) if how else "")
