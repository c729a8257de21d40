# SPDX-License-Identifier: Apache-2.0
"""The table of points: where in the datapath a tracer can look, and what takes it there.

A new point is a new row. A row names a tracepoint, or functions of which the first that this kernel has is taken.
`arguments` says which of the hook's arguments is the skb, its location, …: by type, so that it is found wherever this
kernel has it, and by the place (from 0) that it has where the kernel does not describe its functions. An argument that
this kernel does not have is left out. Sources: include/trace/events/ and net/ of the kernel, 4.18 to 7.2.
"""
import re
from typing import Any, Dict, List, NamedTuple, Optional

from . import queues

MOST_ARGUMENTS = 6  # in registers, where a hook finds them
FUNCTION = "func:"  # begins the names of points that are no rows of the table
_FUNCTION = re.compile(r"func:([A-Za-z_]\w{0,127})(?:@\w{1,64})?", re.ASCII)


class Argument(NamedTuple):
    """An argument of a hook: its type as BTF spells it, and its place (from 0) where there is no BTF."""

    type: str
    place: Optional[int]


class Point(NamedTuple):
    """A row of the table."""

    name: str
    tracepoint: str                 # empty: the point is at a function
    module: str                     # which has the tracepoint or function where the kernel itself has not
    functions: List[str]
    what: str
    arguments: Dict[str, Argument]  # skb, location, reason, device, queue, sock, actions, count
    queue_kind: str                 # of the queue that packets meet: a row of queues.py, or queues.ANY
    pulled: bool                    # the packet's data begins at its network header
    stack: bool                     # the call stack belongs to the record
    ip: bool = False                # it is an IP packet, even if skb->protocol does not say so yet
    made_up: bool = False           # TCP's own skb, without headers yet: those of `sock` are taken


def _skb(place: int = 0) -> Argument:
    return Argument("sk_buff*", place)


def _tracepoint(name: str, tracepoint: str, what: str, queue_kind: str = "", pulled: bool = False, stack: bool = False,
                module: str = "", functions: Optional[List[str]] = None, made_up: bool = False,
                **arguments: Argument) -> Point:
    arguments.setdefault("skb", _skb())
    return Point(name, tracepoint, module, functions or [], what, arguments, queue_kind, pulled, stack,
                 made_up=made_up)


def _function(name: str, functions: str, skb: int, what: str, module: str = "", pulled: bool = False,
              stack: bool = False, indirect: bool = False, unsure: bool = False, ip: bool = False,
              made_up: bool = False, queue_kind: str = "", **arguments: Argument) -> Point:
    """A point at one of several functions; skb: place of that argument, from 1 as the kernel's documents count.

    indirect: where the kernel does not describe the function, the argument is the address of a pointer to the skb;
    unsure: it is in some kernels only.
    """
    kind = "sk_buff*?" if unsure else "sk_buff**" if indirect else "sk_buff*"
    arguments["skb"] = Argument(kind, skb - 1)
    return Point(name, "", module, functions.split(), what, arguments, queue_kind, pulled, stack, ip, made_up)


def _sock(place: Optional[int]) -> Argument:
    return Argument("sock*", place)


_QDISC = Argument("Qdisc*", 0)

_TRACEPOINTS = [
    _tracepoint("dev.rx", "netif_receive_skb", "a device hands a packet to the stack, a bridge or Open vSwitch",
                pulled=True),
    _tracepoint("dev.tx", "net_dev_start_xmit", "a packet is given to a device's driver", "tap",
                device=Argument("net_device*", 1)),
    _tracepoint("dev.queue", "net_dev_queue", "a packet enters a device's transmit path, before its qdisc",
                "qdisc"),
    _tracepoint("dev.backlog", "netif_rx", "a packet is put on a CPU's backlog for reception", "softnet",
                pulled=True),
    _tracepoint("gro.rx", "napi_gro_receive_entry", "a driver hands a packet to GRO", pulled=True),
    _tracepoint("gro.frags", "napi_gro_frags_entry", "a driver hands a page-based packet to GRO", pulled=True),
    _tracepoint("qdisc.enqueue", "qdisc_enqueue", "a packet is put into a qdisc", "qdisc", skb=_skb(2), queue=_QDISC),
    _tracepoint("qdisc.dequeue", "qdisc_dequeue", "a packet is taken out of a qdisc", "qdisc", skb=_skb(3),
                queue=_QDISC, count=Argument("", 2)),
    _tracepoint("qdisc.drop", "qdisc_drop", "a qdisc drops a packet, for a reason of its own", "qdisc", skb=_skb(3),
                queue=_QDISC, device=Argument("net_device*", 2), reason=Argument("qdisc_drop_reason", None)),
    _tracepoint("skb.drop", "kfree_skb", "a packet is freed as a drop", queues.ANY, stack=True,
                location=Argument("*", 1), reason=Argument("skb_drop_reason", None), sock=_sock(None)),
    _tracepoint("skb.free", "consume_skb", "a packet is freed at the end of its way, not as a drop",
                location=Argument("*", None)),
    _tracepoint("sock.deliver", "skb_copy_datagram_iovec", "a reader of a socket or of a tap takes the packet"),
    _tracepoint("sock.full", "sock_rcvqueue_full", "a socket's receive queue has no room", "receive",
                skb=_skb(1), queue=_sock(0), sock=_sock(0)),
    _tracepoint("udp.full", "udp_fail_queue_rcv_skb", "UDP could not queue a datagram", "receive",
                skb=_skb(2), queue=_sock(1), sock=_sock(1)),
    _tracepoint("tcp.retransmit", "tcp_retransmit_skb", "TCP sends a segment again", "send", made_up=True,
                skb=_skb(1), queue=_sock(0), sock=_sock(0)),
    _tracepoint("ovs.upcall", "ovs_dp_upcall", "Open vSwitch has no flow for a packet and asks its daemon",
                module="openvswitch", functions=["ovs_dp_upcall"], skb=_skb(1)),
    _tracepoint("ovs.action", "ovs_do_execute_action", "Open vSwitch does an action on a packet",
                module="openvswitch", skb=_skb(1)),
]
_DEVICES = [
    _function("dev.core", "__netif_receive_skb_core", 1, "the stack looks for who wants a received packet",
              pulled=True, unsure=True),
    _function("dev.xmit", "__dev_queue_xmit", 1, "somebody sends a packet on a device"),
    _function("qdisc.direct", "sch_direct_xmit", 1, "a packet goes from qdisc to driver", queue_kind="qdisc",
              queue=Argument("Qdisc*", 1)),
    _function("tun.xmit", "tun_net_xmit", 1, "a tap takes a packet for its guest", "tun", queue_kind="tap"),
]
_BRIDGE = [
    _function("br.rx", "br_handle_frame", 1, "a bridge port takes a packet", "bridge", indirect=True),
    _function("br.lookup", "br_handle_frame_finish", 3, "a bridge decides where a packet goes", "bridge"),
    _function("br.forward", "__br_forward", 2, "a bridge forwards a packet to a port", "bridge"),
    _function("br.tx", "br_dev_queue_push_xmit", 3, "a bridge sends a packet out of a port", "bridge"),
    _function("br.local", "br_pass_frame_up", 1, "a bridge hands a packet to its own host", "bridge"),
]
_OVS = [
    # 6.6 and newer call this a drop themselves, and older ones just free the packet
    _function("ovs.drop", "ovs_execute_actions", 2, "Open vSwitch has a flow for a packet, without any action",
              "openvswitch", stack=True, actions=Argument("sw_flow_actions*", 2)),
    _function("ovs.rx", "netdev_frame_hook", 1, "an Open vSwitch port takes a packet", "openvswitch", indirect=True),
    _function("ovs.receive", "ovs_vport_receive", 2, "a packet enters an Open vSwitch datapath", "openvswitch"),
    _function("ovs.process", "ovs_dp_process_packet", 1, "Open vSwitch looks for a packet's flow", "openvswitch"),
    _function("ovs.execute", "ovs_execute_actions", 2, "Open vSwitch does a flow's actions", "openvswitch"),
    _function("ovs.ct", "ovs_ct_execute", 2, "Open vSwitch sends a packet through connection tracking", "openvswitch"),
    _function("ovs.output", "do_output", 2, "Open vSwitch outputs a packet", "openvswitch"),
    _function("ovs.tx", "ovs_vport_send", 2, "a packet leaves an Open vSwitch datapath", "openvswitch"),
    _function("ovs.userspace", "queue_userspace_packet", 2,
              "a packet is copied to the Open vSwitch daemon", "openvswitch"),
    _function("ovs.internal_rx", "internal_dev_recv", 1,
              "an Open vSwitch internal port gives its host a packet", "openvswitch"),
    _function("ovs.internal_tx", "internal_dev_xmit", 1,
              "a host sends a packet into an Open vSwitch internal port", "openvswitch"),
]
_TUNNEL = [
    _function("vxlan.tx", "vxlan_xmit_one", 1, "VXLAN wraps a packet", "vxlan"),
    _function("vxlan.rx", "vxlan_rcv", 2, "VXLAN unwraps a packet", "vxlan"),
    _function("geneve.tx", "geneve_xmit", 1, "Geneve wraps a packet", "geneve"),
    _function("geneve.rx", "geneve_udp_encap_recv", 2, "Geneve unwraps a packet", "geneve"),
    _function("tunnel.tx", "iptunnel_xmit", 3, "a wrapped packet is sent"),
    _function("gro.cell", "gro_cells_receive", 2, "a tunnel hands on what it unwrapped", queue_kind="gro.cell",
              queue=Argument("gro_cells*", 0)),
    _function("tunnel.rx", "__iptunnel_pull_header", 1, "a tunnel's header is taken off"),
]
_IP = [
    _function("ip.rx", "ip_rcv", 1, "IPv4 takes a packet"),
    _function("ip6.rx", "ipv6_rcv", 1, "IPv6 takes a packet"),
    _function("ip.local", "ip_local_deliver", 1, "a packet is for this host"),
    _function("ip.forward", "ip_forward", 1, "a packet is forwarded"),
    _function("ip6.forward", "ip6_forward", 1, "a packet is forwarded"),
    _function("ip.local_out", "__ip_local_out", 3, "a packet of this host goes out", ip=True),
    _function("ip.output", "ip_output", 3, "a packet has its route"),
    _function("ip6.output", "ip6_output", 3, "a packet has its route"),
    _function("ip.finish", "ip_finish_output2", 3, "a packet gets its neighbour's address"),
    _function("tcp.rx", "tcp_v4_rcv", 1, "TCP takes a segment"),
    _function("tcp.backlog", "tcp_add_backlog", 2, "a segment waits for a busy socket", queue_kind="receive",
              queue=_sock(0), sock=_sock(0)),
    _function("tcp.tx", "__tcp_transmit_skb", 2, "TCP sends a segment", made_up=True, queue_kind="send",
              queue=_sock(0), sock=_sock(0)),
    _function("tcp.listen", "tcp_conn_request", 4, "a listening socket is asked for a connection",
              queue_kind="accept", queue=_sock(2), sock=_sock(2)),
    _function("udp.queue", "__udp_enqueue_schedule_skb", 2, "a datagram is queued to its socket", queue_kind="receive",
              queue=_sock(0), sock=_sock(0)),
    _function("udp.deliver", "skb_consume_udp", 2, "a reader has taken a datagram", queue_kind="receive",
              queue=_sock(0), sock=_sock(0)),
    _function("packet.rx", "packet_rcv", 1, "a packet socket gets a copy"),
]
_NETFILTER = [
    _function("nf.hook", "nf_hook_slow", 1, "netfilter's hooks judge a packet"),
    _function("nf.conntrack", "nf_conntrack_in", 1, "connection tracking looks at a packet", "nf_conntrack"),
    _function("nf.confirm", "__nf_conntrack_confirm", 1, "a new connection enters the table", "nf_conntrack"),
    _function("nf.nat", "nf_nat_manip_pkt", 1, "NAT rewrites a packet", "nf_nat"),
    _function("nf.iptables", "ipt_do_table", 1, "iptables judges a packet", "ip_tables"),
]
TABLE = _TRACEPOINTS + _DEVICES + _BRIDGE + _OVS + _TUNNEL + _IP + _NETFILTER
BY_NAME = {point.name: point for point in TABLE}
ENDS = ("skb.drop", "skb.free")  # where an skb is freed: every one of them that the kernel shows
# where a packet comes only if something is amiss, or new: that none came is as it should be
IF_AMISS = ("skb.drop", "ovs.drop", "qdisc.drop", "sock.full", "udp.full", "tcp.retransmit", "ovs.upcall",
            "ovs.userspace")
FITTED = ("matched", "outside_window", "no_device", "undecided")  # counters of packets that fit, or may

# with what becomes of the packets for which Open vSwitch has no flow yet, or one without any action
_NIC = ["dev.rx", "dev.tx", "skb.drop", "ovs.drop", "ovs.upcall", "skb.free"]
_QUEUES = ["dev.queue", "dev.backlog", "gro.rx", "gro.frags", "qdisc.enqueue", "qdisc.dequeue", "sock.deliver",
           "udp.deliver", "sock.full", "udp.full", "tcp.retransmit"]


def _names(*groups: List[Point]) -> List[str]:
    return [point.name for group in groups for point in group]


PROFILES: Dict[str, List[str]] = {
    "nic": _NIC,
    "drop": ["skb.drop", "ovs.drop"],
    "bridge": _NIC + ["tun.xmit", "sock.deliver"] + _names(_BRIDGE),
    "ovs": _NIC + ["tun.xmit", "sock.deliver", "ovs.action"] + _names(_OVS, _TUNNEL),
    "ip": _NIC + ["sock.deliver"] + _names(_IP),
    "netfilter": _NIC + _names(_NETFILTER),
    "queues": _NIC + _QUEUES,
    "full": [point.name for point in TABLE],
}


def named(name: str) -> Optional[Point]:
    """Return the point of this name: a row of the table, or any function that takes a packet; None if there is none.

    func:NAME and func:NAME@ARG are points at a function; functions.py tells which argument the packet is.
    """
    found = _FUNCTION.fullmatch(name)
    if not found:
        return BY_NAME.get(name)
    return _function(name, found.group(1), 1, "function %s takes a packet" % found.group(1), sock=_sock(None))


def wanted(options: Any) -> List[Point]:
    """Return the points asked for, in the order of the table; functions come last."""
    profiles = options.profile or ([] if options.point else [options.default_profile])
    names = set(options.point).union(options.require_point, options.stack, options.only_followed,
                                     *(PROFILES[name] for name in profiles))
    names -= set(options.exclude_point)
    functions = [named(name) for name in sorted(names - set(BY_NAME))]
    return [point._replace(stack=point.stack or point.name in options.stack)
            for point in TABLE + functions if point and point.name in names]


def unmatched(counters: Dict[str, Dict[str, int]]) -> Dict[str, int]:
    """Return the points that saw packets (how many), and none that fits the filter, though others did.

    counters: of each point that matches by itself, `seen` and those of FITTED.
    """
    if not any(row["matched"] for row in counters.values()):
        return {}
    return {name: row["seen"] for name, row in counters.items()
            if row["seen"] and not any(row[counter] for counter in FITTED)}


def follow_defines(options: Any) -> Dict[str, int]:
    """Return the C constants that say whether packets are followed, which is of use where a packet goes on."""
    names = {point.name for point in wanted(options)}
    if not options.follow or names <= set(ENDS):
        return {}
    return {"FOLLOW": 1, "HAVE_ENDS": 1} if names.issuperset(ENDS) else {"FOLLOW": 1}
