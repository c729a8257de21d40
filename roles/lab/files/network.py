# SPDX-License-Identifier: Apache-2.0
"""Namespaces, links and addresses of the lab. Only what is missing is made; settings are put right every time.

    vm-a: eth0 ~ shuttle ~ vnet0 - br0 - eth0 == p-a - wire0 - p-b == eth0 - br0 - vnet0 ~ shuttle ~ eth0 :vm-b
                           (      hv-a      )    (     wire      )    (      hv-b      )
"""
import json
import os
from typing import Dict, List, Set

import namespaces
from namespaces import run
from plan import MGMT_ADDRESS, MGMT_BRIDGE, WIRE, WIRE_BRIDGE, Hypervisor

ROOT = ""  # the machine's own namespace


def _in(netns: str) -> List[str]:
    return ["ip", "-n", netns] if netns else ["ip"]


def links(netns: str) -> Set[str]:
    """Names of the devices in a namespace."""
    return {link["ifname"] for link in json.loads(run(_in(netns) + ["-j", "link", "show"]) or "[]")}


def _batch(netns: str, commands: List[str]) -> None:
    run(_in(netns) + ["-batch", "-"], "\n".join(commands) + "\n")


def _sysctl(netns: str, settings: Dict[str, str]) -> None:
    with namespaces.inside(netns):
        for name, value in settings.items():
            path = "/proc/sys/" + name
            if os.path.exists(path):  # a kernel without IPv6 has no settings for it
                with open(path, "w") as handle:
                    handle.write(value)


class Builder:
    """Makes what is missing and remembers what that was, in `made`."""

    def __init__(self) -> None:
        self.made: List[str] = []
        self._links: Dict[str, Set[str]] = {}

    def namespace(self, name: str, sysctls: Dict[str, str]) -> None:
        """A network namespace; `sysctls` are set only when it is new, so that tests may change them."""
        if namespaces.exists(name):
            return
        namespaces.remove(name)  # the remains of a half-made one
        run(["ip", "netns", "add", name])
        _sysctl(name, sysctls)
        self.made.append(name)

    def link(self, netns: str, name: str, command: str) -> None:
        """A device: made by `command` (the rest of an ip command line) unless there is one of that name."""
        if netns not in self._links:
            self._links[netns] = links(netns)
        if name in self._links[netns]:
            return
        run(_in(netns) + command.split())
        self._links[netns].add(name)
        self.made.append("%s/%s" % (netns, name) if netns else name)


# The hypervisors speak no IPv6, and the machine none to them (it would ask for routers); the VMs ask for no router,
# detect no duplicates and report multicast groups once, at once: nothing but a test's own packets (and their ARP and
# neighbour discovery) is on the wire.
HYPERVISOR_SYSCTLS = {"net/ipv6/conf/default/disable_ipv6": "1"}
VM_SYSCTLS = {"net/ipv6/mld_qrv": "1"}
for _scope in ("all", "default"):
    VM_SYSCTLS.update({
        "net/ipv6/conf/%s/accept_ra" % _scope: "0",
        "net/ipv6/conf/%s/accept_dad" % _scope: "0",
        "net/ipv6/conf/%s/mldv2_unsolicited_report_interval" % _scope: "1",
    })


def build(hosts: List[Hypervisor]) -> List[str]:
    """Make the whole network; returns what had been missing."""
    if not os.path.exists("/dev/net/tun"):
        run(["modprobe", "tun"])
    builder = Builder()
    builder.namespace(WIRE, HYPERVISOR_SYSCTLS)
    builder.link(WIRE, WIRE_BRIDGE, "link add %s type bridge mcast_snooping 0" % WIRE_BRIDGE)
    _batch(WIRE, ["link set lo up", "link set %s up" % WIRE_BRIDGE])
    builder.link(ROOT, MGMT_BRIDGE, "link add %s type bridge mcast_snooping 0" % MGMT_BRIDGE)
    _batch(ROOT, ["addr replace %s dev %s" % (MGMT_ADDRESS, MGMT_BRIDGE),
                  "link set %s addrgenmode none up" % MGMT_BRIDGE])
    for host in hosts:
        _build_hypervisor(builder, host)
        _build_vm(builder, host)
    return builder.made


def _build_hypervisor(builder: Builder, host: Hypervisor) -> None:
    builder.namespace(host.name, HYPERVISOR_SYSCTLS)
    builder.link(ROOT, host.mgmt_port, "link add %s type veth peer name mgmt0 netns %s" % (host.mgmt_port, host.name))
    builder.link(WIRE, host.wire_port, "link add %s type veth peer name eth0 address %s netns %s"
                 % (host.wire_port, host.nic_mac, host.name))
    builder.link(host.name, "br0", "link add br0 address %s type bridge mcast_snooping 0" % host.nic_mac)
    builder.link(host.name, "vnet0", "tuntap add dev vnet0 mode tap vnet_hdr")
    _batch(ROOT, ["link set %s addrgenmode none master %s up" % (host.mgmt_port, MGMT_BRIDGE)])
    _batch(WIRE, ["link set %s master %s up" % (host.wire_port, WIRE_BRIDGE)])
    _batch(host.name, [
        "link set lo up",
        "addr replace %s/24 dev mgmt0" % host.mgmt_address, "link set mgmt0 up",
        "link set br0 up",
        "link set eth0 master br0 up",
        "link set vnet0 address %s" % host.vnet_mac, "link set vnet0 master br0 up",
    ])


def _build_vm(builder: Builder, host: Hypervisor) -> None:
    builder.namespace(host.vm, VM_SYSCTLS)
    builder.link(host.vm, "eth0", "tuntap add dev eth0 mode tap vnet_hdr")
    _batch(host.vm, [
        "link set lo up",
        # A guest's own queue holds its sender back rather than drop: here it is so long that it does not overflow.
        "link set eth0 address %s txqueuelen 20000" % host.vm_mac, "link set eth0 up",
        "addr replace %s/24 dev eth0" % host.vm_address,
        "addr replace %s/64 dev eth0 nodad" % host.vm_address6,
    ])


def destroy(hosts: List[Hypervisor]) -> List[str]:
    """Remove the network, whatever there is of it; returns what was removed."""
    ours = [host.mgmt_port for host in hosts] + [MGMT_BRIDGE]
    removed = [name for name in ours if name in links(ROOT)]
    for name in removed:
        run(["ip", "link", "del", name])
    for name in [name for host in hosts for name in (host.vm, host.name)] + [WIRE]:
        if os.path.lexists(namespaces.path_of(name)):
            namespaces.remove(name)
            removed.append(name)
    return removed
