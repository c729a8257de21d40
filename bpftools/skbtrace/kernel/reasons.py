# SPDX-License-Identifier: Apache-2.0
"""Names of drop reasons: every kernel release numbers them anew, so they come from the running kernel's types.

A subsystem's reasons have the subsystem's number in the upper 16 bits (include/net/dropreason.h of the kernel).
"""
from typing import Dict, Optional

from . import lookup

_CORE, _SUBSYSTEMS, _PREFIX = "skb_drop_reason", "skb_drop_reason_subsys", "SKB_DROP_REASON_"
# enums of subsystems, and the module that each is in: "" is the kernel itself
_OF_SUBSYSTEMS = [("ovs_drop_reason", "openvswitch"), ("mac80211_drop_reason", "mac80211"), ("qdisc_drop_reason", "")]
ENUMS = [_CORE, _SUBSYSTEMS] + [enum for enum, _module in _OF_SUBSYSTEMS]


def read(types: Optional[lookup.Types]) -> Dict[int, str]:
    """Return number -> name ("FULL_RING", "OVS_DROP_METER"); empty where the kernel has or tells none.

    Names are those that the kernel itself shows: core reasons without their prefix, subsystems' with theirs, which
    tells those apart that are called the same.
    """
    if types is None:
        return {}
    core = types.vmlinux
    names = {number: _short(name) for number, name in core.enum(_CORE).items()}
    subsystems = core.enum(_SUBSYSTEMS)
    for enum, module in _OF_SUBSYSTEMS:
        of_module = types.of(module)  # none where it is not loaded, or built in
        for number, name in ((of_module.enum(enum) if of_module else {}) or core.enum(enum)).items():
            # these enums repeat a few of the core's numbers, too
            if number >> 16 in subsystems and number >> 16:
                names[number] = name
    return names


def _short(name: str) -> str:
    return name[len(_PREFIX):] if name.startswith(_PREFIX) else name
