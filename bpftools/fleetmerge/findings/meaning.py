# SPDX-License-Identifier: Apache-2.0
"""What a drop usually means and what to look at next, by function and reason.

Own words, from reading the kernel's sources; each entry names the file that it was read in. The most exact entry wins:
function and reason, then reason, then function.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a support engineer should know about a drop."""

    means: str
    look_at: str
    source: str
    harmless: bool = False    # nobody misses such a packet


_DROPREASONS = "include/net/dropreason-core.h"
_BY_BOTH = {
    ("tun_net_xmit", "FULL_RING"): Meaning(
        "the VM did not take packets from its tap as fast as they came: the tap's ring was full",
        "CPU steal and load of the VM, its virtio queue size and number of queues, vhost threads pinned to busy CPUs",
        "drivers/net/tun.c"),
    ("tun_net_xmit", "TAP_FILTER"): Meaning(
        "the tap's own MAC filter rejected the packet", "multicast and MAC filters that the VM set on its interface",
        "drivers/net/tun.c"),
    ("tun_net_xmit", "DEV_READY"): Meaning(
        "nobody had the tap open: the VM is off, or its device is not connected", "whether the VM runs",
        "drivers/net/tun.c"),
}
_BY_REASON = {
    "NETFILTER_DROP": Meaning("a firewall rule (nftables or iptables) dropped it",
                              "rules of the hook that the stack names, with counters: nft list ruleset", _DROPREASONS),
    "FULL_RING": Meaning("a ring between kernel and reader was full: the reader is too slow",
                         "CPU time of the reader", _DROPREASONS),
    "QDISC_DROP": Meaning("a queueing discipline was full, or shaped the traffic",
                          "limits and drop counters: tc -s qdisc show", _DROPREASONS),
    "QDISC_OVERLIMIT": Meaning("a queueing discipline had reached its limit", "tc -s qdisc show", _DROPREASONS),
    "TC_INGRESS": Meaning("a traffic-control filter on ingress dropped it", "tc filter show dev DEVICE ingress",
                          _DROPREASONS),
    "TC_EGRESS": Meaning("a traffic-control filter on egress dropped it", "tc filter show dev DEVICE egress",
                         _DROPREASONS),
    "XDP": Meaning("an XDP program dropped it", "which program is attached: ip link show, bpftool net", _DROPREASONS),
    "SOCKET_RCVBUFF": Meaning("the receiving socket's buffer was full: the program reads too slowly",
                              "receive buffer (net.core.rmem_max), the program's CPU time, nstat -az UdpRcvbufErrors",
                              "net/core/sock.c"),
    "SOCKET_BACKLOG": Meaning("the receiving socket was busy and its backlog was full",
                              "the receiving program's CPU time",
                              "net/core/sock.c"),
    "NO_SOCKET": Meaning("nobody listens on that port of this host", "whether the service runs, its address: ss -lnp",
                         _DROPREASONS),
    "PKT_TOO_SMALL": Meaning("the packet was shorter than its headers say", "the sender; damage on the way",
                             _DROPREASONS),
    "PKT_TOO_BIG": Meaning("the packet did not fit the MTU and must not be fragmented",
                           "MTUs along the way, tunnel overhead, whether ICMP 'fragmentation needed' gets back",
                           _DROPREASONS),
    "IP_RPFILTER": Meaning("the reverse path filter: the way back to the source does not lead over this device",
                           "net.ipv4.conf.*.rp_filter, and the route to the source: ip route get",
                           "net/ipv4/fib_frontend.c"),
    "IP_INNOROUTES": Meaning("no route for a received packet", "ip route get DESTINATION from SOURCE iif DEVICE",
                             "net/ipv4/route.c"),
    "IP_OUTNOROUTES": Meaning("no route for a packet on its way out", "ip route get DESTINATION",
                              "net/ipv4/ip_output.c"),
    "IP_INADDRERRORS": Meaning("the destination address is not valid on this host", "addresses and routes",
                               _DROPREASONS),
    "IP_INHDR": Meaning("the IP header was damaged or malformed, or the TTL ran out while forwarding",
                        "routing loops, the sender", "net/ipv4/ip_forward.c"),
    "IP_CSUM": Meaning("the IP header's checksum was wrong", "damage on the way; checksum offload",
                       "net/ipv4/ip_input.c"),
    "TCP_CSUM": Meaning("TCP's checksum was wrong", "damage on the way; checksum offload of the sending NIC",
                        "net/ipv4/tcp_ipv4.c"),
    "UDP_CSUM": Meaning("UDP's checksum was wrong", "damage on the way; checksum offload of the sending NIC",
                        "net/ipv4/udp.c"),
    "ICMP_CSUM": Meaning("ICMP's checksum was wrong", "damage on the way", "net/ipv4/icmp.c"),
    "NEIGH_FAILED": Meaning("the next hop's MAC address could not be found: ARP or ND got no answer",
                            "whether the next hop is up and in this VLAN: ip neigh", "net/core/neighbour.c"),
    "NEIGH_QUEUEFULL": Meaning("too many packets waited for the next hop's MAC address",
                               "ip neigh; net.ipv4.neigh.*.unres_qlen_bytes", "net/core/neighbour.c"),
    "NEIGH_DEAD": Meaning("the entry for the next hop's MAC address was removed", "ip neigh", "net/core/neighbour.c"),
    "NEIGH_CREATEFAIL": Meaning("no entry for the next hop could be made: the neighbour table is full",
                                "net.ipv4.neigh.default.gc_thresh3, ip neigh | wc -l", "net/core/neighbour.c"),
    "OTHERHOST": Meaning("the frame was for another MAC address: it was flooded or mirrored to here",
                         "usually harmless; if it was meant for this host, the MAC in the sender's neighbour table",
                         _DROPREASONS, harmless=True),
    "UNHANDLED_PROTO": Meaning("this host has no handler for the protocol", "usually harmless", _DROPREASONS,
                               harmless=True),
    "CPU_BACKLOG": Meaning("a CPU's receive backlog was full", "net.core.netdev_max_backlog, softirq load of the CPUs",
                           "net/core/dev.c"),
    "BRIDGE_INGRESS_STP_STATE": Meaning("the bridge port is blocked or still learning", "bridge link; STP",
                                        "net/bridge/br_input.c"),
    "BRIDGE_NON_FORWARDING_STATE": Meaning("the bridge port does not forward", "bridge link; STP",
                                           "net/bridge/br_forward.c"),
    "LOCAL_MAC": Meaning("the frame's source is this bridge's own address: a loop", "loops between bridges",
                         _DROPREASONS),
    "VLAN_FILTER": Meaning("the bridge's VLAN filter does not let this VLAN in or out", "bridge vlan show",
                           _DROPREASONS),
    "DEV_HDR": Meaning("the device could not build its header", "state of the device", _DROPREASONS),
    "DEV_READY": Meaning("the device was down or not ready", "ip link show", _DROPREASONS),
    "QUEUE_PURGE": Meaning("a queue was emptied: a socket was closed or a device went down", "who closed it",
                           _DROPREASONS),
    "NOMEM": Meaning("the kernel had no memory for it", "free, dmesg", _DROPREASONS),
    "SKB_UCOPY_FAULT": Meaning("it could not be copied to the reader", "the reading program", _DROPREASONS),
    "SKB_CSUM": Meaning("its checksum could not be computed or was wrong", "checksum offload", _DROPREASONS),
    "SKB_GSO_SEG": Meaning("it could not be cut into segments", "offload settings: ethtool -k", _DROPREASONS),
    "TCP_OFOMERGE": Meaning("its bytes had already arrived", "harmless: a retransmission that was not needed",
                            "net/ipv4/tcp_input.c", harmless=True),
    "TCP_OLD_DATA": Meaning("its bytes had already arrived", "harmless: a retransmission that was not needed",
                            "net/ipv4/tcp_input.c", harmless=True),
    "TCP_INVALID_SEQUENCE": Meaning("its bytes lie outside the receive window", "a stale connection or a middlebox",
                                    "net/ipv4/tcp_input.c"),
    "TCP_CLOSE": Meaning("the connection was closed", "who closed it", "net/ipv4/tcp_input.c"),
    "TCP_RESET": Meaning("the connection was reset", "who sent the reset", "net/ipv4/tcp_input.c"),
    "SOCKET_FILTER": Meaning("a filter on the socket rejected it", "the program's BPF filter", _DROPREASONS),
    "NOT_SPECIFIED": Meaning("this kernel gives no reason here: the function and its caller tell",
                             "the stack", _DROPREASONS),
}
_BY_FUNCTION = {
    "nf_hook_slow": Meaning("a firewall rule (nftables or iptables) dropped it", "nft list ruleset, with counters",
                            "net/netfilter/core.c"),
    "tun_net_xmit": Meaning("the tap could not take it: mostly its ring was full because the VM was too slow",
                            "load of the VM and of its vhost thread", "drivers/net/tun.c"),
    "ip_forward": Meaning("it was not forwarded: TTL, MTU or policy", "TTL of the packet, MTU of the way out",
                          "net/ipv4/ip_forward.c"),
    "ip_rcv_finish_core": Meaning("routing refused it: no route, or the reverse path filter",
                                  "ip route get; net.ipv4.conf.*.rp_filter", "net/ipv4/ip_input.c"),
    "ip_error": Meaning("there was no route for it", "ip route get", "net/ipv4/route.c"),
    "br_stp_rcv": Meaning("spanning tree traffic that nobody wanted", "usually harmless", "net/bridge/br_stp_bpdu.c",
                          harmless=True),
    "br_handle_frame": Meaning("the bridge refused it: port state, or a reserved address", "bridge link",
                               "net/bridge/br_input.c"),
    "br_handle_frame_finish": Meaning("the bridge refused it: port state, VLAN, or a locked port",
                                      "bridge link; bridge vlan show", "net/bridge/br_input.c"),
    "ovs_dp_process_packet": Meaning("Open vSwitch could not handle a packet that no flow was installed for",
                                     "ovs-dpctl show (lost), load of ovs-vswitchd", "net/openvswitch/datapath.c"),
    "ovs_execute_actions": Meaning("an Open vSwitch flow drops it", "ovs-appctl ofproto/trace",
                                   "net/openvswitch/actions.c"),
    "do_execute_actions": Meaning("an Open vSwitch flow drops it", "ovs-appctl ofproto/trace",
                                  "net/openvswitch/actions.c"),
    "unix_stream_connect": Meaning("a local socket", "nothing: no packet of the network", "net/unix/af_unix.c"),
    "arp_error_report": Meaning("ARP got no answer", "whether the next hop is up and in this VLAN: ip neigh",
                                "net/ipv4/arp.c"),
    "ndisc_error_report": Meaning("neighbour discovery got no answer", "ip -6 neigh", "net/ipv6/ndisc.c"),
    "nf_conntrack_in": Meaning("connection tracking refused it: invalid, or its table is full",
                               "net.netfilter.nf_conntrack_max, conntrack -S", "net/netfilter/nf_conntrack_core.c"),
    "tbf_enqueue": Meaning("the token bucket filter was full: traffic above its rate", "tc -s qdisc show",
                           "net/sched/sch_tbf.c"),
    "netem_enqueue": Meaning("netem dropped it on purpose", "tc -s qdisc show", "net/sched/sch_netem.c"),
}


_ASKED = Meaning("the rules that the daemon has (ovs-ofctl dump-flows) drop it or hand it to a controller",
                 "ovs-appctl ofproto/trace; load of ovs-vswitchd", "net/openvswitch/datapath.c")
_BEHIND_POINT = {"ovs.upcall": _ASKED, "ovs.userspace": _ASKED}


def meaning(function: str | None, reason: str | None) -> Meaning | None:
    """Return what a drop means, if it is known."""
    plain = (function or "").split(".")[0]
    known = _BY_BOTH.get((plain, reason or ""))
    if known is None and reason and reason != "NOT_SPECIFIED":
        known = _BY_REASON.get(reason)
    return known or _BY_FUNCTION.get(plain) or _BY_REASON.get(reason or "")


def meaning_behind(point: str) -> Meaning | None:
    """Return what it means that nothing was seen behind a point, if it is known."""
    return _BEHIND_POINT.get(point)
