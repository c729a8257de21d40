#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Finds the VMs that have certain addresses on one hypervisor."""
DOCUMENTATION = r"""
---
module: skbfleet_locate
short_description: Say whether this host carries the VMs that have certain addresses
description:
  - For each address, looks up the MAC that has it (the host's neighbour tables, libvirt's leases), and the device
    behind which that MAC is (the bridges' and Open vSwitch's forwarding tables, Open vSwitch's C(attached-mac),
    libvirt's domains, and the device's own MAC, which libvirt derives from the VM's). If that is a tap, a macvtap or
    another device of role vnet, this host carries the VM; if it is an uplink, another host does.
  - Needs no command on the host. C(ovs-vsctl), C(ovs-appctl) and C(virsh) are asked, without a shell and only to read,
    where they are installed; RV(gaps) says which could not be asked.
  - With O(ask), VMs are asked for an address that is not found otherwise, because a forwarding table has no addresses,
    and a VM that is quiet is in no table. Each tap that is up gets one ARP probe (RFC 5227, sender 0.0.0.0) or one IPv6
    neighbour solicitation for each such address, at most a second one after 0.4 s, and answers count for 1 s. The
    frames leave at the tap towards the VM, and no other machine sees them. Nobody learns an address from an ARP probe.
    A VM that is claiming the same address at this very instant may take the probe for a rival's.
  - Looks at the network namespace in which it runs.
author: The skbfleet authors
options:
  addresses:
    description: IPv4 and IPv6 addresses of VMs.
    type: list
    elements: str
    required: true
  macs:
    description: Address to a list of MACs that are known to have it, for example from another host.
    type: dict
    default: {}
  ask:
    description: Whether VMs are asked for addresses that are not found otherwise; root is needed for it.
    type: bool
    default: false
  pair:
    description:
      - The two ends, as M(skbfleet_pair) returns them; the MACs that any host of the play has told for them go along.
      - The action plugin of the same name takes it; the module itself ignores it.
    type: dict
attributes:
  check_mode:
    support: full
    description: Does the same, for it changes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Look whether the two VMs are here
  skbfleet_locate:
    addresses: [192.0.2.10, 192.0.2.20]
    ask: true
  become: true
  register: found
"""

RETURN = r"""
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
places:
  description: For each address the places where this host sees it, those of VMs on this host first.
  returned: success
  type: dict
  sample:
    192.0.2.10:
      - bridge: br0
        device: vnet0
        found_in: [bridge forwarding table]
        here: true
        known_from: [neighbour table]
        mac: 52:54:00:00:00:01
        role: vnet
        uplinks: [eth0]
        vlan: 0
gaps:
  description: What could not be looked at on this host, and why.
  returned: success
  type: dict
  sample: {libvirt: virsh is not installed}
"""

import ipaddress
import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_places import locate

ARGUMENTS = {
    "addresses": {"type": "list", "elements": "str", "required": True},
    "macs": {"type": "dict", "default": {}},
    "ask": {"type": "bool", "default": False},
    "pair": {"type": "dict"},
}
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


def usable(params):
    """Return (addresses, macs) in their usual form; raises ValueError with a sentence."""
    addresses = [str(ipaddress.ip_address(word)) for word in params["addresses"]]
    macs = {}
    for word, values in params["macs"].items():
        values = [str(mac).lower() for mac in (values if isinstance(values, list) else [values])]
        wrong = [mac for mac in values if not MAC.match(mac) or len(mac) != 17]
        if wrong:
            raise ValueError("macs has %r: it must be six pairs of hexadecimal digits with colons" % wrong[0])
        macs[str(ipaddress.ip_address(word))] = values
    return addresses, macs


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        addresses, macs = usable(module.params)
        module.exit_json(changed=False, **locate(addresses, macs, module.params["ask"]))
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg="the devices of this host cannot be listed: %s" % (error.strerror or error))


if __name__ == "__main__":
    main()
