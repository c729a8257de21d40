# SPDX-License-Identifier: Apache-2.0
"""Which records of one skb's address are of one packet."""
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.sights import layout_of, place

from fleetmerge.journey import chains as module
from fleetmerge.journey.atlas import ANSWERING, _layout
from fleetmerge.journey.chains import FREED, _counted, _homes, _link, _pieces, _State, unhashed_flows
from fleetmerge.packet.identity import IS_FRAGMENT, IS_OTHER, IS_TCP, NOT_FOLLOWED, ROW, UNREADABLE

PLACES = ("hv vnet0 dev.rx", "hv eth0 dev.tx", "hv eth0 dev.rx", "hv vnet0 dev.tx", "hv eth0 dev.backlog",
          "hv vxlan0 dev.rx", "hv vxlan0 dev.tx", "hv eth0 skb.drop", "hv eth0 skb.free", "hv eth0 dev.queue",
          "hv veth0 dev.rx", "hv eth1 dev.tx", "hv vnet1 dev.rx", "hv br0 dev.rx")
(FROM_VM, TX, RX, TO_VM, BACKLOG, VXLAN_RX, VXLAN_TX, DROP, FREE, QUEUE, VETH, TX1, FROM_VM1, BR) = range(len(PLACES))
LAYOUT = layout_of(PLACES)
MS = 1_000_000
SOON, PAUSE = 50 * MS, 1000 * MS
START = 1000 * PAUSE


def rows_of(*rows: dict[str, Any]) -> np.ndarray:
    """Return rows; each a packet of one skb, in the order of time, a microsecond after the one before."""
    out = np.zeros(len(rows), ROW)
    time = START
    for number, row in enumerate(rows):
        time += row.get("after", 1000)
        full = {"skb": 1, "head": 1, "flow": 1, "ident": 7, "size": 100, "kind": IS_OTHER, **row, "time": time}
        full.pop("after", None)
        full["drop"] = row.get("drop", int(row["place"] in (DROP, FREE)))
        for name, value in full.items():
            out[name][number] = value
    return out


def chains(*rows: dict[str, Any], frees: bool = True) -> list[int]:
    """Return the numbers of the chains, without frees."""
    return _link(_State(LAYOUT, frees), rows_of(*rows))[0]["chain"].tolist()


def at(place: int, **fields: Any) -> dict[str, Any]:
    return {"place": place, **fields}


def test_through_a_host() -> None:
    assert chains(at(FROM_VM), at(TX)) == [1, 1]
    assert chains(at(FROM_VM), at(TX, skb=2)) == [1, 2]


def test_a_drop_ends_it() -> None:
    assert chains(at(RX), at(DROP), at(QUEUE)) == [1, 1, 2]


def test_a_free_ends_it_and_is_marked() -> None:
    rows, _ = _link(_State(LAYOUT, True), rows_of(at(RX), at(VETH), at(FREE), at(QUEUE)))
    assert rows["place"].tolist() == [RX, VETH, QUEUE]
    assert rows["chain"].tolist() == [1, 1, 2]
    assert rows["fixed"].tolist() == [0, FREED, 0]


def test_a_free_of_an_skb_that_was_not_seen_marks_nothing() -> None:
    rows, _ = _link(_State(LAYOUT, True), rows_of(at(VETH), at(FREE, skb=2), at(QUEUE)))
    assert rows["fixed"].tolist() == [0, 0] and rows["chain"].tolist() == [1, 1]


def test_the_same_device_again() -> None:
    assert chains(at(VETH), at(VETH)) == [1, 2]
    assert chains(at(TX), at(TX)) == [1, 2]
    assert chains(at(QUEUE), at(QUEUE)) == [1, 1]      # it may wait there, and be queued again


@pytest.mark.parametrize(("after", "wanted"), [(PAUSE, [1, 1]), (PAUSE + 1, [1, 2])])
def test_a_long_pause(after: int, wanted: list[int]) -> None:
    assert chains(at(FROM_VM), at(TX, after=after)) == wanted


def test_what_comes_in_is_new() -> None:
    assert chains(at(VETH), at(FROM_VM)) == [1, 2]
    assert chains(at(FROM_VM), at(FROM_VM1)) == [1, 2]
    assert chains(at(QUEUE), at(RX)) == [1, 2]           # the same device, but no point at which it hands on
    assert chains(at(RX), at(BACKLOG)) == [1, 1]         # from point to point of one device
    assert chains(at(TX1), at(RX)) == [1, 2]


@pytest.mark.parametrize(("after", "wanted"), [(SOON - 1, [1, 1]), (SOON, [1, 2])])
def test_to_the_tunnel_above(after: int, wanted: list[int]) -> None:
    assert chains(at(RX), at(VXLAN_RX, after=after)) == wanted


OTHER = {"flow": 2, "size": 90}


@pytest.mark.parametrize(("after", "wanted"), [(SOON - 1, [1, 1]), (SOON, [1, 2])])
def test_from_a_tunnel_down(after: int, wanted: list[int]) -> None:
    """What the tunnel put into a packet may not be readable."""
    assert chains(at(VXLAN_TX), at(QUEUE, after=after, **OTHER), frees=False) == wanted


@pytest.mark.parametrize(("after", "wanted"), [(SOON - 1, [1, 1]), (SOON, [1, 2])])
def test_soon_it_is_the_same_packet_whatever_was_changed(after: int, wanted: list[int]) -> None:
    assert chains(at(RX), at(TO_VM, after=after, **OTHER)) == wanted


def test_with_other_data_and_other_content_it_is_another() -> None:
    assert chains(at(RX), at(TO_VM, head=2, **OTHER)) == [1, 2]
    assert chains(at(RX), at(TO_VM, head=2)) == [1, 1]


@pytest.mark.parametrize(("after", "wanted"), [(SOON - 1, [1, 1]), (SOON, [1, 2])])
def test_data_that_moved_soon(after: int, wanted: list[int]) -> None:
    assert chains(at(RX), at(TO_VM, head=2, after=after)) == wanted


def test_data_that_moved_later_beside_the_way() -> None:
    assert chains(at(RX), at(DROP, head=2, after=SOON)) == [1, 1]


def test_where_frees_are_not_seen() -> None:
    """What comes in may be changed, and leave by another device; by the same one an answer leaves."""
    assert chains(at(RX), at(TO_VM, **OTHER), frees=False) == [1, 1]
    assert chains(at(RX), at(QUEUE, **OTHER), frees=False) == [1, 2]
    assert chains(at(RX), at(QUEUE, **OTHER), frees=True) == [1, 1]
    assert chains(at(VETH), at(TO_VM, **OTHER), frees=False) == [1, 2]


def test_what_a_device_took_comes_to_no_other() -> None:
    assert chains(at(TX), at(TX1)) == [1, 2]
    assert chains(at(TX), at(QUEUE)) == [1, 1]
    assert chains(at(VXLAN_TX), at(TX)) == [1, 1]        # a device with another one below it
    assert chains(at(TX), at(DROP)) == [1, 1]


@pytest.mark.parametrize(("one", "two", "same"), [
    ({"kind": IS_TCP}, {"kind": IS_OTHER}, False), ({"seq": 5}, {"seq": 6}, False), ({"size": 5}, {"size": 6}, False),
    ({"ident": 5}, {"ident": 6}, False), ({"hash": 5}, {"hash": 6}, False), ({"hash": 5}, {}, True),
    ({}, {"hash": 6}, True), ({"flow": 2}, {"flow": 3}, True),
    ({"kind": IS_FRAGMENT, "seq": 8}, {"kind": IS_FRAGMENT, "seq": 16}, True),
    ({"kind": IS_FRAGMENT, "seq": 8, "flow": 2}, {"kind": IS_FRAGMENT, "seq": 16, "flow": 3}, False)])
def test_content_that_may_be_the_same(one: dict[str, int], two: dict[str, int], same: bool) -> None:
    """In other data, so that only the content tells."""
    assert chains(at(RX, **one), at(TO_VM, head=2, **two)) == [1, 1 if same else 2]


@pytest.mark.parametrize(("fields", "same"), [
    ({"ident": 1}, True), ({"seq": 5}, False), ({"hash": 5}, False), ({}, False)])
def test_what_tells_a_packet_with_other_addresses(fields: dict[str, int], same: bool) -> None:
    one = {"ident": 0, **fields}
    assert chains(at(RX, flow=2, **one), at(TO_VM, head=2, flow=3, **one)) == [1, 1 if same else 2]


@pytest.mark.parametrize(("fields", "same"), [({"seq": 1}, True), ({"hash": 1}, True), ({}, False)])
def test_in_the_same_data_less_tells_it(fields: dict[str, int], same: bool) -> None:
    one = {"ident": 0, **fields}
    assert chains(at(RX, flow=2, **one), at(TO_VM, flow=3, after=SOON, **one)) == [1, 1 if same else 2]


def test_from_piece_to_piece() -> None:
    state = _State(LAYOUT, True)
    one, _ = _link(state, rows_of(at(RX), at(RX, skb=2), at(DROP, skb=2), at(RX, skb=3)))
    assert state.open["skb"].tolist() == [1, 3]      # the second was dropped
    two = rows_of(at(TO_VM, after=5 * MS), at(QUEUE, skb=2), at(RX, skb=4))
    two, _ = _link(state, two)
    assert (one["chain"].tolist(), two["chain"].tolist()) == ([1, 2, 2, 3], [1, 4, 5])
    assert state.chains == 6


def test_what_was_not_seen_for_long_is_not_carried_on() -> None:
    state = _State(LAYOUT, True)
    _link(state, rows_of(at(RX), at(RX, skb=2, after=PAUSE - 1), at(RX, skb=3, after=1)))
    assert state.open["skb"].tolist() == [2, 3]


def test_addresses_that_were_changed() -> None:
    def edges(**fields: Any) -> list[tuple[int, int]]:
        rows = rows_of(at(RX, flow=2), at(TO_VM, flow=3, **fields), at(RX, skb=2, flow=2), at(TO_VM, skb=2, flow=3))
        return [tuple(edge) for edge in _link(_State(LAYOUT, True), rows)[1].tolist()]
    assert edges() == [(2, 3)]
    assert edges(kind=IS_FRAGMENT) == [(2, 3)]
    fragment = rows_of(at(RX, flow=2, kind=IS_FRAGMENT), at(TO_VM, flow=3))
    assert len(_link(_State(LAYOUT, True), fragment)[1]) == 0


def test_where_a_vm_sent_from() -> None:
    """The first and the last of a flow from a device in ten milliseconds, as it left a system."""
    rows = rows_of(*(at(FROM_VM, skb=number, after=MS, ttl=64) for number in range(1, 6)),
                   at(FROM_VM, skb=7, ttl=63), at(RX, skb=8, ttl=64), at(FROM_VM1, skb=9, ttl=0),
                   at(FROM_VM, skb=10, after=20 * MS, ttl=255), at(FROM_VM, skb=11, flow=2, ttl=128))
    homes = _homes(LAYOUT, rows)
    vnet0, vnet1 = LAYOUT.device[FROM_VM], LAYOUT.device[FROM_VM1]
    times = rows["time"]
    assert sorted(homes.tolist()) == sorted([(1, vnet0, times[0]), (1, vnet0, times[4]), (1, vnet1, times[7]),
                                             (1, vnet0, times[8]), (2, vnet0, times[9])])


def test_pieces_and_hashes() -> None:
    rows = rows_of(at(RX, flow=1, size=100, hash=9), at(RX, flow=2, size=3000, unit=1400, hash=9),
                   at(RX, flow=3, size=100, hash=0), at(RX, flow=4, size=0, hash=0),
                   at(RX, flow=5, size=2800, unit=1400, kind=IS_TCP))
    assert _pieces(rows).tolist() == [1, 3, 1, 1, 2]
    assert unhashed_flows(rows).tolist() == [2, 3]


def test_a_piece_of_which_nothing_counts_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 2)
    rows = rows_of(at(RX, kind=NOT_FOLLOWED), at(TX), at(RX, skb=3), at(RX, skb=4))
    rows.tofile(tmp_path / "rows")
    table, none = np.arange(len(PLACES), dtype="u4"), np.zeros(9, "u4")
    atlas: Any = SimpleNamespace(counts=[table != TX], of_bundle=[table], drop_of_bundle=[none])
    assert [part["skb"].tolist() for part in _counted(atlas, 0, str(tmp_path / "rows"))] == [[3, 4]]


PODS = ("hv eth0 dev.tx", "hv veth0 dev.rx", "hv veth1 dev.tx", "hv eth1 dev.rx", "hv eth1 dev.tx", "hv eth2 dev.tx")
INNER_TX, OUTER_RX, OUTER_TX, INNER_RX, ANSWER_TX, OTHER_TX = range(len(PODS))
THERE, BACK = 100, 200     # groups
INSIDE = {"eth0": "pod-1", "eth1": "pod-2"}


def pods(*rows: dict[str, Any]) -> list[int]:
    """Return the numbers of the chains on a host whose eth0 and eth1 are in namespaces of their own, joined to it."""
    places = [replace(place(words), netns=INSIDE.get(words.split()[1], "hv"), role="veth", uplink=False)
              for words in PODS]
    devices = list(dict.fromkeys((one.host, one.netns, one.device) for one in places))
    ends = {device[2]: device for device in devices}
    peers = {ends[one]: ends[other] for one, other in (("eth0", "veth0"), ("veth0", "eth0"), ("veth1", "eth1"),
                                                       ("eth1", "veth1"))}
    answers = np.array([(THERE, BACK), (BACK, THERE)], ANSWERING)
    return _link(_State(_layout(places, ["hv"], devices, (), peers=peers), True, answers),
                 rows_of(*rows))[0]["chain"].tolist()


def test_over_a_veth_into_another_namespace() -> None:
    assert pods(at(INNER_TX), at(OUTER_RX), at(OUTER_TX), at(INNER_RX)) == [1, 1, 1, 1]
    assert pods(at(INNER_TX), at(INNER_RX)) == [1, 2]      # that is not its other end
    assert pods(at(INNER_RX), at(INNER_TX)) == [1, 2]      # nothing leaves by a namespace that it did not come to


@pytest.mark.parametrize(("fields", "wanted"), [
    pytest.param({"ident": 8, "size": 40}, [1, 2], id="another IP id"),
    pytest.param({"ident": 0, "hash": 6, "size": 40}, [1, 2], id="another payload"),
    pytest.param({"ident": 0, "hash": 5, "group": BACK}, [1, 2], id="the answer"),
    pytest.param({"ident": 7, "hash": 5, "group": BACK}, [1, 1], id="made into an answer"),
    pytest.param({"ident": 7, "hash": 6, "size": 40}, [1, 1], id="changed by a helper"),
    pytest.param({"ident": 8, "kind": IS_FRAGMENT}, [1, 2], id="a piece of another one"),
    pytest.param({"ident": 7, "kind": IS_FRAGMENT}, [1, 1], id="cut into pieces"),
    pytest.param({"ident": 8, "kind": UNREADABLE}, [1, 1], id="into a tunnel that is not known"),
])  # fmt: skip
def test_what_a_socket_took_may_leave_its_memory_to_the_next(fields: dict[str, Any], wanted: list[int]) -> None:
    first = {"ident": 0 if fields["ident"] == 0 else 7, "hash": 5, "group": THERE}
    assert pods(at(INNER_RX, **first), at(ANSWER_TX, **{**first, **fields, "flow": 2})) == wanted
