# SPDX-License-Identifier: Apache-2.0
"""By which devices packets of VMs come and go."""
from typing import Any

import pytest

from fleetmerge.packet.uplinks import to_vms

BRIDGE, BOND, TAP, UP, OTHER, MANAGEMENT = 10, 11, 3, 2, 4, 5


def device(ifindex: int, role: str = "phy", master: int = 0, link: int = 0, netns: int = 1) -> dict[str, Any]:
    return {"netns": netns, "ifindex": ifindex, "role": role, "master": master, "link": link, "name": "d%d" % ifindex}


PORTS = [device(BRIDGE, "bridge"), device(TAP, "vnet", BRIDGE), device(MANAGEMENT)]


@pytest.mark.parametrize(("more", "expected"), [
    pytest.param([device(UP, master=BRIDGE)], [UP], id="the bridge's port"),
    pytest.param([device(UP, master=BRIDGE), device(OTHER, master=BRIDGE)], [UP, OTHER], id="two ports"),
    pytest.param([device(6, "vlan", BRIDGE, link=UP), device(UP)], [6, UP], id="below a VLAN"),
    pytest.param([device(6, "vlan", BRIDGE, link=BOND), device(BOND, "bond"), device(UP, master=BOND),
                  device(OTHER, master=BOND)], [6, BOND, UP, OTHER], id="below a VLAN on a bond"),
    pytest.param([device(UP, "veth", BRIDGE, link=MANAGEMENT)], [UP], id="a veth's link is at its other end"),
    pytest.param([device(UP, master=BRIDGE), device(7, master=BRIDGE, netns=2)], [UP], id="another namespace's number"),
    pytest.param([device(UP)], [MANAGEMENT, UP], id="no port of the bridge leads anywhere"),
    pytest.param([device(UP, master=BRIDGE), device(8, "vnet")], [MANAGEMENT, UP], id="a VM that is routed"),
    pytest.param([device(UP, master=BRIDGE), device(8, "vnet", 9), dict(device(9, "internal"), kind="vrf")],
                 [MANAGEMENT, UP], id="a VM that is routed in a VRF"),
    pytest.param([device(UP, master=BRIDGE), device(8, "tunnel", BRIDGE)], [MANAGEMENT, UP, 8], id="a tunnel"),
    pytest.param([device(UP, master=BRIDGE), device(8, "veth", BRIDGE, link=9), device(9, "veth", link=8)],
                 [MANAGEMENT, UP], id="a veth to what is behind it"),
])  # fmt: skip
def test_the_devices_that_lead_to_vms(more: list[dict[str, Any]], expected: list[int]) -> None:
    assert [one["ifindex"] for one in to_vms([*PORTS, *more]) if one["netns"] == 1] == expected
