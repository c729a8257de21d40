# SPDX-License-Identifier: Apache-2.0
"""What packets are recognised by."""
import numpy as np

from fleetmerge.journey.units import _unread_keys
from fleetmerge.packet.identity import ROW
from fleetmerge.packet.places import FAR, NEAR

MS = 1_000_000
IN_VM, WITHIN, IN_WIRE = range(3)
ARRIVES = np.array([NEAR, 0, FAR], "u1")


def alike(*sights: tuple[int, int, int, float, int]) -> list[int]:
    """Return which unread records are of the same packet: of each, its number. sights: chain, data, place, ms, host."""
    rows = np.zeros(len(sights), ROW)
    for name, column in zip(("chain", "head", "place"), zip(*sights, strict=True), strict=False):
        rows[name] = column
    own = np.array([when * MS for _, _, _, when, _ in sights], "i8")
    host = np.array([host for *_, host in sights], "i4")
    keys = _unread_keys(rows, np.arange(len(sights)), host, own, ARRIVES).tolist()
    return [keys.index(key) for key in keys]


def test_clones_have_the_data_of_their_packet() -> None:
    assert alike((1, 7, IN_VM, 0, 0), (2, 7, WITHIN, 1, 0), (1, 7, WITHIN, 2, 0)) == [0, 0, 0]
    assert alike((1, 7, IN_VM, 0, 0), (1, 7, WITHIN, 1, 0), (2, 8, WITHIN, 1, 0)) == [0, 0, 2]


def test_data_is_used_again() -> None:
    for place in (IN_VM, IN_WIRE):    # by what comes in
        assert alike((1, 7, IN_VM, 0, 0), (2, 7, place, 1, 0), (2, 7, WITHIN, 2, 0)) == [0, 1, 1]
    assert alike((1, 7, IN_WIRE, 0, 0), (1, 7, IN_WIRE, 1, 0)) == [0, 0]      # by a tunnel's device, the same skb
    assert alike((1, 7, IN_VM, 0, 0), (2, 7, WITHIN, 10, 0)) == [0, 1]        # later
    assert alike((1, 7, IN_VM, 0, 0), (2, 7, WITHIN, 9, 0)) == [0, 0]


def test_hosts_have_their_own_data() -> None:
    assert alike((1, 7, IN_VM, 0, 0), (1, 7, WITHIN, 1, 1)) == [0, 1]
