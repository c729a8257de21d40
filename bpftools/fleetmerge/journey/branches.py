# SPDX-License-Identifier: Apache-2.0
"""Which branch of a tree is the packet, and which are copies: decided from where the destination lives.

Where nobody knows that, a branch is the packet only if there is no other: a VM may have more addresses than it was seen
to send from. What stays open is left open.
"""
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..packet.places import NEAR
from .atlas import Layout
from .tree import DROPPED, FREED, IN_TUNNEL, IN_VM, OPEN, OUT, Leaf, Leg, Sight, Tree

# how it is known which branch is the packet
ONLY, HOME, SHOWN, DEVICE, TRUNK, ASTRAY, UNDECIDED, MIRRORED, ADDRESSED = range(9)
GROUNDS = ("there was no other branch", "the destination's VM is there",
           "other packets of the flow got to their destination that way",
           "no other branch went to a device: they were copies for the host itself",
           "it stayed in the skb that it came in",
           "no branch was seen where its destination is",
           "which branch is the packet is not known",
           "its other branches went where nothing but copies goes",
           "its frame was for the MAC address of the VM there")


@dataclass
class Chosen:
    """The branch that is the packet."""

    leaf: Leaf
    ground: int


@dataclass
class Shown:
    """The ways over which packets of the same flow are known to get to their destination."""

    hosts: Collection[int] = ()
    devices: Collection[int] = ()
    routers: Collection[int] = ()      # devices of VMs that routed them
    strangers: Collection[int] = ()    # hosts to which only copies of them went
    mirrors: Collection[int] = ()      # devices to which nothing but copies goes, of whatever flow


def choose(tree: Tree, sights: list[Sight], layout: Layout, home: int, shown: Shown, closed: bool = False) -> Chosen:
    """Return the branch that is the packet; home: device of the destination's VM, -1 if not known; closed: the VM was
    at home, and what was dropped at a device of its own elsewhere, which nobody had open, is a copy."""
    def device(leaf: Leaf) -> int:
        row = leaf.mark if leaf.mark >= 0 else leaf.row
        return int(layout.device[sights[row].place])

    def of_tap(leaf: Leaf) -> bool:
        """Whether it ended at a VM's device, on its way into the VM."""
        if leaf.kind == IN_VM:
            return True
        return leaf.kind == DROPPED and leaf.row >= 0 and bool(
            layout.taken[sights[leaf.row].place] and layout.local[sights[leaf.row].place])

    def ahead(leaf: Leaf) -> bool:
        """Whether it was dropped where the VM is about to move to."""
        return closed and leaf.aim > 0 and leaf.kind == DROPPED and device(leaf) != home

    addressed = [leaf for leaf in tree.leaves if leaf.aim > 0 and not ahead(leaf) and not (
        leaf.kind == DROPPED and tree.got_on(leaf.leg))]
    if len(addressed) == 1 and (home < 0 or addressed[0].kind == DROPPED):
        return Chosen(addressed[0], ADDRESSED)

    def mirrored(leaf: Leaf) -> bool:
        """Whether it went where nothing but copies goes; to a VM that was not heard, of what is for another one."""
        to_another = leaf.kind == IN_VM and home not in (-1, device(leaf))
        return device(leaf) in shown.mirrors and (leaf.kind == OUT or to_another)

    every = [leaf for leaf in tree.single() if not ahead(leaf)]
    every = every or tree.single()
    if all(leaf.aim < 0 for leaf in every):
        return _before_strangers(tree, every, layout, home, shown) or Chosen(_trunk(every), UNDECIDED)
    leaves = [leaf for leaf in every if not mirrored(leaf)]
    if not leaves:
        strangers = [leaf for leaf in tree.leaves if leaf.aim < 0 and not mirrored(leaf)]
        # where others got what was flooded, the packet was, too
        return Chosen(_trunk(strangers), UNDECIDED) if strangers else _copied(tree, sights, layout, every)
    if home >= 0:
        return _towards(tree, leaves, sights, layout, home, shown, device, of_tap)
    if len(leaves) == 1:     # where it was flooded to others, a VM that was not heard may be one of them
        flooded = of_tap(leaves[0]) and not leaves[0].aim and any(leaf.aim < 0 for leaf in tree.leaves)
        return Chosen(leaves[0], UNDECIDED if flooded else ONLY if len(every) == 1 else MIRRORED)
    # copies that the host made for itself came to no device; which skb came in must have been seen
    went = [leaf for leaf in leaves if leaf.trunk or leaf.kind != DROPPED or not _made_here(
        tree, leaf, sights, layout)]
    if len(went) == 1 and went[0].trunk and of_tap(went[0]) and tree.legs[went[0].leg].entry:
        return Chosen(went[0], DEVICE)
    return Chosen(_trunk(leaves), UNDECIDED)


def _copied(tree: Tree, sights: list[Sight], layout: Layout, leaves: list[Leaf]) -> Chosen:
    """Return where a packet was seen last of which nothing but copies went on; what came to other hosts went on."""
    rows = {tree.before.get(leaf.row, -1) for leaf in leaves}
    if len(rows) > 1 or -1 in rows:
        return Chosen(_trunk(leaves), UNDECIDED)
    row = rows.pop()
    leg = tree.leg_of(row)
    if any(other.parent == leg and sights[other.joint].chain == sights[row].chain for other in tree.legs):
        return Chosen(_trunk(leaves), UNDECIDED)
    last = max(other for other in tree.legs[leg].rows if sights[other].chain == sights[row].chain)
    kind = OUT if layout.leaves[sights[row].place] else FREED if sights[last].freed else OPEN
    return Chosen(Leaf(kind, row, -1, True, leg), MIRRORED)


def _made_here(tree: Tree, leaf: Leaf, sights: list[Sight], layout: Layout) -> bool:
    """Whether a branch was dropped where it began, or at a device of the host's own (a bridge's, say)."""
    return leaf.mark >= 0 and (tree.before.get(leaf.mark) == leaf.row or bool(layout.inner[sights[leaf.row].place]))


def _trunk(leaves: list[Leaf]) -> Leaf:
    return next((leaf for leaf in leaves if leaf.trunk), leaves[0])


def _towards(tree: Tree, leaves: list[Leaf], sights: list[Sight], layout: Layout, home: int, shown: Shown,
             device: Callable[[Leaf], int], of_tap: Callable[[Leaf], bool]) -> Chosen:
    """Return the branch that leads to the destination's device."""
    there = [leaf for leaf in leaves if device(leaf) == home and (
        of_tap(leaf) or _on_its_way_out(tree, leaf, sights, layout, home))]
    arrived = [leaf for leaf in there if leaf.kind == IN_VM]
    routed = [leaf for leaf in there if _routed_on(tree, leaf, sights, layout, shown)]
    if routed and all(sights[leaf.row].hops < sights[routed[0].mark].hops for leaf in arrived):
        return Chosen(routed[0], SHOWN)     # what arrived is a copy that was flooded on the way to the router
    if there:
        return Chosen((arrived or there)[0], HOME)
    within = [leaf for leaf in leaves if layout.vm[tree.legs[leaf.leg].host]]   # the VM was traced, too
    if within:
        return Chosen(within[0], HOME)
    if len(tree.leaves) == 1 and _given_to_one(tree, leaves[0], layout):
        return Chosen(leaves[0], ONLY)     # where it lives is known of another time, or that VM routes it
    into = [leaf for leaf in leaves if leaf.kind == IN_VM and (leaf.aim > 0 or device(leaf) in shown.routers)]
    # a VM that routes it: what went elsewhere, with as many hops left, was flooded on the way there
    if len(into) == 1 and all(sights[max(leaf.row, leaf.mark)].hops <= sights[into[0].row].hops for leaf in leaves):
        return Chosen(into[0], ADDRESSED if into[0].aim > 0 else SHOWN)
    host = _host_of(layout, home)

    def leads_away(leaf: Leaf) -> bool:
        """Whether it left the host where its destination lives, and where it began."""
        leg = tree.legs[leaf.leg]
        return leaf.kind == OUT and leg.host == host and leg.parent < 0

    # to the device of another VM go copies, or what this one routes
    rest = [leaf for leaf in leaves if not (of_tap(leaf) or _to_a_vm(leaf, sights, layout)) or (
        leaf.kind == DROPPED and device(leaf) in shown.routers)]
    here = [leaf for leaf in rest if tree.legs[leaf.leg].host == host and not leads_away(leaf)]
    further = [leaf for leaf in rest if here and all(
        sights[max(one.row, one.mark)].hops <= _hops_behind(tree, leaf, sights, layout, shown, device, of_tap)
        for one in here)]
    if further:     # what came to the destination's host had not been routed: it was flooded
        return Chosen(further[0], SHOWN)
    if here:
        return _best(here, shown, device)
    # nobody routes what is for others
    strays = {number for number, leg in enumerate(tree.legs) if number and leg.host not in shown.hosts
              and leg.parent >= 0 and leg.entry != 1 and not _routes(leg, sights)
              and not _by_tunnel(tree, leg, sights)}
    rest = [leaf for leaf in rest if leaf.leg not in strays]
    left = _left_for(tree, strays, shown)
    if left and not rest:
        return left
    if len(rest) == 1 and len(tree.leaves) > 1 and leads_away(rest[0]):
        return Chosen(rest[0], SHOWN if device(rest[0]) in shown.devices else ASTRAY)
    return _best(rest, shown, device) if rest else Chosen(_trunk(leaves), UNDECIDED)


def _left_for(tree: Tree, strays: set[int], shown: Shown) -> Chosen | None:
    """Return where a packet left that went to strangers only, and so was seen last there: it was for somebody else.
    strays: the legs that it was on there."""
    left = [Leaf(OUT, row, -1, True, tree.leg_of(row)) for row, children in sorted(tree.children.items())
            if children and all(child in strays for child in children) and tree.leg_of(row) not in strays]
    if not left:
        return None
    copies = {tree.legs[number].host for number in strays} <= set(shown.strangers)
    # where no other packet shows the way, even those strangers may be on it
    return Chosen(left[0], SHOWN if copies and len(left) == 1 else TRUNK if shown.hosts else ASTRAY)


def _before_strangers(tree: Tree, leaves: list[Leaf], layout: Layout, home: int, shown: Shown) -> Chosen | None:
    """Return where a packet left whose frames were for none of those who got them, if others of its flow got to its
    destination, and its destination is not on a host of theirs. Hosts that sent it on may have flooded it, too."""
    sent_on = {tree.leg_of(row) for row, children in tree.children.items() if children}
    got = {leaf.leg for leaf in leaves}
    strays = got - sent_on
    strangers = {tree.legs[number].host for number in strays} <= set(shown.strangers)
    if home < 0 or not strangers or _host_of(layout, home) in {tree.legs[number].host for number in got}:
        return None
    return _left_for(tree, strays, shown)


def _routed_on(tree: Tree, leaf: Leaf, sights: list[Sight], layout: Layout, shown: Shown) -> bool:
    """Whether a branch was dropped behind a VM that routes it."""
    return leaf.kind == DROPPED and any(
        layout.ends[sights[row].place] and layout.device[sights[row].place] in shown.routers
        for row in tree.way(leaf.row)[:-1])


def _hops_behind(tree: Tree, leaf: Leaf, sights: list[Sight], layout: Layout, shown: Shown,
                 device: Callable[[Leaf], int], of_tap: Callable[[Leaf], bool]) -> int:
    """Return how many hops what is further back than a branch has spent at most, if that was dropped at, or behind, a
    VM that routes it; -1 of all others."""
    if leaf.kind == DROPPED and of_tap(leaf) and device(leaf) in shown.routers:
        return sights[leaf.row].hops
    return sights[leaf.mark].hops - 1 if _routed_on(tree, leaf, sights, layout, shown) else -1


def _given_to_one(tree: Tree, leaf: Leaf, layout: Layout) -> bool:
    """Whether what one VM sent was given to one other device, and dropped there: a bridge that does not know for whom a
    frame is gives it to all."""
    leg = tree.legs[leaf.leg]
    return leaf.kind == DROPPED and leaf.trunk and leg.entry == NEAR and leaf.row >= 0 and not layout.narrow[leg.host]


def _routes(leg: Leg, sights: list[Sight]) -> bool:
    """Whether a packet spent a hop on a host."""
    return any(sights[row].hops > sights[leg.first].hops for row in leg.rows)


def _by_tunnel(tree: Tree, leg: Leg, sights: list[Sight]) -> bool:
    """Whether a packet was sent to a host, and to no other one, through a tunnel, of which the ends have addresses."""
    sent = {sights[row].chain for row in tree.legs[leg.parent].rows if sights[row].tagged == IN_TUNNEL}
    return sights[leg.first].tagged == IN_TUNNEL and len(sent) == 1 and len(tree.children[leg.joint]) == 1


def _to_a_vm(leaf: Leaf, sights: list[Sight], layout: Layout) -> bool:
    """Whether a branch was dropped at the device of a VM that it did not come from: where nobody looks at what devices
    are given, the drop is all that shows for which one it was."""
    if leaf.kind != DROPPED or leaf.row < 0:
        return False
    last, at = sights[leaf.row].place, sights[leaf.mark].place
    return bool(layout.local[at]) and layout.device[last] != layout.device[at]


def _on_its_way_out(tree: Tree, leaf: Leaf, sights: list[Sight], layout: Layout, device: int) -> bool:
    """Whether a branch was dropped on its way to a device (by netfilter or a qdisc, say), not behind it."""
    return leaf.kind == DROPPED and all(layout.device[sights[row].place] != device for row in tree.way(leaf.row))


def _best(leaves: list[Leaf], shown: Shown, device: Callable[[Leaf], int]) -> Chosen:
    """Return the branch that may lead to the destination."""
    if len(leaves) == 1:
        return Chosen(leaves[0], SHOWN if device(leaves[0]) in shown.devices else HOME)
    known = [leaf for leaf in leaves if device(leaf) in shown.devices]
    if len(known) == 1:
        return Chosen(known[0], SHOWN)
    straight = [leaf for leaf in leaves if device(leaf) not in shown.mirrors]
    return Chosen(straight[0], MIRRORED) if len(straight) == 1 else Chosen(_trunk(known or leaves), TRUNK)


def _host_of(layout: Layout, device: int) -> int:
    return int(layout.host[(layout.device == device).argmax()])
