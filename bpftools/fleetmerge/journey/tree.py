# SPDX-License-Identifier: Apache-2.0
"""What a packet's tree consists of."""
from collections.abc import Sequence
from dataclasses import dataclass, field

_TURNS = 3          # times that a packet comes to a place before that is a loop
IN_VM, DROPPED, OUT, FREED, OPEN = "in_vm", "dropped", "out", "freed", "open"
IN_VLAN, IN_TUNNEL = 1, 2   # the first also of what could not be read: it may be in a tunnel


@dataclass
class Sight:
    """One unit at one place, for all packets of a shape."""

    place: int
    drop: int        # 1: it was dropped
    chain: int       # position of the chain's first sight
    head: int        # position of the first sight of the same data on this host
    leg: int
    hops: int        # how many hops fewer are left than at most
    freed: bool      # its skb was freed behind it
    when: float      # ns after the first sight, on the one clock, on average
    tagged: int = 0  # IN_VLAN, IN_TUNNEL; 0: in neither
    aim: int = 0     # 1: its frame was for the device's VM; -1: for another address than the VM's; 0: not known


@dataclass
class Leaf:
    """The end of a branch."""

    kind: str
    row: int         # where it was seen last, as a step of its way; -1: only a drop was seen
    mark: int        # row of the drop; -1 if it was not dropped
    trunk: bool      # on its host, and on those before, it stayed in the skb that it came in
    leg: int         # number of the leg in the tree
    aim: int = 0     # of the frame at the last device, as a sight's


@dataclass
class Leg:
    """One time that the packet was on a host."""

    host: int
    rows: list[int]
    entry: int               # the place's `arrives` (NEAR, FAR), or 0: not seen to come in
    first: int               # first row
    parent: int = -1         # leg that it hangs on
    joint: int = -1          # row of the parent
    sure: bool = True        # that it hangs there


@dataclass
class Tree:
    """All branches of a packet."""

    legs: list[Leg] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)     # row -> the row before it on its branch
    doubles: list[int] = field(default_factory=list)         # rows at which it came to a host once more
    orphans: list[int] = field(default_factory=list)         # legs that hang on nothing, but the first
    children: dict[int, list[int]] = field(default_factory=dict)   # row -> legs that hang on it

    def way(self, row: int) -> list[int]:
        """Return the rows from the beginning to this one."""
        out = []
        while row >= 0 and row not in out:
            out.append(row)
            row = self.before.get(row, -1)
        return out[::-1]

    def leg_of(self, row: int) -> int:
        """Return the leg that has a row."""
        return next(number for number, leg in enumerate(self.legs) if row in leg.rows)

    def got_on(self, leg: int) -> bool:
        """Whether a double of what a leg shows was not dropped on the same host."""
        one = self.legs[leg]
        doubles = {number for number, other in enumerate(self.legs) if number != leg and other.host == one.host
                   and other.joint == one.joint and (other.first in self.doubles or one.first in self.doubles)}
        return any(not any(leaf.leg == number and leaf.kind == DROPPED for leaf in self.leaves) for number in doubles)

    def root(self, leg: int) -> int:
        """Return the leg that everything hangs on which this one hangs on."""
        seen: set[int] = set()
        while self.legs[leg].parent >= 0 and leg not in seen:
            seen.add(leg)
            leg = self.legs[leg].parent
        return leg

    def loops(self, sights: Sequence["Sight"]) -> list[int]:
        """Return the places to which the packet came three times and more, with fewer and fewer hops left."""
        came: dict[int, set[int]] = {}
        for leg in self.legs:
            came.setdefault(sights[leg.first].place, set()).add(sights[leg.first].hops)
        return [place for place, hops in came.items() if len(hops) >= _TURNS]

    def single(self) -> list[Leaf]:
        """Return the leaves without those of doubles, and those that came to a VM that they were not for, if there are
        others. A packet got as far as one of its doubles: if that came to a VM, or left its host, so did the packet; if
        it was not dropped, nor was the packet."""
        doubles = {number for number, leg in enumerate(self.legs) if leg.first in self.doubles}
        once = [leaf for leaf in self.leaves if leaf.leg not in doubles]
        if doubles and not any(leaf.kind in (IN_VM, OUT) for leaf in once):
            passed = {host for leaf in once for host in self._hosts_before(leaf.leg)}
            further = [leaf for leaf in self.leaves if leaf.kind == IN_VM or (
                leaf.kind == OUT and self.legs[leaf.leg].host not in passed)]
            if not further and all(leaf.kind == DROPPED for leaf in once):
                further = [leaf for leaf in self.leaves if leaf.kind in (FREED, OPEN)]
            once = further or once
        return [leaf for leaf in once if leaf.aim >= 0] or once or self.leaves

    def _hosts_before(self, leg: int) -> set[int]:
        """Return the hosts over which a packet came to a leg."""
        seen, number = {leg}, self.legs[leg].parent
        while number >= 0 and number not in seen:
            seen.add(number)
            number = self.legs[number].parent
        return {self.legs[one].host for one in seen - {leg}}

    def common(self) -> int:
        """Return the last row that is on the way of every branch; -1 if there is none."""
        ways = [self.way(leaf.row) for leaf in self.leaves if leaf.row >= 0]
        together = [row for row in ways[0] if all(row in way for way in ways)] if ways else []
        return together[-1] if together else -1
