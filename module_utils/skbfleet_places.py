# SPDX-License-Identifier: Apache-2.0
"""Where a host sees the VM that has an address: which MAC it has, and behind which device that MAC is."""
from typing import Any, Dict, Set  # noqa: F401 (in type comments)

from ansible.module_utils import skbfleet_ask, skbfleet_commands, skbfleet_netlink

BEHIND_TUNNEL = "tunnel"


class Host:
    """What a host's tables say, read once; what could not be read is in `gaps`, by the table's name."""

    def __init__(self):
        self.gaps = {}
        self.links = skbfleet_netlink.links()  # without it nothing can be said: an error
        self.neighbours = self._read("neighbour table", skbfleet_netlink.neighbours, [])
        self.forwarding = self._read("bridge forwarding table", skbfleet_netlink.forwarding, [])
        self.ovs = self._read("Open vSwitch", skbfleet_commands.ovs, {})
        self.domains = self._read("libvirt", skbfleet_commands.libvirt, [])
        self.answers = set()  # (address, mac, ifindex)

    def _read(self, name, read, nothing):
        try:
            return read()
        except (OSError, skbfleet_commands.Unanswered) as error:
            self.gaps[name] = getattr(error, "strerror", None) or str(error)
            return nothing

    def ask(self, addresses):
        """Ask the VMs behind this host's taps for addresses."""
        taps = [link for link in self.links.values() if link["kind"] == "tun" and link["mac"] and link["up"]]
        self.answers |= self._read("question to the VMs", lambda: skbfleet_ask.ask(taps, addresses), set())


def macs_of(host, address):
    """Return mac -> the sources from which this host knows that the address has it."""
    found = {}  # type: Dict[str, Set[str]]
    for entry in host.neighbours:
        if entry["address"] == address:
            found.setdefault(entry["mac"], set()).add("neighbour table")
    for domain in host.domains:
        for other, mac in domain["addresses"]:
            if other == address:
                found.setdefault(mac, set()).add("libvirt")
    for other, mac, _ifindex in host.answers:
        if other == address:
            found.setdefault(mac, set()).add("answer of the VM")
    return found


def sightings(host, address, mac):
    """Return (device's name, ifindex or 0, vlan, source) for everything that says where a MAC is on this host."""
    return (_in_kernel(host, address, mac) + _in_ovs(host, mac) + _in_domains(host, mac) + _in_devices(host, mac))


def _in_kernel(host, address, mac):
    found = [(host.links[index]["name"], index, 0, "answer of the VM") for other, owner, index in sorted(host.answers)
             if (other, owner) == (address, mac)]
    for entry in host.forwarding:
        port = host.links.get(entry["ifindex"])
        if entry["mac"] == mac and port and port["mac"] != mac:  # else it is the port's own address
            found.append((port["name"], entry["ifindex"], entry["vlan"], "bridge forwarding table"))
    for entry in host.neighbours:
        port = host.links.get(entry["ifindex"])
        if entry["mac"] == mac and port and port["role"] == "vnet":  # a routed VM: no bridge in between
            found.append((port["name"], entry["ifindex"], 0, "neighbour table"))
    return found


def _in_ovs(host, mac):
    found = []
    for table in host.ovs.values():
        found += [(name, index_of(host, name), vlan, "Open vSwitch forwarding table")
                  for name, vlan, other in table["entries"] if other == mac]
        found += [(row["name"], index_of(host, row["name"]), 0, "Open vSwitch interface")
                  for row in table["interfaces"] if row["mac"] == mac]
    return found


def _in_domains(host, mac):
    return [(device, index_of(host, device), 0, "libvirt") for domain in host.domains
            for other, device in domain["interfaces"] if other == mac and device]


def _in_devices(host, mac):
    """libvirt gives a tap the MAC of its VM with fe in front; a macvtap has the VM's own."""
    return [(link["name"], index, 0, "the device's own MAC") for index, link in sorted(host.links.items())
            if link["role"] == "vnet" and link["mac"] == (mac if link["kind"] == "macvtap" else "fe" + mac[2:])]


def index_of(host, name):
    """Return a device's ifindex, 0 for a name that only Open vSwitch knows."""
    return next((index for index, link in host.links.items() if link["name"] == name), 0)


def surroundings(host, name, index):
    """Return (bridge, uplinks) of a device: where it is switched, and what leads out of there."""
    for bridge, table in host.ovs.items():
        if any(row["name"] == name for row in table["interfaces"]):
            return bridge, _ovs_uplinks(host, bridge)
    link = host.links.get(index)
    if link is None:
        return "", []
    if link["kind"] == "macvtap":
        return "", [host.links[link["lower"]]["name"]] if link["lower"] in host.links else []
    master = host.links.get(link["master"])
    if master is None:
        return "", []
    return master["name"], sorted(other["name"] for other in host.links.values()
                                  if other["master"] == link["master"] and other["role"] != "vnet")


def _ovs_uplinks(host, bridge):
    """Return what leads out of an OVS bridge, and of those that a patch port joins to it."""
    joined = [bridge]
    if any(row["type"] == "patch" for row in host.ovs[bridge]["interfaces"]):
        joined = [name for name, table in host.ovs.items()
                  if any(row["type"] == "patch" for row in table["interfaces"])]
    roles = {link["name"]: link["role"] for link in host.links.values()}
    return sorted(row["name"] for name in joined for row in host.ovs[name]["interfaces"]
                  if skbfleet_commands.is_tunnel(row)
                  or row["type"] not in ("internal", "patch") and roles.get(row["name"], "vnet") != "vnet")


def role_of(host, name, index):
    """Return a device's role in the datapath."""
    if index in host.links:
        return host.links[index]["role"]
    rows = [row for table in host.ovs.values() for row in table["interfaces"] if row["name"] == name]
    if rows and skbfleet_commands.is_tunnel(rows[0]):
        return BEHIND_TUNNEL
    # a guest that is attached in user space has a port of OVS and no device
    return "vnet" if rows and rows[0]["type"].startswith("dpdkvhostuser") else "other"


def places_of(host, address, given):
    """Return where this host sees an address, a place for each MAC and device, that of a VM here first.

    given: MACs that are known from elsewhere. A MAC that is known and seen nowhere has a place without a device.
    """
    found = []
    macs = macs_of(host, address)
    for mac in given:
        macs.setdefault(mac, set())
    for mac in sorted(macs):
        devices = {}  # type: Dict[str, Dict[str, Any]]
        for name, index, vlan, source in sightings(host, address, mac):
            place = devices.setdefault(name, {"index": index, "vlan": 0, "found_in": []})
            place["vlan"] = place["vlan"] or vlan
            place["found_in"] += [source] * (source not in place["found_in"])
        for name, place in devices.items() or [("", {"index": 0, "vlan": 0, "found_in": []})]:
            bridge, uplinks = surroundings(host, name, place["index"])
            role = role_of(host, name, place["index"]) if name else ""
            found.append({"mac": mac, "known_from": sorted(macs[mac]), "device": name, "role": role,
                          "here": role == "vnet", "bridge": bridge, "uplinks": uplinks, "vlan": place["vlan"],
                          "found_in": place["found_in"]})
    return sorted(found, key=lambda place: not place["here"])


def locate(addresses, macs, ask):
    """Return {"places": address -> places, "gaps": source -> why it could not be asked}.

    addresses: of VMs, as text in its usual form; macs: address -> MACs known from elsewhere; ask: whether VMs are
    asked for addresses that are not found here. Raises OSError if the host's devices cannot be listed.
    """
    host = Host()
    places = {address: places_of(host, address, macs.get(address, ())) for address in addresses}
    missing = [address for address in addresses if not any(place["here"] for place in places[address])]
    if ask and missing:
        host.ask(missing)
        places.update((address, places_of(host, address, macs.get(address, ()))) for address in missing)
    return {"places": places, "gaps": host.gaps}
