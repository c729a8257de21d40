# SPDX-License-Identifier: Apache-2.0
"""How the records of one packet hang together, and which of its branches is the packet."""
from typing import Any

import numpy as np
import pytest
from support.sights import layout_of, sight

from fleetmerge.journey.branches import ASTRAY, DEVICE, HOME, ONLY, SHOWN, TRUNK, UNDECIDED, Shown, choose
from fleetmerge.journey.tree import DROPPED, FREED, IN_VM, OPEN, OUT, Sight, Tree
from fleetmerge.journey.trees import make_tree

PLACES = ("hv-a vnet0 dev.rx", "hv-a eth0 dev.tx", "hv-b eth0 dev.rx", "hv-b vnet0 dev.tx", "hv-b vnet1 dev.tx",
          "hv-c eth0 dev.rx", "hv-c vnet0 dev.tx", "hv-b vnet0 skb.drop", "hv-b br0 dev.rx", "hv-b br0 skb.drop",
          "hv-b vnet0 dev.rx", "hv-b eth0 dev.tx", "hv-b eth0 skb.drop", "hv-c eth0 skb.drop",
          "vm-b eth0 dev.rx", "vm-b eth0 sock.deliver", "hv-b eth1 dev.tx", "hv-b vnet1 dev.rx")
(A_RX, A_TX, B_RX, B_TX, B_TX1, C_RX, C_TX, B_DROP, B_BR, B_BR_DROP, B_FROM, B_OUT, B_ETH_DROP, C_DROP, V_RX, V_END,
 B_OUT1, B_FROM1) = range(len(PLACES))
LAYOUT = layout_of(PLACES)
HOSTS = len({words.split()[0] for words in PLACES})
SENT = [sight(A_RX, 0, leg=0, when=0), sight(A_TX, 0, leg=0, when=5)]
CAME = [sight(B_RX, 2, leg=0, when=50), sight(B_TX, 2, leg=0, when=55)]


def tree_of(sights: list[Sight], bound: float = 0.0, layout: Any = LAYOUT) -> Tree:
    """Return the tree; bound: us."""
    return make_tree(sights, layout, np.full((HOSTS, HOSTS), 1e3 * bound))


def ends(tree: Tree) -> list[tuple[str, int, int, bool]]:
    return sorted((leaf.kind, leaf.row, leaf.mark, leaf.trunk) for leaf in tree.leaves)


# -- trees

def test_from_one_host_to_the_other() -> None:
    tree = tree_of(SENT + CAME)
    assert ends(tree) == [(IN_VM, 3, -1, True)]
    assert tree.way(3) == [0, 1, 2, 3]
    assert sorted(tree.steps) == [(0, 1), (1, 2), (2, 3)]
    assert [(leg.host, leg.entry, leg.parent, leg.joint, leg.sure) for leg in tree.legs] == [
        (0, 1, -1, -1, True), (1, 2, 0, 1, True)]
    assert (tree.doubles, tree.orphans, tree.common()) == ([], [], 3)


@pytest.mark.parametrize(("when", "bound", "hangs"), [
    (4, 0, True), (3.9, 0, False), (-5, 9, True), (-5.1, 9, False), (1e6 + 5, 0, True), (1e6 + 5.1, 0, False),
    (1e6 + 14, 9, True), (1e6 + 14.1, 9, False)])
def test_times_between_hosts(when: float, bound: float, hangs: bool) -> None:
    """It may come as early and as late as the clocks' bound allows, with a microsecond for rounding, and a second."""
    came = [sight(B_RX, 2, leg=0, when=when, hops=1), sight(B_TX, 2, leg=0, when=when + 5, hops=1)]
    tree = tree_of(SENT + came, bound)
    assert tree.orphans == ([] if hangs else [1])
    assert tree.common() == (3 if hangs else -1)


@pytest.mark.parametrize(("freed", "kind"), [(True, FREED), (False, OPEN)])
def test_not_seen_to_end(freed: bool, kind: str) -> None:
    tree = tree_of([*SENT, sight(B_RX, 2, leg=0, when=50, freed=freed)])
    assert ends(tree) == [(kind, 2, -1, True)]


def test_dropped_in_its_own_skb() -> None:
    assert ends(tree_of([*SENT, *CAME, sight(B_DROP, 2, leg=0, when=56, drop=1)])) == [(DROPPED, 3, 4, True)]
    tree = tree_of([*SENT, sight(B_ETH_DROP, 2, leg=0, when=56, drop=1)])
    assert ends(tree) == [(DROPPED, -1, 2, True)]
    assert tree.way(2) == [0, 1, 2] and tree.steps == [(0, 1)]


def test_a_clone_branches_off_before_a_device_took_the_packet() -> None:
    """The packet is in the tap when the clone is seen."""
    tree = tree_of([*SENT, *CAME, sight(B_TX1, 4, leg=0, when=57, head=2)])
    assert ends(tree) == [(IN_VM, 3, -1, True), (IN_VM, 4, -1, False)]
    assert tree.way(4) == [0, 1, 2, 4]
    assert tree.common() == 2


def test_a_clone_branches_off_from_what_has_its_data() -> None:
    tree = tree_of([*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_BR, 3, leg=0, when=51),
                    sight(B_TX1, 4, leg=0, when=57, head=2), sight(B_TX, 3, leg=0, when=58)])
    assert tree.way(4) == [0, 1, 2, 4] and tree.way(5) == [0, 1, 2, 3, 5]
    assert ends(tree) == [(IN_VM, 4, -1, False), (IN_VM, 5, -1, False)]


def test_of_a_copy_only_the_drop_was_seen() -> None:
    tree = tree_of([*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_BR_DROP, 3, leg=0, when=51, head=2, drop=1),
                    sight(B_TX, 2, leg=0, when=58)])
    assert ends(tree) == [(DROPPED, 2, 3, False), (IN_VM, 4, -1, True)]
    assert tree.way(3) == [0, 1, 2, 3]


def test_a_router_s_vm_takes_a_hop() -> None:
    """What comes out of a VM is what went into it if a hop is spent, on the same host."""
    through = [sight(B_FROM, 4, leg=1, when=90, hops=1), sight(B_OUT, 4, leg=1, when=95, hops=1)]
    tree = tree_of(SENT + CAME + through)
    assert ends(tree) == [(OUT, 5, -1, True)]
    assert tree.way(5) == [0, 1, 2, 3, 4, 5]
    for hops in (0, 2):
        other = [sight(B_FROM, 4, leg=1, when=90, hops=hops), sight(B_OUT, 4, leg=1, when=95, hops=hops)]
        assert (IN_VM, 3, -1, True) in ends(tree_of(SENT + CAME + other))


def test_what_hangs_on_a_copy_is_a_copy() -> None:
    """A clone is routed on to another host."""
    sights = [*SENT, *CAME, sight(B_OUT, 4, leg=0, when=57, head=2, hops=1), sight(C_RX, 5, leg=0, when=99, hops=1),
              sight(C_TX, 5, leg=0, when=100, hops=1)]
    tree = tree_of(sights)
    assert ends(tree) == [(IN_VM, 3, -1, True), (IN_VM, 6, -1, False)]
    assert tree.way(6) == [0, 1, 2, 4, 5, 6]


def test_doubled_on_the_wire() -> None:
    again = [sight(B_RX, 4, leg=1, when=60), sight(B_TX, 4, leg=1, when=65)]
    tree = tree_of(SENT + CAME + again)
    assert tree.doubles == [4]
    assert [leg.parent for leg in tree.legs] == [-1, 0, 0]
    assert tree.single() == [leaf for leaf in tree.leaves if leaf.row == 3]
    assert len(tree.leaves) == 2 and tree.way(5) == [0, 1, 4, 5]
    assert (1, 4) not in tree.steps


def test_a_packet_gets_as_far_as_one_of_its_doubles() -> None:
    """Where nobody sees what comes in, both are seen at the tap: one is dropped there."""
    one = [*SENT, sight(B_TX, 2, leg=0, when=50), sight(B_DROP, 2, leg=0, when=51, drop=1)]
    assert chosen(one) == (DROPPED, 2, ONLY)
    assert chosen([*one, sight(B_TX, 4, leg=1, when=55)]) == (IN_VM, 4, ONLY)
    both = [*one, sight(B_TX, 4, leg=1, when=55), sight(B_DROP, 4, leg=1, when=56, drop=1)]
    assert chosen(both) == (DROPPED, 2, ONLY)


def test_what_a_host_made_is_older_than_what_came_to_another() -> None:
    """As far as the clocks can tell; us."""
    made = [sight(A_TX, 0, leg=0, when=10), sight(B_RX, 1, leg=0, when=4), sight(B_TX, 1, leg=0, when=9)]
    tree = tree_of(made, bound=6)
    assert tree.way(2) == [0, 1, 2] and [leg.host for leg in tree.legs] == [0, 1] and tree.orphans == []
    assert [(leg.parent, leg.joint) for leg in tree.legs] == [(-1, -1), (0, 0)]
    assert tree_of(made, bound=4).orphans == [1]
    # what comes to the first host from the second one stays behind it
    back = [sight(A_TX, 0, leg=0, when=10), sight(B_RX, 1, leg=0, when=4), sight(B_OUT, 1, leg=0, when=6)]
    assert tree_of(back, bound=6).way(0) == [1, 2, 0]
    # what came to both, none sent
    assert tree_of([sight(B_RX, 0, leg=0, when=10), sight(C_RX, 1, leg=0, when=4)], bound=9).orphans == [1]


@pytest.mark.parametrize(("later", "doubles"), [(9_999, 1), (10_000, 0)])
def test_a_double_comes_at_once(later: float, doubles: int) -> None:
    """Of a host that was not seen to send it; us."""
    one, two = (sight(B_RX, number, leg=number, when=number * later) for number in (0, 1))
    assert len(tree_of([one, two]).doubles) == doubles


def test_flooded_to_two_hosts() -> None:
    tree = tree_of([*SENT, *CAME, sight(C_RX, 4, leg=0, when=51), sight(C_TX, 4, leg=0, when=54)])
    assert ends(tree) == [(IN_VM, 3, -1, True), (IN_VM, 5, -1, True)]
    assert (tree.doubles, tree.orphans, tree.common()) == ([], [], 1)
    assert tree.children == {1: [1, 2]}


def test_one_of_two_uplinks_is_not_sure() -> None:
    """Of two ends on which it may hang, the nearer one is taken, and that is left open."""
    out = [sight(A_RX, 0, leg=0, when=0), sight(A_TX, 0, leg=0, when=5), sight(B_RX, 2, leg=0, when=20),
           sight(B_OUT, 2, leg=0, when=24), sight(B_OUT1, 4, leg=0, when=26, head=2), sight(C_RX, 5, leg=0, when=60)]
    tree = tree_of(out)
    (leg,) = [leg for leg in tree.legs if leg.host == 2]
    assert (leg.joint, leg.sure) == (3, False)      # its own skb goes before the nearer clone


def test_ends_that_do_not_fit_hide_no_end_that_does() -> None:
    """What the packet came in is dropped, and a clone of it is sent on."""
    sights = [*SENT, sight(B_RX, 2, leg=0, when=20), sight(B_ETH_DROP, 2, leg=0, when=21, drop=1),
              sight(B_OUT, 4, leg=0, when=24, head=2, hops=1), sight(C_RX, 5, leg=0, when=60, hops=1)]
    tree = tree_of(sights)
    assert tree.way(5) == [0, 1, 2, 4, 5]
    assert ends(tree) == [(DROPPED, 2, 3, True), (OPEN, 5, -1, False)]


def test_sent_on_at_once() -> None:
    """What comes and goes within the rounding of times does not hang on itself."""
    tree = tree_of([*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_OUT, 2, leg=0, when=50.5)])
    assert tree.way(3) == [0, 1, 2, 3]
    assert ends(tree) == [(OUT, 3, -1, True)] and tree.children == {1: [1]}


def test_a_loop() -> None:
    """Between two routers, with a hop less each time."""
    sights = [sight(B_RX, number, leg=number, when=100 * number, hops=2 * number) for number in range(3)]
    tree = tree_of(sights)
    assert tree.loops(sights) == [B_RX]
    assert tree_of(sights[:2]).loops(sights[:2]) == []
    same = [sight(B_RX, number, leg=number, when=1e5 * number) for number in range(3)]
    assert tree_of(same).loops(same) == []


def test_round_a_loop_the_way_ends() -> None:
    tree = Tree(before={2: 1, 1: 0, 0: 2})
    assert tree.way(2) == [0, 1, 2]


def test_a_vm_that_was_traced_itself() -> None:
    layout = layout_of(PLACES, vms=("vm-b",))
    vm = [sight(V_RX, 4, leg=0, when=60), sight(V_END, 4, leg=0, when=65)]
    tree = tree_of(SENT + CAME + vm, layout=layout)
    assert ends(tree) == [(IN_VM, 5, -1, True)] and tree.way(5) == [0, 1, 2, 3, 4, 5]
    # not where a hop was spent, nor from another host's uplink
    routed = [sight(V_RX, 4, leg=0, when=60, hops=1), sight(V_END, 4, leg=0, when=65, hops=1)]
    assert tree_of(SENT + CAME + routed, layout=layout).orphans == [2]
    assert tree_of([*SENT, *CAME[:1], *vm], layout=layout).orphans == [2]


# -- branches

VNET0, VNET1, ETH0 = (int(LAYOUT.device[place]) for place in (B_TX, B_TX1, B_RX))
FLOODED = [*SENT, *CAME, sight(B_TX1, 4, leg=0, when=57, head=2)]


def chosen(sights: list[Sight], home: int = -1, on_the_way: tuple[int, ...] = (), shown: tuple[int, ...] = (),
           routers: tuple[int, ...] = (), strangers: tuple[int, ...] = (),
           layout: Any = LAYOUT) -> tuple[str, int, int]:
    """Return (kind and last row of the branch, its ground)."""
    out = choose(tree_of(sights, layout=layout), sights, layout, home, Shown(on_the_way, shown, routers, strangers))
    return out.leaf.kind, out.leaf.row, out.ground


def test_there_is_one_branch_only() -> None:
    assert chosen(SENT + CAME) == (IN_VM, 3, ONLY)
    assert chosen(SENT) == (OUT, 1, ONLY)


@pytest.mark.parametrize(("home", "row"), [(VNET0, 3), (VNET1, 4)])
def test_the_branch_to_where_it_lives(home: int, row: int) -> None:
    assert chosen(FLOODED, home) == (IN_VM, row, HOME)


def test_where_it_lives_is_not_known() -> None:
    assert chosen(FLOODED) == (IN_VM, 3, UNDECIDED)


def test_dropped_at_the_tap_where_it_lives() -> None:
    dropped = [*SENT, *CAME, sight(B_DROP, 2, leg=0, when=56, drop=1), sight(B_TX1, 5, leg=0, when=57, head=2)]
    assert chosen(dropped, VNET0) == (DROPPED, 3, HOME)
    assert chosen(dropped, VNET1) == (IN_VM, 5, HOME)
    # one copy of it was dropped there, another got in
    both = [*SENT, *CAME, sight(B_TX, 4, leg=0, when=57, head=2), sight(B_DROP, 4, leg=0, when=58, drop=1)]
    assert chosen(both, VNET0) == (IN_VM, 3, HOME)


def test_dropped_at_the_tap_of_a_router() -> None:
    dropped = [*SENT, *CAME, sight(B_DROP, 2, leg=0, when=56, drop=1), sight(B_OUT, 5, leg=0, when=57, head=2)]
    home = int(LAYOUT.device[C_TX])
    here: dict[str, Any] = {"home": home, "on_the_way": (1,)}
    assert chosen(dropped, **here) == (OUT, 5, HOME)              # a copy was dropped
    assert chosen(dropped, shown=(VNET0,), **here) == (OUT, 5, HOME)
    assert chosen(dropped, shown=(VNET0,), routers=(VNET0,), **here) == (DROPPED, 3, SHOWN)
    assert chosen(dropped, shown=(VNET0, ETH0), routers=(VNET0,), **here) == (DROPPED, 3, TRUNK)
    alone = [*SENT, *CAME, sight(B_DROP, 2, leg=0, when=56, drop=1)]
    assert chosen(alone, **here)[2] == UNDECIDED
    assert chosen(alone, shown=(VNET0,), routers=(VNET0,), **here) == (DROPPED, 3, SHOWN)


def test_copies_that_the_host_made_for_itself() -> None:
    own = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_BR_DROP, 3, leg=0, when=51, head=2, drop=1),
           sight(B_TX, 2, leg=0, when=58)]
    assert chosen(own) == (IN_VM, 4, DEVICE)
    bridge = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_BR, 3, leg=0, when=51, head=2),
              sight(B_BR_DROP, 3, leg=0, when=52, head=2, drop=1), sight(B_TX, 2, leg=0, when=58)]
    assert chosen(bridge) == (IN_VM, 5, DEVICE)
    # a copy that was dropped behind another VM's device may be the packet
    other = [*FLOODED, sight(B_DROP, 4, leg=0, when=59, head=2, drop=1)]
    assert chosen(other)[2] == UNDECIDED
    # and what did not come to a VM's device is nobody's yet
    gone = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_BR_DROP, 3, leg=0, when=51, head=2, drop=1),
            sight(B_OUT, 2, leg=0, when=58)]
    assert chosen(gone)[2] == UNDECIDED


def test_the_branch_on_the_host_where_it_lives() -> None:
    sights = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(C_RX, 3, leg=0, when=51)]
    assert chosen(sights, VNET0) == (OPEN, 2, HOME)
    assert chosen(sights, int(LAYOUT.device[C_TX])) == (OPEN, 3, HOME)


def test_two_branches_on_the_host_where_it_lives() -> None:
    sights = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_OUT, 2, leg=0, when=55),
              sight(B_OUT1, 4, leg=0, when=56, head=2)]
    eth0, eth1 = int(LAYOUT.device[B_OUT]), int(LAYOUT.device[B_OUT1])
    assert chosen(sights, VNET0) == (OUT, 3, TRUNK)
    assert chosen(sights, VNET0, shown=(eth1,)) == (OUT, 4, SHOWN)
    assert chosen(sights, VNET0, shown=(eth0, eth1)) == (OUT, 3, TRUNK)


def test_only_strangers_got_it() -> None:
    """What went to hosts that are not on this flow's way was for somebody else: it was seen last where it left."""
    sights = [*SENT, sight(C_RX, 2, leg=0, when=50), sight(C_DROP, 2, leg=0, when=51, drop=1)]
    assert chosen(sights, VNET0, on_the_way=(1,)) == (OUT, 1, TRUNK)
    assert chosen(sights, VNET0, on_the_way=(2,)) == (DROPPED, 2, HOME)
    gone = [*SENT, sight(C_RX, 2, leg=0, when=50), sight(C_TX, 2, leg=0, when=51)]
    assert chosen(gone, VNET0, on_the_way=(1,)) == (OUT, 1, TRUNK)


def test_strangers_may_be_on_the_way_where_no_packet_shows_it() -> None:
    sights = [*SENT, sight(C_RX, 2, leg=0, when=50), sight(C_DROP, 2, leg=0, when=51, drop=1)]
    assert chosen(sights, VNET0) == (OUT, 1, ASTRAY)


def test_strangers_get_copies_of_others_too() -> None:
    sights = [*SENT, sight(C_RX, 2, leg=0, when=50), sight(C_DROP, 2, leg=0, when=51, drop=1)]
    assert chosen(sights, VNET0, strangers=(2,)) == (OUT, 1, SHOWN)
    assert chosen(sights, VNET0, on_the_way=(1,), strangers=(1,)) == (OUT, 1, TRUNK)
    assert chosen(sights, VNET0, on_the_way=(2,), strangers=(2,)) == (DROPPED, 2, HOME)


def test_dropped_behind_the_router_that_a_copy_was_flooded_past() -> None:
    """A copy got to the VM on the packet's way to the router's VM, vnet1; what the router sent on was dropped."""
    past = [*SENT, sight(B_RX, 2, leg=0, when=50), sight(B_TX, 3, leg=0, when=54, head=2),
            sight(B_TX1, 2, leg=0, when=55)]
    routed = [sight(B_FROM1, 5, leg=1, when=80, hops=1), sight(B_TX, 5, leg=1, when=85, hops=1),
              sight(B_DROP, 5, leg=1, when=86, hops=1, drop=1)]
    assert chosen(past + routed, VNET0) == (IN_VM, 3, HOME)       # nobody knows of a router
    assert chosen(past + routed, VNET0, routers=(VNET1,)) == (DROPPED, 6, SHOWN)
    assert chosen([*past, *routed[:2]], VNET0, routers=(VNET1,)) == (IN_VM, 3, HOME)


def test_a_stranger_s_branch_is_left_out() -> None:
    sights = [*SENT, sight(A_TX, 2, leg=0, when=7, head=0, hops=1), sight(C_RX, 3, leg=0, when=50, hops=1),
              sight(C_DROP, 3, leg=0, when=51, hops=1, drop=1)]
    assert chosen(sights, VNET0) == (OUT, 1, HOME)
    assert chosen(sights, VNET0, on_the_way=(2,)) == (OUT, 1, TRUNK)


def test_it_came_into_a_vm_that_was_traced() -> None:
    layout = layout_of(PLACES, vms=("vm-b",))
    sights = [*SENT, *CAME, sight(B_TX1, 4, leg=0, when=57, head=2), sight(V_RX, 5, leg=0, when=60),
              sight(V_END, 5, leg=0, when=65)]
    assert chosen(sights, int(LAYOUT.device[A_RX]), layout=layout) == (IN_VM, 6, HOME)
