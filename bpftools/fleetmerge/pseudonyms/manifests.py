# SPDX-License-Identifier: Apache-2.0
"""Manifests without names and addresses: what is known to have none stays, the rest becomes its own or is left out."""
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bundle.nearest import NAMING
from .addresses import Addresses
from .names import Names

LEFT_OUT = "left out"
# numbers, kernel functions, and words of the tracers' own
_STAY = ("format", "run_id", "tracer", "tool_version", "bcc_version", "python_version", "record", "window", "counters",
         "per_point", "symbols", "symbols_hidden", "stacks", "drop_reasons", "queues", "fields", "sample", "guards",
         "status", "ended_by")
_FILTER_STAYS = ("protocol", "src_port", "dst_port", "both", "both_directions", "bidirectional", "vlan", "follow")
_DEVICE_STAYS = ("netns", "ifindex", "kind", "mtu", "master", "link", "role", "statistics")


@dataclass
class Own:
    """What stands for the run's own words."""

    addresses: Addresses
    hosts: Names
    devices: Names
    spaces: Names

    def word(self, kind: str, value: Any) -> str:
        """Return what stands for a text that may hold anything; the same for the same."""
        return "%s-%s" % (kind, self.addresses.digest(kind.encode(), str(value).encode("utf-8", "replace")).hex()[:10])

    def network(self, text: str) -> str:
        """Return what stands for an address, or a network; raises ValueError if it is neither."""
        address, slash, length = text.partition("/")
        packed = ipaddress.ip_address(address).packed
        own = ipaddress.ip_address(self.addresses.ip(np.frombuffer(packed, "u1")[None])[0].tobytes())
        return str(ipaddress.ip_network("%s/%s" % (own, length), strict=False)) if slash else str(own)

    def mac(self, text: str) -> str:
        """Return what stands for a MAC, nothing for what is none."""
        try:
            packed = bytes.fromhex(text.replace(":", ""))
        except ValueError:
            return ""
        return ":".join("%02x" % byte for byte in self.addresses.one_mac(packed)) if len(packed) == 6 else ""

    def space(self, name: str) -> str:
        """Return what stands for the name of a network namespace, which may be its host's."""
        return self.hosts.of(name) if name in self.hosts else self.spaces.of(name)


def manifest_of(given: Mapping[str, Any], own: Own) -> dict[str, Any]:
    """Return a manifest, as bundle.manifest read it, without its files."""
    out = {name: given[name] for name in _STAY if name in given}
    kernel, clock = given["kernel"], given["clock"]
    out["host"] = own.hosts.of(given["host"])
    out["kernel"] = {name: kernel[name] for name in ("release", "machine") if name in kernel}
    if kernel.get("boot_id"):
        out["kernel"]["boot_id"] = own.word("boot", kernel["boot_id"])
    out["clock"] = {name: clock[name] for name in ("pairs", "synchronised", "max_error_us") if name in clock}
    out["clock"]["daemon"] = "daemon" if clock.get("daemon") else ""
    out["points"] = {name: given["points"][name] for name in ("requested", "attached", "skipped")
                     if name in given["points"]}
    out["netns"] = {inode: own.space(str(name)) for inode, name in given["netns"].items()}
    out["devices"] = [_device(device, own) for device in given["devices"]]
    out["filter"] = {name: _filter(name, value, own) for name, value in given["filter"].items()}
    out["nearest"] = _nearest(given["nearest"], own)
    out["limits"] = [{"limit": limit.get("limit"), "value": limit.get("value")} if isinstance(limit, dict)
                     else LEFT_OUT for limit in given["limits"]]
    out["why"] = LEFT_OUT if given.get("why") else ""
    out["files"] = {}
    return out


def _device(device: Mapping[str, Any], own: Own) -> dict[str, Any]:
    out = {name: device[name] for name in _DEVICE_STAYS if name in device}
    out.update(name=own.devices.of(str(device.get("name") or "")), mac=own.mac(str(device.get("mac") or "")))
    return out


def _nearest(section: Mapping[str, Any], own: Own) -> dict[str, Any]:
    out = {name: section[name] for name in ("packets", "flows_total") if name in section}
    if "why" in section:
        out["why"] = LEFT_OUT if section["why"] else ""
    if "flows" in section:
        out["flows"] = [_flow(flow, own) for flow in section["flows"]]
    return out


def _flow(flow: Mapping[str, Any], own: Own) -> dict[str, Any]:
    out = _ends(flow, own) | {name: flow[name] for name in ("point", "packets", "differs", "inside")}
    out.update(netns=own.space(flow["netns"]), device=own.devices.of(flow["device"]))
    return out | ({"inner": _ends(flow["inner"], own)} if "inner" in flow else {})


def _ends(packet: Mapping[str, Any], own: Own) -> dict[str, Any]:
    """Return what names a packet's flow."""
    return {name: packet[name] for name in NAMING if name in packet} | {
        name: own.network(packet[name]) for name in ("src", "dst") if name in packet}


def _filter(name: str, value: Any, own: Own) -> Any:
    if name in _FILTER_STAYS or value is None or isinstance(value, bool):
        return value
    if name == "interfaces":
        return [own.devices.of(str(one)) for one in (value if isinstance(value, list) else [value])]
    try:
        return own.network(str(value))
    except ValueError:
        return own.word("filter", value)
