# SPDX-License-Identifier: Apache-2.0
"""Ports of Open vSwitch, as its daemon says them."""
from skbtrace.host import switch

SHOWN = """system@ovs-system: hit:27 missed:19
  br0:
    br0 65534/1: (internal)
    eth1 1/2: (system)
    vx1 3/4: (vxlan: key=100, remote_ip=10.78.0.2)
    vx2 4/4: (vxlan: key=0x7, local_ip=10.78.0.1, remote_ip=10.78.0.3)
    any 5/4: (vxlan: key=flow, remote_ip=10.78.0.4)
  br-int:
    patch-br0 1/none: (patch: peer=patch-int)
 nonsense 1/2: (system)
""".splitlines()


def test_bridges_and_numbers() -> None:
    assert [(port.bridge, port.name, port.number, port.kind) for port in switch.ports(SHOWN)] == [
        ("br0", "br0", 65534, "internal"), ("br0", "eth1", 1, "system"), ("br0", "vx1", 3, "vxlan"),
        ("br0", "vx2", 4, "vxlan"), ("br0", "any", 5, "vxlan"), ("br-int", "patch-br0", 1, "patch")]
    assert switch.ports(["    eth1 1/2: (system)"]) == []


def test_a_device_of_tunnels_is_of_all_of_them() -> None:
    known = switch.ports(SHOWN)
    assert [port.name for port in switch.behind("eth1", known)] == ["eth1"]
    assert [port.name for port in switch.behind("vxlan_sys_4789", known)] == ["vx1", "vx2", "any"]
    assert switch.behind("eth7", known) == switch.behind("genev_sys_6081", known) == []


def test_what_a_packet_has_beside_its_headers() -> None:
    known = {port.name: switch.metadata(port) for port in switch.ports(SHOWN)}
    assert (known["eth1"], known["vx1"]) == ("in_port=1", "in_port=3,tun_id=100,tun_src=10.78.0.2")
    assert known["vx2"] == "in_port=4,tun_id=0x7,tun_src=10.78.0.3,tun_dst=10.78.0.1"
    assert known["any"] is None    # of which VNI it is the packet alone says
