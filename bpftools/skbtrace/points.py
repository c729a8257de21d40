# SPDX-License-Identifier: Apache-2.0
"""The table of points: where in the datapath a tracer can look, and which hook takes it there.

A new point is a new row. `arguments` says which of the hook's arguments is the skb, its location, …: by type, so
that it is found wherever this kernel has it, and by the place it has where the kernel does not describe its
tracepoints. An argument that this kernel does not have is left out. Source: include/trace/events/ of the kernel.
"""
from typing import Dict, List, NamedTuple, Optional


class Argument(NamedTuple):
    """An argument of a hook: its type as BTF spells it, and its place (from 0) where there is no BTF."""

    type: str
    place: Optional[int]


class Point(NamedTuple):
    """A row of the table."""

    name: str
    tracepoint: str
    what: str
    arguments: Dict[str, Argument]  # skb, location, reason, device, queue
    queue_kind: str                 # what `queue` is: qdisc, socket
    pulled: bool                    # the packet's data begins at its network header
    stack: bool                     # the call stack belongs to the record
    indirect: bool                  # the argument is the address of a pointer to the skb


def _skb(place: int = 0) -> Argument:
    return Argument("sk_buff*", place)


def _point(name: str, tracepoint: str, what: str, queue_kind: str = "", pulled: bool = False, stack: bool = False,
           **arguments: Argument) -> Point:
    arguments.setdefault("skb", _skb())
    return Point(name, tracepoint, what, arguments, queue_kind, pulled, stack, False)


_QDISC = Argument("Qdisc*", 0)

TABLE = [
    _point("dev.rx", "netif_receive_skb", "a device hands a packet to the stack, a bridge or Open vSwitch",
           pulled=True),
    _point("dev.tx", "net_dev_start_xmit", "a packet is given to a device's driver",
           device=Argument("net_device*", 1)),
    _point("dev.queue", "net_dev_queue", "a packet enters a device's transmit path, before its qdisc"),
    _point("dev.backlog", "netif_rx", "a packet is put on a CPU's backlog for reception", pulled=True),
    _point("gro.rx", "napi_gro_receive_entry", "a driver hands a packet to GRO", pulled=True),
    _point("gro.frags", "napi_gro_frags_entry", "a driver hands a page-based packet to GRO", pulled=True),
    _point("qdisc.enqueue", "qdisc_enqueue", "a packet is put into a qdisc", "qdisc", skb=_skb(2), queue=_QDISC),
    _point("qdisc.dequeue", "qdisc_dequeue", "a packet is taken out of a qdisc", "qdisc", skb=_skb(3), queue=_QDISC),
    _point("skb.drop", "kfree_skb", "a packet is freed as a drop", stack=True,
           location=Argument("*", 1), reason=Argument("skb_drop_reason", None)),
    _point("skb.free", "consume_skb", "a packet is freed at the end of its way, not as a drop",
           location=Argument("*", None)),
    _point("sock.deliver", "skb_copy_datagram_iovec", "a reader of a socket or of a tap takes the packet"),
    _point("sock.full", "sock_rcvqueue_full", "a socket's receive queue has no room", "socket",
           skb=_skb(1), queue=Argument("sock*", 0)),
    _point("udp.full", "udp_fail_queue_rcv_skb", "UDP could not queue a datagram", "socket",
           skb=_skb(2), queue=Argument("sock*", 1)),
    _point("tcp.retransmit", "tcp_retransmit_skb", "TCP sends a segment again", "socket",
           skb=_skb(1), queue=Argument("sock*", 0)),
]
BY_NAME = {point.name: point for point in TABLE}

_NIC = ["dev.rx", "dev.tx", "skb.drop", "skb.free"]
_QUEUES = ["dev.queue", "dev.backlog", "gro.rx", "gro.frags", "qdisc.enqueue", "qdisc.dequeue", "sock.deliver",
           "sock.full", "udp.full", "tcp.retransmit"]
PROFILES: Dict[str, List[str]] = {
    "nic": _NIC,
    "drop": ["skb.drop"],
    "queues": _NIC + _QUEUES,
    "full": [point.name for point in TABLE],
}
