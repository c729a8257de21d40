# SPDX-License-Identifier: Apache-2.0
"""For whom frames at VMs' devices were: by the addresses that came out of these."""
import numpy as np
import pytest

from fleetmerge.bundle.records import CANONICAL
from fleetmerge.packet.frames import Frames, Points
from fleetmerge.packet.identity import FOR_IT, FOR_OTHERS

NETNS, ETH0, VNET0, VNET1 = 7, 2, 3, 4
RX, TX, DROP = 1, 2, 3
INSIDE, OUTSIDE = 0xFFFFFFFF81000010, 0xFFFFFFFF81000090     # tun_net_xmit, and another function
POINTS = Points([RX], [TX], [DROP], [INSIDE])
A, B, C, GROUP, EVERYBODY = ("525400000001", "525400000002", "525400000003", "01005e000001", "ffffffffffff")
UNKNOWN = 0
Seen = tuple[int, int, str, str]


def frames(behind: int | None = None) -> Frames:
    """behind: what VNET1's own address says of its VM's."""
    return Frames({(NETNS, VNET0): None, (NETNS, VNET1): behind}, POINTS)


def records(*seen: Seen, **fields: int) -> np.ndarray:
    """Return records; of each the point, the device, and for whom and whose the frame was."""
    out = np.zeros(len(seen), CANONICAL)
    for number, (point, ifindex, target, source) in enumerate(seen):
        out["packet"][number, :12] = np.frombuffer(bytes.fromhex(target + source), "u1")
        for name, value in {"point": point, "ifindex": ifindex, "netns": NETNS, "packet_layer": 2, "packet_len": 96,
                            **fields}.items():
            out[name][number] = value
    return out


SPOKEN = ((RX, VNET0, C, A), (RX, VNET1, A, B), (RX, ETH0, A, C))


@pytest.mark.parametrize(("seen", "aim"), [
    ((TX, VNET0, A, C), FOR_IT), ((TX, VNET1, B, C), FOR_IT),
    ((TX, VNET0, B, C), FOR_OTHERS), ((TX, VNET1, C, A), FOR_OTHERS), ((TX, VNET0, "525400000099", C), FOR_OTHERS),
    ((TX, VNET0, GROUP, C), UNKNOWN), ((TX, VNET0, EVERYBODY, C), UNKNOWN),     # for many
    ((TX, ETH0, C, A), UNKNOWN),                                                # no VM's device
    ((RX, VNET0, C, A), UNKNOWN)])                                              # from the VM, not to it
def test_aims(seen: Seen, aim: int) -> None:
    assert frames().aims(records(*SPOKEN, seen))[-1] == aim


def test_of_a_vm_that_was_not_heard_nothing_is_said() -> None:
    asked = (TX, VNET1, "525400000099", A)
    known = frames()
    assert known.aims(records(SPOKEN[0], asked)).tolist() == [UNKNOWN, UNKNOWN]
    assert known.aims(records(SPOKEN[1], asked)).tolist() == [UNKNOWN, FOR_OTHERS]
    assert known.aims(records(asked)).tolist() == [FOR_OTHERS]


def test_by_the_address_of_a_vms_device() -> None:
    known = frames(behind=int(B, 16) & 0xFFFFFFFFFF)
    assert known.aims(records((TX, VNET1, B, A), (TX, VNET1, C, A), (TX, VNET0, B, A))).tolist() == [
        FOR_IT, FOR_OTHERS, UNKNOWN]


@pytest.mark.parametrize(("location", "aims"), [(INSIDE, [FOR_IT, FOR_OTHERS]), (OUTSIDE, [UNKNOWN, UNKNOWN])])
def test_what_a_vms_device_dropped_was_given_to_it(location: int, aims: list[int]) -> None:
    """Elsewhere it may have come from the VM."""
    known = frames()
    known.aims(records(*SPOKEN))
    assert known.aims(records((DROP, VNET0, A, C), (DROP, VNET0, B, C), location=location)).tolist() == aims


def test_a_vm_that_hands_on_what_is_others_has_no_address_of_its_own() -> None:
    """A bridge: what came in by the uplink comes out of it, too."""
    known = frames()
    assert known.aims(records((RX, ETH0, B, C), (RX, VNET0, B, C), (TX, VNET0, B, C))).tolist() == [UNKNOWN] * 3
    assert known.aims(records((RX, VNET0, B, A), (TX, VNET0, C, A))).tolist() == [UNKNOWN, FOR_OTHERS]


@pytest.mark.parametrize("later", [(), ((RX, VNET0, B, A),)])
def test_a_vm_that_moved_was_heard(later: tuple[Seen, ...]) -> None:
    """Its address came out of its device, and then by the uplink; not if it comes out of both by turns."""
    moved = (RX, VNET0, B, A), (RX, VNET0, C, A), (RX, ETH0, B, A), *later
    assert frames().aims(records(*moved, (TX, VNET0, A, C), (TX, VNET0, B, C))).tolist()[-2:] == [
        UNKNOWN, UNKNOWN if later else FOR_OTHERS]
    known = frames()
    for one in moved:
        known.aims(records(one))
    assert known.aims(records((TX, VNET0, A, C), (TX, VNET0, B, C))).tolist() == [
        UNKNOWN, UNKNOWN if later else FOR_OTHERS]


@pytest.mark.parametrize("fields", [{"packet_layer": 3}, {"packet_len": 13}])
def test_without_an_ethernet_header_nothing_is_said(fields: dict[str, int]) -> None:
    known = frames()
    known.aims(records(*SPOKEN))
    assert known.aims(records((TX, VNET0, B, C), **fields)).tolist() == [UNKNOWN]


def test_devices_of_other_namespaces_are_others() -> None:
    known = frames()
    known.aims(records(*SPOKEN))
    assert known.aims(records((TX, VNET0, B, C), netns=8)).tolist() == [UNKNOWN]


def test_no_device_of_a_vm_and_no_record() -> None:
    assert Frames({}, POINTS).aims(records(*SPOKEN, (TX, VNET0, B, C))).tolist() == [UNKNOWN] * 4
    assert not len(frames().aims(records()))


def test_for_whom_frames_left_and_who_has_these_addresses() -> None:
    known = frames()
    known.aims(records(*SPOKEN, (RX, VNET1, A, C)))     # VNET1's VM hands on what is C's
    toward = known.toward(records((TX, ETH0, A, B), (TX, ETH0, B, A), (TX, ETH0, C, A), (TX, ETH0, GROUP, A),
                                  (TX, VNET0, A, C), (RX, ETH0, A, C)))
    assert len(set(toward[:3].tolist())) == 3 and toward[:3].all() and not toward[3:].any()
    assert known.owners().tolist() == [(NETNS, VNET0, toward[0]), (NETNS, VNET1, toward[1])]
    assert not known.toward(records((TX, ETH0, A, B), packet_len=13)).any()
    assert not len(frames().owners())
