# SPDX-License-Identifier: Apache-2.0
"""Names of drop reasons: every kernel release numbers them anew, so they come from the running kernel's types.

A subsystem's reasons have the subsystem's number in the upper 16 bits (include/net/dropreason.h of the kernel).
"""
from typing import Dict, Optional

from . import lookup

_CORE, _SUBSYSTEMS = "skb_drop_reason", "skb_drop_reason_subsys"
_OF_SUBSYSTEM = {"OPENVSWITCH": ("ovs_drop_reason", "openvswitch")}  # enum and the module that has it
ENUMS = [_CORE, _SUBSYSTEMS] + [enum for enum, _module in _OF_SUBSYSTEM.values()]


def read(types: Optional[lookup.Types]) -> Dict[int, str]:
    """Return number -> name without the common prefix ("FULL_RING"); empty where the kernel has or tells none."""
    if types is None:
        return {}
    core = types.vmlinux
    names = {number: _short(name, "SKB_DROP_REASON_") for number, name in core.enum(_CORE).items()}
    for number, subsystem in core.enum(_SUBSYSTEMS).items():
        enum, module = _OF_SUBSYSTEM.get(_short(subsystem, "SKB_DROP_REASON_SUBSYS_"), ("", ""))
        of_module = types.of(module) if enum else None
        for reason, name in (of_module.enum(enum) if of_module else {}).items():
            names[number << 16 | reason & 0xFFFF] = _short(name, "OVS_DROP_")
    return names


def _short(name: str, prefix: str) -> str:
    return name[len(prefix):] if name.startswith(prefix) else name
