# SPDX-License-Identifier: Apache-2.0
"""Where the legs of a tree hang on each other."""
from collections.abc import Sequence

import numpy as np

from ..packet.places import FAR
from .atlas import Layout
from .tree import DROPPED, IN_VM, OPEN, OUT, Leaf, Leg, Sight, Tree

_ROUNDING = 1e3     # ns: times are averages
_AT_ONCE = 10e6     # ns that doubles are apart
_LONGEST = 1e9      # ns that a packet may be between two hosts, or in a VM


def before_first(tree: Tree, exits: Sequence[tuple[int, Leaf]], sights: Sequence[Sight], layout: Layout,
                 bounds: np.ndarray) -> int:
    """Return the leg that the first one hangs on, 0 if there is none: what a host sent that was not seen to come in to
    it (it may have made it, a fragment, say) may be older than what came in to another, as far as clocks can tell."""
    first = tree.legs[0]
    if first.entry != FAR or not tree.orphans:
        return 0
    made = [(number, leaf) for number, leaf in exits if number in tree.orphans and not tree.legs[number].entry]
    joints = _joints(tree, 0, first, made, sights, layout, bounds)
    return joints[0].leg if joints else 0


def join(tree: Tree, exits: Sequence[tuple[int, Leaf]], sights: Sequence[Sight], layout: Layout,
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
        leg.sure = sum(_same_way(sights[leaf.row], sights[joint.row]) for leaf in joints) == 1
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
    tagged = bool(first.tagged or layout.stacked[first.place])     # what a tunnel hands up came to it in the tunnel
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

    def nearness(leaf: Leaf) -> tuple[bool, int, bool, bool, bool, bool, float]:
        seen = sights[leaf.row].when
        here = tree.legs[leaf.leg].host == leg.host
        in_the_same_data = here and sights[leaf.row].head == first.head
        return (not in_the_same_data, -sights[leaf.row].hops, here and leg.entry != 1,
                leaf.row in tree.children and leg.entry == 1,
                # what left without a tag came to others so; behind a host's uplink it has lost its tag
                not here and leg.entry == FAR and bool(sights[leaf.row].tagged) != tagged,
                not leaf.trunk, abs(when - seen) + (1e9 if seen > when else 0))
    return sorted(out, key=nearness)


def _same_way(one: Sight, other: Sight) -> bool:
    """Whether neither hops nor tags tell from which of two sights a packet came."""
    return one.hops == other.hops and bool(one.tagged) == bool(other.tagged)


def _may_hang(leg: Leg, leaf: Leaf, host: int, spent: int, layout: Layout) -> bool:
    """Return whether a leg may hang on the end of a branch on `host`; spent: hops between the two."""
    if layout.vm[leg.host] or layout.vm[host]:     # a VM that was traced as a host of its own
        into = bool(layout.vm[leg.host])
        return host != leg.host and spent == 0 and leaf.kind == (IN_VM if into else OUT) and leg.entry == (
            2 if into else 1)
    if leg.entry == 1:    # a VM that sends it on takes a hop
        return leaf.kind == IN_VM and spent == 1 and host == leg.host
    if leaf.kind == OPEN and layout.narrow[host] and host != leg.host:    # it left by a device that nobody looked at
        return spent >= 0 and leg.entry == FAR
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
