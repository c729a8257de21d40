# SPDX-License-Identifier: Apache-2.0
"""Which devices lead to other hosts, and what devices are called."""
from typing import Any

import pytest
from support.bundles import Bundle

from fleetmerge.bundle.labels import bare, device_names
from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.packet.places import outward

HOST, POD_1, POD_2, POD_3 = 1, 11, 12, 13


def veth(netns: int, ifindex: int, link: int, role: str = "veth") -> dict[str, Any]:
    return {"netns": netns, "ifindex": ifindex, "link": link, "role": role, "name": "d%d" % ifindex}


TAP = veth(HOST, 3, 0, "vnet")


@pytest.mark.parametrize(("veths", "leading"), [
    pytest.param([veth(HOST, 8, 2), veth(POD_1, 2, 8)], [], id="both ends are here"),
    pytest.param([veth(HOST, 8, 2)], [(HOST, 8)], id="the other end is elsewhere"),
    pytest.param([veth(HOST, 8, 2), veth(POD_1, 2, 0)], [(HOST, 8), (POD_1, 2)], id="an old manifest"),
    pytest.param([veth(HOST, 8, 2), veth(POD_1, 2, 9)], [(HOST, 8), (POD_1, 2)], id="ends of two pairs"),
    pytest.param([veth(HOST, 8, 2), veth(POD_1, 2, 8), veth(POD_2, 2, 8)],
                 [(HOST, 8), (POD_1, 2), (POD_2, 2)], id="one of three leads away"),
    pytest.param([veth(POD_1, 3, 2), veth(POD_2, 2, 3), veth(POD_3, 3, 2), veth(HOST, 2, 3)], [],
                 id="two pairs of equal numbers"),
    pytest.param([veth(POD_1, 2, 2), veth(POD_2, 2, 2)], [], id="a pair of one number"),
    pytest.param([veth(POD_1, 2, 2)], [(POD_1, 2)], id="an end whose number is the other one's"),
])  # fmt: skip
def test_a_veth_of_which_both_ends_are_listed_stays_on_the_host(veths: list[dict[str, Any]],
                                                               leading: list[tuple[int, int]]) -> None:
    assert [(device["netns"], device["ifindex"]) for device in outward([TAP, *veths])] == leading


def test_equal_names_in_several_namespaces_are_told_apart(tmp_path: Any) -> None:
    made = Bundle("hv-a")
    made.manifest["netns"].update({str(POD_1): "pod-1", str(POD_2): "pod-2"})
    for netns, ifindex, name in ((POD_1, 2, "eth0"), (POD_2, 2, "eth0"), (HOST, 2, "eth0"), (POD_1, 3, "eth1")):
        made.device(ifindex, name, "veth", netns)
    names = device_names(open_bundle(made.write(tmp_path)))
    assert names == {(POD_1, 2): "eth0@pod-1", (POD_2, 2): "eth0@pod-2", (HOST, 2): "eth0", (POD_1, 3): "eth1"}
    assert bare("eth0@pod-1", "pod-1") == bare("eth0", "pod-1") == "eth0"
