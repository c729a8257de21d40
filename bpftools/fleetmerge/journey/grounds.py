# SPDX-License-Identifier: Apache-2.0
"""What a statement rests on, and what is missing for it to be certain.

Three levels: a statement is `certain` if it follows from the records alone, with nothing below missing; `likely` if all
that is missing could only be known with more hosts, more time or more packets; `unknown` if records are missing that
would have decided it.
"""
from dataclasses import dataclass
from functools import lru_cache

CERTAIN, LIKELY, UNKNOWN_ = "certain", "likely", "unknown"


@dataclass(frozen=True)
class Gap:
    """A ground that is missing."""

    bit: int
    level: str      # the most that can be said without it
    words: str      # {here}: host where the packet was seen last; {next}: host where it should have come


ALIKE = Gap(1 << 0, UNKNOWN_, "other packets look the same, and even their number is not known")
LOSSY_HERE = Gap(1 << 1, UNKNOWN_, "{lossy_here}")
LOSSY_NEXT = Gap(1 << 2, UNKNOWN_, "{lossy_next}")
EARLY = Gap(1 << 3, UNKNOWN_, "{next} stopped recording before")
LATE = Gap(1 << 4, UNKNOWN_, "{next} had not begun to record")
CLOCKS = Gap(1 << 5, UNKNOWN_, "the clocks of {here} and {next} cannot be compared so well that {next} was recording "
                               "for sure")
FILTERED = Gap(1 << 6, UNKNOWN_, "{next} did not look for all packets that {here} recorded: {filtered}")
BLIND = Gap(1 << 7, UNKNOWN_, "a tracer did not look at {blind}")
NOT_AFTER = Gap(1 << 8, LIKELY, "no later packet of this flow came to {next}: its receiver may have moved to a host "
                                "that was not traced, or its path may have changed")
NOT_BEFORE = Gap(1 << 9, LIKELY, "no packet of this flow that was sent well before it came to {next}: it may have gone "
                               "another way")
MOVED = Gap(1 << 10, LIKELY, "packets before and after it went to different hosts")
TOLD = Gap(1 << 11, LIKELY, "that it should have come to {next} is known from the topology alone, as it was when the "
                            "capture began")
RESIDENT = Gap(1 << 12, LIKELY, "its receiver lives on {next}, but nothing shows the way from {here} to there")
IN_VM = Gap(1 << 13, LIKELY, "it went into a VM that sends such packets on, and what happens in a VM was not seen")
NOT_ON_WAY = Gap(1 << 14, LIKELY, "nothing shows that {here} is on this flow's way: it may have been a copy")
BRANCHES = Gap(1 << 15, LIKELY, "which of its branches is the packet is taken from the skb that went on, not from "
                                "where its receiver lives")
UNDECIDED = Gap(1 << 16, UNKNOWN_, "which of its branches is the packet is not known")
COUNTERS = Gap(1 << 17, LIKELY, "the counters of {next}'s devices show more packets than were recorded: hardware may "
                                "have switched it past the kernel")
FREED = Gap(1 << 18, LIKELY, "the kernel freed it without calling that a drop")
ELSEWHERE = Gap(1 << 19, LIKELY, "between leaving {here} and coming back it was where nobody looked")
WAITS = Gap(1 << 20, LIKELY, "it is a fragment, and may wait on {here} for the others of its datagram")
MANY = Gap(1 << 21, LIKELY, "it was for many receivers, and who should have got it is not known")
AWAY = Gap(1 << 22, LIKELY, "nobody had its receiver's device on {here} open, and the receiver was not seen to send "
                            "from there before and after: it may have been on another host")
COPIED = Gap(1 << 23, LIKELY, "packets of its flow do not match the filter all the way through {next}: where one does "
                              "not, it is followed, and a copy that the kernel makes of it is not")
FORGOTTEN = Gap(1 << 24, UNKNOWN_, "{forgotten}")
SAMPLED = Gap(1 << 25, LIKELY, "only the drop was taken, and not what led to it: it may have been a copy")
BETWEEN = Gap(1 << 26, LIKELY, "it may have gone over a host between {here} and {next} that did not record everything: "
                               "{between}")
NOT_FOR_IT = Gap(1 << 27, UNKNOWN_, "its frame was for no MAC address of the VM there: it may have been a copy that a "
                                    "switch flooded")
DOUBLED = Gap(1 << 28, LIKELY, "nobody looked at what came in to {here}, and packets are doubled on their way between "
                               "hosts: it may have been a double of one that got on")
ASIDE = Gap(1 << 29, LIKELY, "its frame was for another MAC address than those that its receiver sends from, perhaps a "
                             "router's, and nothing shows the way from there")
GAPS = (ALIKE, LOSSY_HERE, LOSSY_NEXT, EARLY, LATE, CLOCKS, FILTERED, BLIND, NOT_AFTER, NOT_BEFORE, MOVED, TOLD,
        RESIDENT, IN_VM, NOT_ON_WAY, BRANCHES, UNDECIDED, COUNTERS, FREED, ELSEWHERE, WAITS, MANY, AWAY,
        COPIED, FORGOTTEN, SAMPLED, BETWEEN, NOT_FOR_IT, DOUBLED, ASIDE)
# without one of these it cannot be said that a host was recording everything
INCOMPLETE = sum(gap.bit for gap in (LOSSY_HERE, LOSSY_NEXT, EARLY, LATE, CLOCKS, FILTERED, BLIND))


@lru_cache(1 << 12)
def certainty(gaps: int) -> str:
    """Return the most that can be said with these gaps."""
    levels = {gap.level for gap in GAPS if gaps & gap.bit}
    return UNKNOWN_ if UNKNOWN_ in levels else LIKELY if levels else CERTAIN


@dataclass
class Trust:
    """What is known of one host's records."""

    start: float             # wall ns on the one clock: from when on its records are complete
    end: float
    bound: float             # ns; its clock against the others
    late: bool = False       # it began after the others
    early: bool = False      # it ended before the others
    lossy: str = ""          # why records may be missing; empty if none is
    filtered: str = ""       # how what it looked for differs from what others looked for
    blind: str = ""          # points that a statement about this host needs, and that nobody looked at
    counted: str = ""        # that its devices' counters show more than was recorded
    forgotten: str = ""      # why packets that do not match any more may not have been followed

    @property
    def partly(self) -> bool:
        """Whether packets may have passed the host without being recognised there."""
        return bool(self.lossy or self.filtered or self.blind) or self.late or self.early
