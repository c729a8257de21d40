# SPDX-License-Identifier: Apache-2.0
"""The device table: asked of the kernel by rtnetlink, so that no command has to be installed.

Format: include/uapi/linux/rtnetlink.h and if_link.h of the kernel.
"""
import socket
import struct
from typing import Any, Dict, Iterator, List, Set, Tuple

from .. import foreign
from . import netns

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_NLM_F_REQUEST, _NLM_F_REQUEST_DUMP = 0x1, 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_STATS64 = 1, 3, 4, 5, 10, 18, 23
_IFLA_INFO_KIND = 1
_IFF_LOOPBACK = 0x8
_ARPHRD_ETHER = 1
_STATISTICS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped",
               "tx_dropped", "multicast", "collisions", "rx_length_errors", "rx_over_errors", "rx_crc_errors",
               "rx_frame_errors", "rx_fifo_errors", "rx_missed_errors", "tx_aborted_errors", "tx_carrier_errors",
               "tx_fifo_errors")
_TUNNELS = ("vxlan", "geneve", "gre", "gretap", "ipip", "sit", "ip6gre", "ip6gretap", "ip6tnl", "erspan", "wireguard")
# what shares a lower device, or a table of routes, is like a VLAN, or a bridge's own device, to the packet
_ROLES = {"tun": "vnet", "macvtap": "vnet", "ipvtap": "vnet", "bridge": "bridge", "openvswitch": "internal",
          "vrf": "internal", "veth": "veth", "netkit": "veth", "bond": "bond", "team": "bond", "vlan": "vlan",
          "macvlan": "vlan", "ipvlan": "vlan", "macsec": "vlan"}


def read(path: str) -> List[Dict[str, Any]]:
    """Return the devices of the namespace at `path`, each with its statistics; raises OSError."""
    with netns.inside(path):
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        link.send(struct.pack("=IHHII", 32, _RTM_GETLINK, _NLM_F_REQUEST_DUMP, 1, 0) + bytes(16))
        return [_device(payload) for payload in _messages(link)]
    finally:
        link.close()


class Numbers:
    """The numbers of devices by name: a VM that starts again gets a new device of the old name."""

    def __init__(self, path: str, names: List[bytes]) -> None:
        """path: of the namespace; raises OSError."""
        self._names = names
        with netns.inside(path):
            self._link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._link.settimeout(1)

    def now(self) -> Set[int]:
        """Return the numbers of those that there are now."""
        return {number for number in map(self._number, self._names) if number}

    def _number(self, name: bytes) -> int:
        attribute = struct.pack("=HH", 5 + len(name), _IFLA_IFNAME) + name.ljust((len(name) + 4) & ~3, b"\0")
        try:
            self._link.send(struct.pack("=IHHII", 32 + len(attribute), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0) + bytes(16)
                            + attribute)
            answer = self._link.recv(1 << 18)
        except OSError:
            return 0
        kind, number = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 20)[0]
        return int(number) if kind == _RTM_NEWLINK else 0


def _messages(link: socket.socket) -> Iterator[bytes]:
    while True:
        data = link.recv(1 << 18)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", data, 16)[0], "rtnetlink refused to list the devices")
            if kind == _RTM_NEWLINK:
                yield data[16:length]
            data = data[(length + 3) & ~3:]


def _attributes(data: bytes) -> Iterator[Tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def _device(payload: bytes) -> Dict[str, Any]:
    _family, arp_type, index, flags = struct.unpack_from("=BxHiI", payload)
    found = dict(_attributes(payload[16:]))
    information = dict(_attributes(found.get(_IFLA_LINKINFO, b"")))
    kind = foreign.shown(information.get(_IFLA_INFO_KIND, b"").rstrip(b"\0"))
    values = struct.unpack_from("=%dQ" % len(_STATISTICS), found[_IFLA_STATS64])
    return {
        "ifindex": index, "name": foreign.shown(found[_IFLA_IFNAME].rstrip(b"\0")), "kind": kind,
        "mac": ":".join("%02x" % byte for byte in found.get(_IFLA_ADDRESS, b"")),
        "mtu": struct.unpack("=I", found[_IFLA_MTU])[0],
        "master": struct.unpack("=I", found.get(_IFLA_MASTER, bytes(4)))[0],
        "link": struct.unpack("=I", found.get(_IFLA_LINK, bytes(4)))[0],    # of a veth: its other end, maybe elsewhere
        "role": _role(kind, arp_type, flags), "statistics": dict(zip(_STATISTICS, values)),
    }


def _role(kind: str, arp_type: int, flags: int) -> str:
    """What the device is in the datapath; a device without a kind that speaks Ethernet is a driver's own: physical."""
    if flags & _IFF_LOOPBACK:
        return "loopback"
    if kind in _TUNNELS:
        return "tunnel"
    if not kind and arp_type == _ARPHRD_ETHER:
        return "phy"
    return _ROLES.get(kind, "other")


class Table:
    """The devices of one or of all namespaces, with their counters before and after the capture."""

    def __init__(self, paths: Dict[int, str]) -> None:
        """paths: inode -> file of each namespace to list."""
        self._paths = paths
        self._devices: Dict[Tuple[int, int], Dict[str, Any]] = {}
        self._refresh("before")

    def _refresh(self, when: str) -> None:
        for inode, path in self._paths.items():
            try:
                listed = read(path)
            except OSError:  # the namespace ended with its last process
                continue
            for device in listed:
                statistics = device.pop("statistics")
                row = self._devices.setdefault((inode, device["ifindex"]), dict(device, netns=inode, statistics={}))
                row["statistics"][when] = statistics

    def finish(self) -> None:
        """Read the counters again."""
        self._refresh("after")

    def rows(self) -> List[Dict[str, Any]]:
        """Return the rows for the manifest."""
        return [self._devices[key] for key in sorted(self._devices)]

    def name(self, inode: int, ifindex: int) -> str:
        """Return a device's name, asking again once for a device that came later; "if7" for one that is unknown."""
        if not ifindex:
            return "-"
        if (inode, ifindex) not in self._devices:
            self._look_again(inode, ifindex)
        return str(self._devices[inode, ifindex]["name"])

    def _look_again(self, inode: int, ifindex: int) -> None:
        if inode in self._paths:
            try:
                for device in read(self._paths[inode]):
                    device.pop("statistics")
                    self._devices.setdefault((inode, device["ifindex"]), dict(device, netns=inode, statistics={}))
            except OSError:
                pass
        self._devices.setdefault((inode, ifindex), {"netns": inode, "ifindex": ifindex, "name": "if%d" % ifindex,
                                                    "kind": "", "mac": "", "mtu": 0, "master": 0, "role": "other",
                                                    "statistics": {}})
