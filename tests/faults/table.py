# SPDX-License-Identifier: Apache-2.0
"""The table of faults. Each is injected with the kernel's own means and returns the truth about itself."""
from collections.abc import Callable
from typing import NamedTuple

from . import bridge, conntrack, guests, healthy, kinds, netfilter, queues, routing, wire
from .scene import Scene
from .truth import Loss

UDP = ["--protocol", "udp"]
PING = ["--protocol", "icmp"]
PAIR = ["--src", "192.168.32.10", "--dst", "192.168.32.20", "--both-directions"]
HYPERVISORS = ["hv-a", "hv-b"]
WITH_VM_B = [*HYPERVISORS, "vm-b"]


class Fault(NamedTuple):
    """One row: what goes wrong, where it is captured and with which filter."""

    name: str
    inject: Callable[[Scene], list[Loss]] | None
    places: list[str] = HYPERVISORS
    options: list = UDP
    elsewhere: str = ""   # why it cannot be tried on this kernel


FAULTS = [
    Fault("nft-bridge-forward", netfilter.bridge_forward),
    Fault("nft-bridge-prerouting", netfilter.bridge_prerouting),
    Fault("nft-bridge-postrouting", netfilter.bridge_postrouting),
    Fault("nft-device-ingress", netfilter.device_ingress),
    Fault("nft-device-egress", netfilter.device_egress),
    Fault("nft-forward", netfilter.forward),
    Fault("nft-input", netfilter.incoming),
    Fault("nft-output", netfilter.outgoing),
    Fault("conntrack-invalid", netfilter.conntrack_invalid),
    Fault("conntrack-table-full", conntrack.table_full),
    Fault("wire-exact-loss", wire.exact_loss),
    Fault("wire-random-loss", wire.random_loss),
    Fault("wire-total-loss", wire.total_loss),
    Fault("wire-loss-one-way", wire.one_way_loss),
    Fault("wire-loss-of-answers", wire.loss_of_answers, options=PING),
    Fault("wire-duplication", wire.duplication),
    Fault("wire-reordering", wire.reordering),
    Fault("wire-delay", wire.delay),
    Fault("wire-everything", wire.everything),
    Fault("wire-cut", wire.cut),
    Fault("nic-deleted", wire.nic_deleted),
    Fault("asymmetric-path", wire.asymmetric, options=PING),
    Fault("asymmetric-loss", wire.asymmetric_loss, options=PING),
    Fault("no-route", routing.no_route),
    Fault("ttl-expired", routing.ttl_expired),
    Fault("mtu-exceeded", routing.too_big),
    Fault("ip-checksum", routing.bad_checksum),
    Fault("ip-checksum-at-bridge", routing.bad_checksum_at_bridge),
    Fault("reverse-path-filter", routing.reverse_path),
    Fault("neighbour-unresolved", routing.neighbour_unresolved),
    Fault("blackhole-route", routing.blackhole),
    Fault("bridge-out-blocked", bridge.way_out_blocked),
    Fault("bridge-in-blocked", bridge.way_in_blocked),
    Fault("bridge-isolated", bridge.isolated),
    Fault("mac-learnt-wrong", bridge.learnt_wrong),
    Fault("tap-down", bridge.link_down),
    Fault("tap-deleted", bridge.tap_deleted),
    Fault("guest-not-polling", queues.guest_not_polling),
    Fault("shaper", queues.shaper),
    Fault("socket-full", guests.socket_full, WITH_VM_B),
    Fault("no-socket", guests.no_socket, WITH_VM_B),
    Fault("udp-checksum", guests.udp_checksum, WITH_VM_B),
    Fault("guest-firewall-input", guests.firewall, WITH_VM_B),
    Fault("guest-firewall-output", guests.own_firewall, ["vm-a", *HYPERVISORS]),
    Fault("ipv6-loss", kinds.ipv6),
    Fault("fragment-loss", kinds.fragments),
    Fault("alike-loss", kinds.alike),
    Fault("tunnel-loss", kinds.in_a_tunnel),
    Fault("translated", kinds.translated, [*HYPERVISORS, "far"]),
    Fault("none", healthy.mixed, options=PAIR),
    Fault("netem", None, elsewhere="this kernel has no netem"),
    Fault("vlan-filtered", None, elsewhere="this kernel has no VLAN filtering in its bridge"),
    Fault("openvswitch-drop", None, elsewhere="this kernel has no Open vSwitch"),
]
