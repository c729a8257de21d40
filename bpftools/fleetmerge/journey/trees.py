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
from dataclasses import replace

import numpy as np

from .atlas import Layout
from .joints import before_first, join
from .tree import DROPPED, FREED, IN_VM, OPEN, OUT, Leaf, Leg, Sight, Tree


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
    root = before_first(tree, exits, sights, layout, bounds)
    if root:
        tree, exits = _grow([replace(leg, parent=-1, joint=-1, sure=True) for leg in
                             (ordered[root], *ordered[:root], *ordered[root + 1:])], sights, layout, bounds)
    tree.leaves = [leaf for _, leaf in exits if leaf.row not in tree.children]
    _follow_trunks(tree, exits)
    for leaf in tree.leaves:
        leaf.aim = _aim(tree, leaf, sights, layout)
    return tree


def _aim(tree: Tree, leaf: Leaf, sights: Sequence[Sight], layout: Layout) -> int:
    """Return whether the frame that a branch was at its last device was for the VM there."""
    rows = [*([leaf.mark] if leaf.mark >= 0 else []), *reversed(tree.way(leaf.row))]
    return next((sights[row].aim for row in rows if sights[row].aim and layout.device[sights[row].place]
                 == layout.device[sights[rows[0]].place]), 0)


def _grow(legs: list[Leg], sights: Sequence[Sight], layout: Layout,
          bounds: np.ndarray) -> tuple[Tree, list[tuple[int, Leaf]]]:
    """Return (the tree of these legs, the first of which is its root; the ends of all branches, by leg)."""
    tree = Tree(legs)
    exits: list[tuple[int, Leaf]] = []
    for number, leg in enumerate(legs):
        exits += [(number, leaf) for leaf in _branches(tree, leg, number, sights, layout)]
    join(tree, exits, sights, layout, bounds)
    return tree, exits


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
                    tree.before[steps[0]] = at
                    if not layout.final[sights[at].place]:    # a device has it: nothing goes on from there
                        tree.steps.append((at, steps[0]))
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
