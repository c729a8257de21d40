# SPDX-License-Identifier: Apache-2.0
"""What a host's tables say of a VM: netlink from canned bytes, commands from canned text, frames made and read."""
import ipaddress
import os
import pathlib
import socket
import struct

import pytest
from ansible.module_utils import skbfleet_ask as ask
from ansible.module_utils import skbfleet_commands as commands
from ansible.module_utils import skbfleet_netlink as netlink
from ansible.module_utils import skbfleet_places as places

VM, OTHER = "52:54:00:32:00:0a", "52:54:00:32:00:14"
ADDRESS = "192.168.32.10"


def attribute(kind: int, content: bytes) -> bytes:
    """A netlink attribute with its padding."""
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def neighbour(family: int, ifindex: int, state: int, *attributes: bytes) -> bytes:
    """The payload of an RTM_NEWNEIGH message."""
    return struct.pack("=BxxxiHBB", family, ifindex, state, 0x04, 0) + b"".join(attributes)


def link_payload(ifindex: int, name: str, kind: str = "", flags: int = 1, **numbers: int) -> bytes:
    """The payload of an RTM_NEWLINK message of an Ethernet device."""
    kinds = {"master": 10, "lower": 5}
    return (struct.pack("=BxHiII", 0, 1, ifindex, flags, 0) + attribute(3, name.encode() + b"\0")
            + attribute(1, ask.mac_bytes(VM)) + (attribute(18, attribute(1, kind.encode())) if kind else b"")
            + b"".join(attribute(kinds[key], struct.pack("=I", value)) for key, value in numbers.items()))


def test_an_entry_of_a_forwarding_table():
    entry = neighbour(netlink.AF_BRIDGE, 7, 0x02, attribute(2, ask.mac_bytes(VM)), attribute(5, struct.pack("=H", 100)),
                      attribute(9, struct.pack("=I", 3)))
    assert netlink.neighbour_of(entry) == {"address": "", "mac": VM, "ifindex": 7, "failed": False, "vlan": 100,
                                           "master": 3}


@pytest.mark.parametrize(("family", "address", "state", "failed"), [
    (socket.AF_INET, ADDRESS, 0x02, False), (socket.AF_INET6, "fd00:32::10", 0x04, False),
    (socket.AF_INET, ADDRESS, 0x20, True), (socket.AF_INET, ADDRESS, 0x01, True)])
def test_a_neighbour(family, address, state, failed):
    entry = neighbour(family, 2, state, attribute(1, socket.inet_pton(family, address)),
                      attribute(2, ask.mac_bytes(VM)))
    assert netlink.neighbour_of(entry) == {"address": address, "mac": VM, "ifindex": 2, "failed": failed, "vlan": 0,
                                           "master": 0}


def test_messages_follow_one_another_and_a_broken_length_ends():
    first, second = b"abcde", b"xy"
    stream = b"".join(struct.pack("=IHHII", 16 + len(body), 28, 0, 1, 0) + body + bytes(-len(body) % 4)
                      for body in (first, second))
    assert list(netlink.messages(stream)) == [(28, first), (28, second)]
    assert len(list(netlink.messages(bytes(64)))) == 4  # it advances, whatever the length says
    assert netlink.attributes(bytes(8)) == {0: b""}


@pytest.mark.parametrize(("kind", "role"), [("tun", "vnet"), ("", "phy"), ("bridge", "bridge"), ("vxlan", "tunnel"),
                                            ("veth", "veth"), ("openvswitch", "internal"), ("dummy", "other")])
def test_a_device(kind, role):
    found = netlink.link_of(link_payload(4, "d4", kind, master=9, lower=2))
    assert found == {"ifindex": 4, "name": "d4", "kind": kind, "role": role, "mac": VM, "master": 9, "lower": 2,
                     "up": True}


def test_the_running_kernel_lists_its_devices():
    listed = {link["name"]: link["ifindex"] for link in netlink.links().values()}
    assert listed == {name: index for index, name in socket.if_nameindex()}
    netlink.neighbours()
    netlink.forwarding()


FDB = """ port  VLAN  MAC                Age
LOCAL     0  9e:11:22:33:44:55    2
    3   100  52:54:00:32:00:0A  299
   12     0  52:54:00:32:00:14  static
"""
INTERFACES = ('{"data":[["vnet0",3,"",["map",[["attached-mac","52:54:00:32:00:0A"],["iface-id","x"]]]],'
              '["eth1",12,"",["map",[]]],["vx0",13,"vxlan",["map",[]]],["gone",["set",[]],"",["map",[]]]],'
              '"headings":["name","ofport","type","external_ids"]}')


def test_the_text_of_open_vswitch():
    assert commands.read_fdb(FDB) == [("LOCAL", 0, "9e:11:22:33:44:55"), ("3", 100, VM), ("12", 0, OTHER)]
    assert commands.read_fdb("ovs-appctl: no such bridge\n") == []
    assert commands.read_interfaces(INTERFACES) == [
        {"name": "vnet0", "port": "3", "type": "", "mac": VM}, {"name": "eth1", "port": "12", "type": "", "mac": ""},
        {"name": "vx0", "port": "13", "type": "vxlan", "mac": ""}, {"name": "gone", "port": "", "type": "", "mac": ""}]


def test_the_text_of_libvirt():
    assert commands.read_domain("<domain><devices><interface type='bridge'><mac address='52:54:00:32:00:0A'/>"
                                "<target dev='vnet7'/></interface><interface><mac address='52:54:00:32:00:14'/>"
                                "</interface></devices></domain>") == [(VM, "vnet7"), (OTHER, "")]
    with pytest.raises(commands.Unanswered, match="virsh printed what cannot be read"):
        commands.read_domain("error: no domain")
    listing = (" Name       MAC address          Protocol     Address\n-----------------------------------------\n"
               f" vnet7      {VM}    ipv4         192.168.32.10/24\n -          -    ipv6  fd00::1/64\n")
    assert commands.read_addresses(listing) == [(ADDRESS, VM)]


def program(directory: pathlib.Path, name: str, script: str) -> None:
    """Put a command into a directory."""
    (directory / name).write_text("#!/bin/sh\n" + script)
    os.chmod(directory / name, 0o755)


def test_open_vswitch_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(commands.Unanswered, match="^ovs-vsctl is not installed$"):
        commands.ovs()
    program(tmp_path, "ovs-vsctl", 'case "$*" in *list-br) echo br0;; *list-ifaces*) printf "vnet0\\neth1\\nvx0\\n";; '
                                   f"*) cat <<'END'\n{INTERFACES}\nEND\n;; esac\n")
    program(tmp_path, "ovs-appctl", f"cat <<'END'\n{FDB}END\n")
    found = commands.ovs()["br0"]
    assert found["entries"] == [("br0", 0, "9e:11:22:33:44:55"), ("vnet0", 100, VM), ("eth1", 0, OTHER)]
    assert [row["name"] for row in found["interfaces"]] == ["vnet0", "eth1", "vx0"]
    program(tmp_path, "ovs-appctl", "echo 'cannot connect' >&2; exit 1\n")
    with pytest.raises(commands.Unanswered, match="^ovs-appctl refused: cannot connect$"):
        commands.ovs()
    monkeypatch.setattr(commands, "CALL_SECONDS", 0.1)
    program(tmp_path, "ovs-vsctl", "exec sleep 60\n")
    with pytest.raises(commands.Unanswered, match="^ovs-vsctl did not answer in time$"):
        commands.ovs()


def test_a_question_of_arp_tells_nobody_an_address_and_the_answer_is_read():
    frame = ask.question("fe:54:00:32:00:0a", ADDRESS)
    assert len(frame) == 60
    assert frame[:6] == b"\xff" * 6
    assert frame[28:32] == bytes(4)  # sender address
    assert frame[38:42] == socket.inet_aton(ADDRESS)
    assert ask.answer(frame) is None
    said = (frame[6:12] + ask.mac_bytes(VM) + frame[12:20] + b"\0\2" + ask.mac_bytes(VM) + socket.inet_aton(ADDRESS)
            + frame[22:28] + bytes(4))
    assert ask.answer(said) == (ADDRESS, VM)
    assert ask.answer(said[:30]) is None


def test_a_solicitation_has_a_right_checksum_and_the_answer_is_read():
    frame = ask.question("fe:54:00:32:00:0a", "fd00:32::10")
    source, group = frame[22:38], frame[38:54]
    assert str(ipaddress.ip_address(source)) == "fe80::fc54:ff:fe32:a"
    assert str(ipaddress.ip_address(group)) == "ff02::1:ff00:10"
    assert frame[:6] == b"\x33\x33\xff\x00\x00\x10"
    body = frame[54:]
    assert ask.checksum(source + group + struct.pack("!II", len(body), 58) + body) == 0
    assert ask.answer(frame) is None
    target = ipaddress.ip_address("fd00:32::10").packed
    said = (frame[6:12] + ask.mac_bytes(VM) + frame[12:22] + target + source + bytes([136, 0, 0, 0, 0x60, 0, 0, 0])
            + target)
    assert ask.answer(said) == ("fd00:32::10", VM)


def test_taps_that_cannot_be_asked_are_a_gap_unless_there_are_others():
    with pytest.raises(OSError, match="No such device|not permitted"):
        ask.ask([{"ifindex": 1 << 20, "name": "nowhere0", "mac": OTHER}], [ADDRESS])
    assert ask.ask([], [ADDRESS]) == set()


class Tables(places.Host):
    """A host whose tables the test fills."""

    def __init__(self, devices, **tables):  # the real one reads the machine's
        self.links = {index: {"ifindex": index, "name": name, "kind": kind, "mac": mac, "master": master, "lower": 2,
                              "up": True, "role": netlink._ROLES.get(kind, "phy")}
                      for index, (name, kind, mac, master) in devices.items()}
        empty = {"neighbours": [], "forwarding": [], "ovs": {}, "domains": [], "answers": set(), "gaps": {}}
        self.__dict__.update(empty, **tables)


BRIDGED = {2: ("eth0", "", "02:00:00:00:00:01", 4), 3: ("vnet0", "tun", "fe:00:00:00:00:01", 4),
           4: ("br0", "bridge", "02:00:00:00:00:01", 0)}


def entry(mac=VM, ifindex=3, address="", vlan=0):
    return {"mac": mac, "ifindex": ifindex, "address": address, "vlan": vlan}


def test_a_mac_behind_a_tap_is_here_and_behind_an_uplink_elsewhere():
    host = Tables(BRIDGED, neighbours=[entry(ifindex=4, address=ADDRESS)], forwarding=[entry(vlan=7)])
    (found,) = places.places_of(host, ADDRESS, ())
    assert found == {"mac": VM, "known_from": ["neighbour table"], "device": "vnet0", "role": "vnet", "here": True,
                     "bridge": "br0", "uplinks": ["eth0"], "vlan": 7, "found_in": ["bridge forwarding table"]}
    host.forwarding = [entry(ifindex=2)]
    (found,) = places.places_of(host, ADDRESS, ())
    assert (found["device"], found["role"], found["here"]) == ("eth0", "phy", False)
    host.forwarding = []
    (found,) = places.places_of(host, ADDRESS, ())
    assert (found["mac"], found["device"], found["here"]) == (VM, "", False)
    host.neighbours = []
    assert places.places_of(host, ADDRESS, ()) == []


def test_an_answer_of_the_vm_is_enough_and_a_tap_s_own_mac_tells_whose_it_is():
    host = Tables(BRIDGED, answers={(ADDRESS, VM, 3)})
    (found,) = places.places_of(host, ADDRESS, ())
    assert (found["here"], found["known_from"], found["found_in"]) == (True, ["answer of the VM"], ["answer of the VM"])
    host = Tables({**BRIDGED, 3: ("vnet0", "tun", "fe" + VM[2:], 4)})
    (found,) = places.places_of(host, ADDRESS, [VM])
    assert (found["here"], found["found_in"]) == (True, ["the device's own MAC"])


def test_a_port_s_own_mac_and_a_macvtap():
    host = Tables({**BRIDGED, 3: ("vnet0", "tun", VM, 4)}, forwarding=[entry()])
    assert places.places_of(host, ADDRESS, [VM])[0]["device"] == ""
    host = Tables({2: BRIDGED[2], 5: ("macvtap0", "macvtap", VM, 0)})
    (found,) = places.places_of(host, ADDRESS, [VM])
    assert (found["here"], found["device"], found["bridge"], found["uplinks"]) == (True, "macvtap0", "", ["eth0"])


def test_open_vswitch_in_two_bridges_with_a_tunnel():
    def row(name, kind="", mac=""):
        return {"name": name, "port": "", "type": kind, "mac": mac}
    tables = {"br-int": {"interfaces": [row("vnet0", mac=VM), row("patch-tun", "patch"), row("br-int", "internal")],
                         "entries": [("vnet0", 3, VM), ("patch-tun", 3, OTHER)]},
              "br-tun": {"interfaces": [row("vx0", "vxlan"), row("patch-int", "patch"), row("eth0")],
                         "entries": [("vx0", 3, OTHER)]}}
    host = Tables({2: BRIDGED[2], 3: BRIDGED[3]}, ovs=tables)
    (found,) = places.places_of(host, ADDRESS, [VM])
    assert found["found_in"] == ["Open vSwitch forwarding table", "Open vSwitch interface"]
    assert (found["here"], found["bridge"], found["uplinks"], found["vlan"]) == (True, "br-int", ["eth0", "vx0"], 3)
    found = places.places_of(host, "192.168.32.20", [OTHER])
    assert [(place["device"], place["role"], place["here"]) for place in found] == [
        ("patch-tun", "other", False), ("vx0", "tunnel", False)]


def test_libvirt_knows_address_and_device():
    host = Tables(BRIDGED, domains=[{"domain": "d", "interfaces": [(VM, "vnet0")], "addresses": [(ADDRESS, VM)]}])
    (found,) = places.places_of(host, ADDRESS, ())
    assert (found["here"], found["known_from"], found["found_in"]) == (True, ["libvirt"], ["libvirt"])
