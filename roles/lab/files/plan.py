# SPDX-License-Identifier: Apache-2.0
"""Names and addresses of the lab: what there is to build, and nothing about how."""
from typing import List, NamedTuple

MOST = 64
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
LETTERS = [first + last for first in ("", *_ALPHABET) for last in _ALPHABET][:MOST]    # a to z, aa, ab, …

WIRE = "wire"            # namespace of the underlay
WIRE_BRIDGE = "wire0"    # the switch in it
MGMT_BRIDGE = "skbfleet-mgmt"  # in the machine's own namespace: ssh does not cross the wire
MGMT_ADDRESS = "10.77.0.1/24"


class Hypervisor(NamedTuple):
    """One hypervisor and the VM behind it. `number` counts from 1."""
    letter: str
    number: int

    @property
    def name(self) -> str:
        return "hv-" + self.letter

    @property
    def vm(self) -> str:
        return "vm-" + self.letter

    @property
    def wire_port(self) -> str:
        """The wire's end of the veth pair whose other end is the hypervisor's eth0."""
        return "p-" + self.letter

    @property
    def mgmt_port(self) -> str:
        return "mgmt-hv-" + self.letter

    @property
    def mgmt_address(self) -> str:
        return "10.77.0.%d" % (10 + self.number)

    @property
    def nic_mac(self) -> str:
        return "02:77:00:00:00:%02x" % self.number

    @property
    def _vm_number(self) -> int:
        return 10 * self.number if self.number < 10 else 90 + self.number

    @property
    def vm_address(self) -> str:
        return "192.168.32.%d" % self._vm_number

    @property
    def vm_address6(self) -> str:
        return "fd00:32::%d" % self._vm_number

    @property
    def vm_mac(self) -> str:
        return "52:54:00:32:00:%02x" % self._vm_number

    @property
    def vnet_mac(self) -> str:
        """MAC of the hypervisor's end of the VM's link; libvirt puts fe in front of the VM's own in the same way."""
        return "fe" + self.vm_mac[2:]


def hypervisors(count: int) -> List[Hypervisor]:
    """The first `count` hypervisors, 1 to MOST."""
    return [Hypervisor(letter, number) for number, letter in enumerate(LETTERS[:count], 1)]
