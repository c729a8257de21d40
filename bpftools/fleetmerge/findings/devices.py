# SPDX-License-Identifier: Apache-2.0
"""What the devices' own counters say happened between arming and the end, as evidence beside the records."""
from collections.abc import Sequence
from typing import Any

from ..bundle.labels import device_names
from ..words import clean
from .hosts import Host

Key = tuple[str, str, str]   # host, netns, device
_TELLING = ("dropped", "errors", "missed", "fifo", "over")


def device_table(hosts: Sequence[Host]) -> dict[Key, dict[str, Any]]:
    """Return every device of every manifest: its role and what its counters gained."""
    out: dict[Key, dict[str, Any]] = {}
    for host in hosts:
        for bundle, _, _ in host.bundles:
            names, spaces = device_names(bundle), bundle.manifest["netns"]
            for device in bundle.manifest["devices"]:
                inode = int(device.get("netns") or 0)
                key = (host.name, clean(spaces.get(str(inode)) or inode), names[inode, int(device["ifindex"])])
                entry = {"role": str(device.get("role") or "other"), "mac": device.get("mac"), "mtu": device.get("mtu"),
                         "ifindex": device["ifindex"], "rose": _rose(device.get("statistics"))}
                # of two tracers' readings the wider one counts
                if key not in out or sum((entry["rose"] or {}).values()) > sum((out[key]["rose"] or {}).values()):
                    out[key] = entry
    return out


def _rose(statistics: Any) -> dict[str, int] | None:
    """Return how much each counter gained; None if the manifest does not say. 32-bit counters may have wrapped."""
    if not isinstance(statistics, dict):
        return None
    before, after = statistics.get("before"), statistics.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return None
    out = {}
    for name, value in after.items():
        first = before.get(name)
        if isinstance(value, int) and isinstance(first, int):
            gained = value - first
            out[str(name)] = gained if gained >= 0 else gained % (1 << 32)
    return out


def drop_counters(rose: dict[str, int] | None) -> dict[str, int]:
    """Return the counters of lost packets that gained anything."""
    return {name: value for name, value in (rose or {}).items()
            if value > 0 and any(word in name for word in _TELLING)}


def counter_words(rose: dict[str, int] | None) -> str:
    """Return what the device's own counters say about losses, as the second half of a sentence."""
    if rose is None:
        return "the device's own counters are not known"
    risen = drop_counters(rose)
    if not risen:
        return "the device's own drop counters did not move"
    return "the device's own " + " and ".join("%s counter rose by %d" % item for item in sorted(risen.items()))
