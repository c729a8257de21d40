# SPDX-License-Identifier: Apache-2.0
"""Names of drop reasons: every kernel release numbers them anew, so they come from the running kernel's types.

A subsystem's reasons have the subsystem's number in the upper 16 bits (include/net/dropreason.h of the kernel).
"""
from typing import Dict

from . import btf

_CORE, _SUBSYSTEMS = "skb_drop_reason", "skb_drop_reason_subsys"
_OF_SUBSYSTEM = {"OPENVSWITCH": "ovs_drop_reason", "MAC80211_UNUSABLE": "mac80211_drop_reason"}
ENUMS = [_CORE, _SUBSYSTEMS] + sorted(_OF_SUBSYSTEM.values())


def read(types: btf.Btf) -> Dict[int, str]:
    """Return number -> name without the common prefix ("FULL_RING"); empty on kernels without reasons."""
    names = {number: _short(name, "SKB_DROP_REASON_") for number, name in types.enum(_CORE).items()}
    for number, subsystem in types.enum(_SUBSYSTEMS).items():
        short = _short(subsystem, "SKB_DROP_REASON_SUBSYS_")
        for reason, name in types.enum(_OF_SUBSYSTEM.get(short, "")).items():
            names[number << 16 | reason & 0xFFFF] = name
    return names


def _short(name: str, prefix: str) -> str:
    return name[len(prefix):] if name.startswith(prefix) else name
