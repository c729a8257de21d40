# SPDX-License-Identifier: Apache-2.0
"""What passed on a host where nothing matched, as its manifest says it; capture/nearest.py of skbtrace has the format.
"""
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from skbtrace.capture.nearest import MOST_FLOWS, POINTS
from skbtrace.programs.nearness import WEIGHTS

from ..errors import BundleError
from .values import is_number

_MOST = 1 << 62
_NUMBERS = {"src_port": 1 << 16, "dst_port": 1 << 16, "vlan": 1 << 12, "tunnel_id": 1 << 32, "ethertype": 1 << 16}
_WORD = re.compile(r"[a-z0-9-]{1,24}", re.ASCII)
_WORDS = ("protocol", "operation", "tunnel")
_NAMES = {"netns": 256, "device": 64}   # characters
NAMING = (*_NUMBERS, *_WORDS)           # keys that hold no address and no name of anybody's


def check(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose nearest flows are not what they should be; raises BundleError."""
    section = manifest["nearest"]
    flows = section.get("flows", [])
    if not isinstance(section.get("why", ""), str) or not all(
            is_number(section.get(name, 0), _MOST) for name in ("packets", "flows_total")):
        raise BundleError("its manifest's nearest is not {packets, flows_total, flows, why}")
    if not isinstance(flows, list) or len(flows) > MOST_FLOWS or not all(map(_is_flow, flows)):
        raise BundleError("its manifest's nearest flows are not a list of at most %d {src, dst, protocol, netns, "
                          "device, point, packets, differs, inside}" % MOST_FLOWS)


def _is_flow(flow: Any) -> bool:
    if not isinstance(flow, dict) or not _is_packet(flow) or "inner" in flow and not (
            isinstance(flow["inner"], dict) and _is_packet(flow["inner"]) and {"tunnel", "tunnel_id"} <= set(flow)):
        return False
    differs, inside = flow.get("differs"), flow.get("inside")
    return (isinstance(differs, list) and len(differs) <= len(WEIGHTS)
            and all(isinstance(name, str) and name in WEIGHTS for name in differs)
            and isinstance(inside, bool) and (not inside or "inner" in flow)
            and flow.get("point") in POINTS and is_number(flow.get("packets"), _MOST)
            and all(isinstance(flow.get(name), str) and len(flow[name]) <= most for name, most in _NAMES.items()))


def _is_packet(packet: Mapping[str, Any]) -> bool:
    """Whether what names a packet's flow is there, and nothing else than that."""
    needed = ("src", "dst", "protocol") if "src" in packet else ("ethertype",)
    return (all(name in packet for name in needed) and (packet.get("protocol") != "arp" or "operation" in packet)
            and all(_is_address(packet[name]) for name in ("src", "dst") if name in packet)
            and all(is_number(packet[name], most) for name, most in _NUMBERS.items() if name in packet)
            and all(isinstance(packet[name], str) and _WORD.fullmatch(packet[name]) for name in _WORDS
                    if name in packet))


def _is_address(value: Any) -> bool:
    """Whether this is an address, without a zone, which may be any text."""
    try:
        return isinstance(value, str) and "%" not in value and bool(ipaddress.ip_address(value).version)
    except ValueError:
        return False
