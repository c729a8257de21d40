# SPDX-License-Identifier: Apache-2.0
"""From the call stack of a drop to the hook of netfilter that it was in, and to whose rules were asked there."""
from typing import NamedTuple

from .drop import Drop, Packet
from .matching import Place

# function that calls a hook -> layer, hook
_HOOKS = {
    "ip_rcv": ("ip", "prerouting"), "ip_sublist_rcv": ("ip", "prerouting"), "ipv6_rcv": ("ip", "prerouting"),
    "ip6_sublist_rcv": ("ip", "prerouting"), "br_nf_pre_routing": ("ip", "prerouting"),
    "br_nf_pre_routing_ipv6": ("ip", "prerouting"),
    "ip_local_deliver": ("ip", "input"), "ip6_input": ("ip", "input"),
    "ip_forward": ("ip", "forward"), "ip6_forward": ("ip", "forward"), "br_nf_forward_ip": ("ip", "forward"),
    "__ip_local_out": ("ip", "output"), "__ip6_local_out": ("ip", "output"), "ip6_xmit": ("ip", "output"),
    "raw_sendmsg": ("ip", "output"), "rawv6_sendmsg": ("ip", "output"),
    "ip_output": ("ip", "postrouting"), "ip_mc_output": ("ip", "postrouting"), "ip6_output": ("ip", "postrouting"),
    "br_nf_post_routing": ("ip", "postrouting"),
    "br_handle_frame": ("bridge", "prerouting"), "br_pass_frame_up": ("bridge", "input"),
    "__br_forward": ("bridge", "forward"), "br_forward_finish": ("bridge", "postrouting"),
    "__netif_receive_skb_core": ("netdev", "ingress"), "__dev_queue_xmit": ("netdev", "egress"),
    "arp_rcv": ("arp", "input"), "arp_xmit": ("arp", "output"),
}
_ENGINES = {"nft_do_chain": "nftables", "ipt_do_table": "iptables", "ip6t_do_table": "iptables",
            "arpt_do_table": "arptables", "ebt_do_table": "ebtables"}
_FUNCTIONS = {*_ENGINES, "nf_hook_slow", "nf_hook_slow_list", "nf_hook_slow_net"}


class Hook(NamedTuple):
    """Where netfilter dropped packets."""

    layer: str      # ip, bridge, netdev, arp
    name: str
    engine: str     # whose rules: nftables, iptables, ...; empty: the stack does not tell
    bridged: bool   # whether a bridge asked the rules of IP


def plain(frame: str) -> str:
    """Return a function's name without offset and without what the compiler added."""
    return frame.split("+")[0].split(".")[0]


def hook_of(drop: Drop) -> Hook | None:
    """Return the hook that a drop was in; None if netfilter did not drop it, or the stack does not tell where."""
    frames = [plain(frame) for frame in drop.frames]
    if drop.function not in _FUNCTIONS and not (drop.reason == "NETFILTER_DROP" and _FUNCTIONS.intersection(frames)):
        return None
    for place, frame in enumerate(frames):
        if frame in _HOOKS:
            layer, name = _HOOKS[frame]
            if frame == "__br_forward" and "br_dev_xmit" in frames:
                name = "output"
            engine = next((_ENGINES[one] for one in [*frames[:place], plain(drop.function)] if one in _ENGINES), "")
            return Hook(layer, name, engine, frame.startswith("br_nf_"))
    return None


def place_of(hook: Hook, drop: Drop, packet: Packet) -> Place:
    """Return the devices that the hook knows of a packet."""
    device = drop.device if drop.device != "-" else ""
    if hook.bridged:
        return Place(None, None)
    if hook.layer == "netdev":
        return Place(device, "") if hook.name == "ingress" else Place(None, device)
    if hook.layer == "bridge":
        return {"prerouting": Place(device, ""), "input": Place(None, ""),
                "forward": Place(packet.received or None, device), "postrouting": Place("", device),
                "output": Place("", device)}[hook.name]
    return {"prerouting": Place(device, ""), "input": Place(device, ""), "forward": Place(device, None),
            "output": Place("", None), "postrouting": Place(packet.received, device)}.get(hook.name, Place(None, None))
