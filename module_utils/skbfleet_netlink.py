# SPDX-License-Identifier: Apache-2.0
"""Devices, neighbours and bridge forwarding tables of a host, asked by rtnetlink: no command has to be installed.

Format: include/uapi/linux/rtnetlink.h, if_link.h and neighbour.h of the kernel.
"""
import socket
import struct

RTM_NEWLINK, RTM_GETLINK, RTM_NEWNEIGH, RTM_GETNEIGH = 16, 18, 28, 30
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 3, 5, 10, 18, 1
_NDA_DST, _NDA_LLADDR, _NDA_VLAN, _NDA_MASTER = 1, 2, 5, 9
_NUD_INCOMPLETE, _NUD_FAILED = 0x01, 0x20
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_ARPHRD_ETHER = 1
AF_BRIDGE = 7
_TUNNELS = ("vxlan", "geneve", "gre", "gretap", "ipip", "sit", "ip6gre", "ip6gretap", "ip6tnl", "erspan", "wireguard")
# the words of the tracers' device table
_ROLES = {"tun": "vnet", "macvtap": "vnet", "ipvtap": "vnet", "bridge": "bridge", "openvswitch": "internal",
          "vrf": "internal", "veth": "veth", "netkit": "veth", "bond": "bond", "team": "bond", "vlan": "vlan",
          "macvlan": "vlan", "ipvlan": "vlan", "macsec": "vlan"}


def links():
    """Return ifindex -> device: name, kind, role, mac, master and lower (an ifindex, or 0), up."""
    found = [link_of(payload) for payload in _dump(RTM_GETLINK, RTM_NEWLINK, bytes(16))]
    return {link["ifindex"]: link for link in found}


def neighbours():
    """Return what the host knows of its neighbours, IPv4 and IPv6: address, mac, ifindex."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            entries = [neighbour_of(payload) for payload in _dump(RTM_GETNEIGH, RTM_NEWNEIGH, _about(family))]
        except OSError:
            if family == socket.AF_INET:
                raise
            continue  # a kernel without IPv6 has no such neighbours
        found += [entry for entry in entries if entry["address"] and entry["mac"] and not entry["failed"]]
    return found


def forwarding():
    """Return the entries of all bridges' forwarding tables: mac, ifindex of the port, vlan (0: none)."""
    entries = [neighbour_of(payload) for payload in _dump(RTM_GETNEIGH, RTM_NEWNEIGH, _about(AF_BRIDGE))]
    return [entry for entry in entries if entry["mac"]]


def _about(family):
    return struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)


def _dump(request, answer, header):
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        link.settimeout(10)
        link.send(struct.pack("=IHHII", 16 + len(header), request, _REQUEST_DUMP, 1, 0) + header)
        while True:
            for kind, payload in messages(link.recv(1 << 18)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", payload)[0], "rtnetlink refused")
                if kind == answer:
                    yield payload
    finally:
        link.close()


def messages(data):
    """Yield (type, payload) of each netlink message in what one recv brought."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[max(16, (length + 3) & ~3):]


def attributes(data):
    """Return type -> content of a message's attributes."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[max(4, (length + 3) & ~3):]
    return found


def mac_text(data):
    """Return a MAC address as text; "" for what is none."""
    return ":".join("%02x" % byte for byte in data) if len(data) == 6 else ""


def _number(found, kind):
    return struct.unpack("=I", found[kind][:4])[0] if kind in found else 0


def link_of(payload):
    """Return the device that an RTM_NEWLINK message describes."""
    arp_type, index, flags = struct.unpack_from("=xxHiI", payload)
    found = attributes(payload[16:])
    kind = attributes(found.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode()
    return {"ifindex": index, "name": found[_IFLA_IFNAME].rstrip(b"\0").decode("utf-8", "replace"), "kind": kind,
            "role": _role(kind, arp_type, flags), "mac": mac_text(found.get(_IFLA_ADDRESS, b"")),
            "master": _number(found, _IFLA_MASTER), "lower": _number(found, _IFLA_LINK), "up": bool(flags & _IFF_UP)}


def _role(kind, arp_type, flags):
    if flags & _IFF_LOOPBACK:
        return "loopback"
    if kind in _TUNNELS:
        return "tunnel"
    if not kind and arp_type == _ARPHRD_ETHER:
        return "phy"
    return _ROLES.get(kind, "other")


def neighbour_of(payload):
    """Return what an RTM_NEWNEIGH message says, of a neighbour or of a bridge's forwarding table."""
    family, index, state = struct.unpack_from("=BxxxiH", payload)
    found = attributes(payload[12:])
    address = ""
    if family in (socket.AF_INET, socket.AF_INET6) and _NDA_DST in found:
        address = socket.inet_ntop(family, found[_NDA_DST])
    return {"address": address, "mac": mac_text(found.get(_NDA_LLADDR, b"")), "ifindex": index,
            "failed": bool(state & (_NUD_INCOMPLETE | _NUD_FAILED)),
            "vlan": struct.unpack("=H", found[_NDA_VLAN][:2])[0] if _NDA_VLAN in found else 0,
            "master": _number(found, _NDA_MASTER)}
