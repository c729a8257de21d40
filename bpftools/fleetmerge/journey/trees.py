# SPDX-License-Identifier: Apache-2.0
"""Trees: how the records of one packet hang together.

On a host the chains that a packet's own chain gave rise to (clones, segments, what a daemon sent on) branch off from
it: together they are a leg. Legs hang on each other: one that comes in from another host on a leg that left by a device
that leads there, one that comes out of a VM on one that went into it. What nothing hangs on is a leaf: there a branch
ended, or was seen last.

A tree is made once for all packets that look alike (the same places, chains and drops in the same order), so this can
be plain code.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..packet.places import FAR
from .atlas import Layout

_ROUNDING = 1e3     # ns: times are averages
_AT_ONCE = 10e6     # ns that doubles are apart
_LONGEST = 1e9      # ns that a packet may be between two hosts, or in a VM
_TURNS = 3          # times that a packet comes to a place before that is a loop
IN_VM, DROPPED, OUT, FREED, OPEN = "in_vm", "dropped", "out", "freed", "open"


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


@dataclass
class Leaf:
    """The end of a branch."""

    kind: str
    row: int         # where it was seen last, as a step of its way; -1: only a drop was seen
    mark: int        # row of the drop; -1 if it was not dropped
    trunk: bool      # on its host, and on those before, it stayed in the skb that it came in
    leg: int         # number of the leg in the tree


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

    def loops(self, sights: Sequence["Sight"]) -> list[int]:
        """Return the places to which the packet came three times and more, with fewer and fewer hops left."""
        came: dict[int, set[int]] = {}
        for leg in self.legs:
            came.setdefault(sights[leg.first].place, set()).add(sights[leg.first].hops)
        return [place for place, hops in came.items() if len(hops) >= _TURNS]

    def single(self) -> list[Leaf]:
        """Return the leaves without those of doubles, if there are others. A packet got as far as one of its doubles:
        if that was not dropped, nor was the packet."""
        doubles = {number for number, leg in enumerate(self.legs) if leg.first in self.doubles}
        once = [leaf for leaf in self.leaves if leaf.leg not in doubles]
        if doubles and all(leaf.kind == DROPPED for leaf in once):
            once = [leaf for leaf in self.leaves if leaf.kind != DROPPED] or once
        return once or self.leaves

    def common(self) -> int:
        """Return the last row that is on the way of every branch; -1 if there is none."""
        ways = [self.way(leaf.row) for leaf in self.leaves if leaf.row >= 0]
        together = [row for row in ways[0] if all(row in way for way in ways)] if ways else []
        return together[-1] if together else -1


def make_tree(sights: Sequence[Sight], layout: Layout, bounds: np.ndarray) -> Tree:
    """Return the tree of one shape. sights: by host and time; bounds: by how much hosts' clocks may differ, ns."""
    legs: dict[tuple[int, int], Leg] = {}
    for row, sight in enumerate(sights):
        key = (int(layout.host[sight.place]), sight.leg)
        if key not in legs:
            legs[key] = Leg(key[0], [], int(layout.arrives[sight.place]), row)
        legs[key].rows.append(row)
    ordered = sorted(legs.values(), key=lambda leg: (
        sights[leg.first].hops, not (layout.vm[leg.host] and not leg.entry), leg.entry != 1, sights[leg.first].when))
    tree, exits = _grow(ordered, sights, layout, bounds)
    root = _before_first(tree, exits, sights, layout, bounds)
    if root:
        tree, exits = _grow([replace(leg, parent=-1, joint=-1, sure=True) for leg in
                             (ordered[root], *ordered[:root], *ordered[root + 1:])], sights, layout, bounds)
    tree.leaves = [leaf for _, leaf in exits if leaf.row not in tree.children]
    _follow_trunks(tree, exits)
    return tree


def _grow(legs: list[Leg], sights: Sequence[Sight], layout: Layout,
          bounds: np.ndarray) -> tuple[Tree, list[tuple[int, Leaf]]]:
    """Return (the tree of these legs, the first of which is its root; the ends of all branches, by leg)."""
    tree = Tree(legs)
    exits: list[tuple[int, Leaf]] = []
    for number, leg in enumerate(legs):
        exits += [(number, leaf) for leaf in _branches(tree, leg, number, sights, layout)]
    _join(tree, exits, sights, layout, bounds)
    return tree, exits


def _before_first(tree: Tree, exits: Sequence[tuple[int, Leaf]], sights: Sequence[Sight], layout: Layout,
                  bounds: np.ndarray) -> int:
    """Return the leg that the first one hangs on, 0 if there is none: what a host sent that was not seen to come in to
    it (it may have made it, a fragment, say) may be older than what came in to another, as far as clocks can tell."""
    first = tree.legs[0]
    if first.entry != FAR or not tree.orphans:
        return 0
    made = [(number, leaf) for number, leaf in exits if number in tree.orphans and not tree.legs[number].entry]
    joints = _joints(tree, 0, first, made, sights, layout, bounds)
    return joints[0].leg if joints else 0


def _branches(tree: Tree, leg: Leg, number: int, sights: Sequence[Sight], layout: Layout) -> list[Leaf]:
    """Add the steps within one leg; return the ends of its branches."""
    chains: dict[int, list[int]] = {}
    for row in leg.rows:
        chains.setdefault(sights[row].chain, []).append(row)
    trunk = min(chains)
    branched: set[int] = set()
    for first, rows in sorted(chains.items()):
        steps = [row for row in rows if layout.step[sights[row].place]]
        tree.steps += list(zip(steps[:-1], steps[1:], strict=True))
        tree.before.update(zip(steps[1:], steps[:-1], strict=True))
        if first != trunk:
            at = _branch_point(chains, first, sights, layout)
            if at >= 0:
                branched.add(at)
                tree.before[rows[0]] = at
                if steps:
                    tree.steps.append((at, steps[0]))
                    tree.before[steps[0]] = at
    out = []
    for first, rows in sorted(chains.items()):
        leaf = _end(rows, first == trunk, number, sights, layout)
        if leaf.row < 0 and leaf.mark >= 0 and leaf.mark in tree.before:
            leaf.row = tree.before[leaf.mark]    # only the drop of this chain was seen: it sprang from there
        went_on = leaf.kind in (FREED, OPEN, OUT) and leaf.row in branched and not layout.final[sights[leaf.row].place]
        if not went_on:
            out.append(leaf)
    return out


def _branch_point(chains: dict[int, list[int]], first: int, sights: Sequence[Sight], layout: Layout) -> int:
    """Return the row behind which a chain sprang from another one: the last before it and before a device took the
    packet, of a chain with the same data if there is one; -1 if none is known.

    What a daemon sends on is a new skb, of which all copies have the data: they sprang from the skb that it was asked
    about, not from each other.
    """
    born = chains[first][0]
    others = [rows for other, rows in chains.items() if other < first]
    alike = [rows for rows in others if sights[rows[0]].head == sights[born].head]
    some = [[row for one in group for row in one if row < born and layout.step[sights[row].place]]
            for group in (alike, others)]
    open_ = [[row for row in rows if not layout.final[sights[row].place]] for rows in some]
    return max(next((rows for rows in (*open_, *some) if rows), [-1]))


def _end(rows: Sequence[int], trunk: bool, leg: int, sights: Sequence[Sight], layout: Layout) -> Leaf:
    """Return how a chain ended."""
    steps = [row for row in rows if layout.step[sights[row].place]]
    marks = [row for row in rows if sights[row].drop and layout.drop[sights[row].place]]
    last = steps[-1] if steps else -1
    if marks:
        return Leaf(DROPPED, last, marks[-1], trunk, leg)
    place = sights[last].place
    if layout.ends[place]:
        return Leaf(IN_VM, last, -1, trunk, leg)
    if layout.leaves[place]:
        return Leaf(OUT, last, -1, trunk, leg)
    return Leaf(FREED if sights[rows[-1]].freed else OPEN, last, -1, trunk, leg)


def _join(tree: Tree, exits: Sequence[tuple[int, Leaf]], sights: Sequence[Sight], layout: Layout,
          bounds: np.ndarray) -> None:
    """Hang legs on each other."""
    for number, leg in enumerate(tree.legs):
        if number == 0:
            continue
        twin = _twin(tree, number, sights)
        if twin is not None:
            leg.parent, leg.joint, leg.sure = twin.parent, twin.joint, twin.sure
            tree.doubles.append(leg.first)
            if leg.joint >= 0:
                tree.children[leg.joint].append(number)
                tree.before[leg.first] = leg.joint
            continue
        joints = _joints(tree, number, leg, exits, sights, layout, bounds)
        if not joints:
            tree.orphans.append(number)
            continue
        joint = joints[0]
        leg.parent, leg.joint = joint.leg, joint.row
        leg.sure = sum(sights[leaf.row].hops == sights[joint.row].hops for leaf in joints) == 1
        twice = [other for other in tree.children.get(joint.row, []) if tree.legs[other].host == leg.host]
        tree.children.setdefault(joint.row, []).append(number)
        if twice:
            tree.doubles.append(leg.first)
        tree.before[leg.first] = joint.row
        if layout.step[sights[leg.first].place] and not twice:
            tree.steps.append((joint.row, leg.first))


def _twin(tree: Tree, number: int, sights: Sequence[Sight]) -> Leg | None:
    """Return the leg of which this one is a double: it came in at the same place, at about the same time, with as many
    hops left."""
    leg = tree.legs[number]
    first = sights[leg.first]
    for other in tree.legs[:number]:
        one = sights[other.first]
        same = (one.place, one.hops) == (first.place, first.hops)
        if leg.entry == 2 and same and abs(one.when - first.when) < _AT_ONCE:
            return other
    return None


def _joints(tree: Tree, number: int, leg: Leg, exits: Sequence[tuple[int, Leaf]], sights: Sequence[Sight],
            layout: Layout, bounds: np.ndarray) -> list[Leaf]:
    """Return the ends of branches on which a leg may hang, the best first."""
    first = sights[leg.first]
    below = _below(tree, number)
    out = []
    for other, leaf in exits:
        if other == number or other in below or leaf.row < 0 or leaf.kind == DROPPED:
            continue
        if not _may_hang(leg, leaf, tree.legs[other].host, first.hops - sights[leaf.row].hops, layout):
            continue
        took, slack = first.when - sights[leaf.row].when, bounds[tree.legs[other].host, leg.host]
        if -slack - _ROUNDING <= took <= slack + _LONGEST:
            out.append(leaf)
    when = first.when

    def nearness(leaf: Leaf) -> tuple[bool, int, bool, bool, bool, float]:
        seen = sights[leaf.row].when
        here = tree.legs[leaf.leg].host == leg.host
        in_the_same_data = here and sights[leaf.row].head == first.head
        return (not in_the_same_data, -sights[leaf.row].hops, here and leg.entry != 1,
                leaf.row in tree.children and leg.entry == 1,
                not leaf.trunk, abs(when - seen) + (1e9 if seen > when else 0))
    return sorted(out, key=nearness)


def _may_hang(leg: Leg, leaf: Leaf, host: int, spent: int, layout: Layout) -> bool:
    """Return whether a leg may hang on the end of a branch on `host`; spent: hops between the two."""
    if layout.vm[leg.host] or layout.vm[host]:     # a VM that was traced as a host of its own
        into = bool(layout.vm[leg.host])
        return host != leg.host and spent == 0 and leaf.kind == (IN_VM if into else OUT) and leg.entry == (
            2 if into else 1)
    if leg.entry == 1:    # a VM that sends it on takes a hop
        return leaf.kind == IN_VM and spent == 1 and host == leg.host
    return leaf.kind == OUT and spent >= 0 and (leg.entry > 0 or host != leg.host)


def _below(tree: Tree, number: int) -> set[int]:
    """Return the legs that hang on a leg."""
    out, waiting = set(), [number]
    while waiting:
        one = waiting.pop()
        for other, leg in enumerate(tree.legs):
            if leg.parent == one and other not in out:
                out.add(other)
                waiting.append(other)
    return out


def _follow_trunks(tree: Tree, exits: Sequence[tuple[int, Leaf]]) -> None:
    """What hangs on a copy is a copy."""
    by_row = {leaf.row: leaf for _, leaf in exits}
    for leaf in tree.leaves:
        number, seen = leaf.leg, set()
        while number >= 0 and number not in seen and leaf.trunk:
            seen.add(number)
            leg = tree.legs[number]
            joint = by_row.get(leg.joint)
            if joint is not None and not joint.trunk:
                leaf.trunk = False
            number = leg.parent
