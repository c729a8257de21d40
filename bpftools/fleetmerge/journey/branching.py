# SPDX-License-Identifier: Apache-2.0
"""What a packet's tree looks like, to be shown: its places, each with the one before it on its branch."""
from .atlas import Layout
from .found import Node
from .ways import Way

_MOST = 60      # places that are shown


def branching(way: Way, layout: Layout) -> tuple[Node, ...]:
    """Return the nodes of a tree, each after the one before it; nothing if there is no other branch.

    A node: the number of the one before it (-1: none), its place, whether it is on the packet's own branch.
    """
    tree, shape = way.shape.tree, way.shape
    leaves = [way.leaf, *(leaf for leaf in tree.leaves if leaf is not way.leaf)]
    if len(leaves) == 1:
        return ()
    numbers: dict[int, int] = {}
    nodes: list[Node] = []
    for leaf in leaves:
        rows = [row for row in tree.way(leaf.row) if layout.step[shape.place(row)]]
        before = -1
        for row in rows + ([leaf.mark] if leaf.mark >= 0 else []):
            if row not in numbers:
                numbers[row] = len(nodes)
                nodes.append((before, shape.place(row), int(leaf is way.leaf)))
            before = numbers[row]
    return tuple(nodes[:_MOST])
