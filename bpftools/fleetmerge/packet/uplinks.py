# SPDX-License-Identifier: Apache-2.0
"""By which devices packets of a host's VMs come and go: its other ones, say for its management, are none of theirs."""
from collections.abc import Mapping, Sequence
from typing import Any

from .places import LOCAL, ends_here, key_of, outward

_DEEPEST = 4    # a VLAN on a bond of devices is three below a bridge


def to_vms(devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices of a manifest that lead to other hosts, and from there to VMs.

    These are all, unless every VM is at a port of a bridge or a switch: then they are its other ports, and what is
    below them. What is below a tunnel, or behind a veth that stays on the host, nobody says.
    """
    lead, local = outward(devices), [device for device in devices if device.get("role") in LOCAL]
    if not local or not all(device.get("master") for device in local):
        return lead
    carry = {(key_of(device)[0], int(device["master"])) for device in local}
    for _ in range(_DEEPEST):
        carry |= {key_of(device) for device in devices if _master(device) in carry}
        carry |= {(key_of(device)[0], int(device["link"])) for device in devices
                  if key_of(device) in carry and device.get("link") and device.get("role") != "veth"}
    routed = any(device.get("kind") == "vrf" and key_of(device) in carry for device in devices)    # it is no switch
    if routed or carry & set(ends_here(devices)) or any(device.get("role") == "tunnel" for device in devices):
        return lead
    return [device for device in lead if key_of(device) in carry] or lead


def _master(device: Mapping[str, Any]) -> tuple[int, int]:
    return key_of(device)[0], int(device.get("master") or 0)
