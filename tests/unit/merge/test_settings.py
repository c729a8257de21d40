# SPDX-License-Identifier: Apache-2.0
"""Which route, queue, filter, port or socket dropped a packet, by what a host's own commands printed."""
import random
from typing import Any

import pytest
from support.spoilt import spoilt

from fleetmerge.bundle.evidence import Reading
from fleetmerge.findings.causes import KINDS, candidates
from fleetmerge.findings.causes.drop import Cause, Drop, Packet, conclude, sentence
from fleetmerge.findings.causes.listeners import full_queue

PLAIN = {"version": 4, "protocol": "udp", "src": "10.0.0.5", "dst": "9.9.1.1", "src_port": 99, "dst_port": 9, "mark": 0,
         "mac_src": "02:00:00:00:00:01", "mac_dst": "02:00:00:00:00:02", "received": "port0"}
RULES = [{"priority": 0, "src": "all", "table": "local", "protocol": "kernel"},
         {"priority": 99, "src": "all", "fwmark": "0x5", "fwmask": "0xff", "table": "100", "protocol": "unspec"},
         {"priority": 32765, "src": "1.1.1.1", "action": "blackhole", "protocol": "unspec"},
         {"priority": 32766, "src": "all", "table": "main", "protocol": "kernel"},
         {"priority": 32767, "src": "all", "table": "default", "protocol": "kernel"}]
ROUTES = [{"type": "prohibit", "dst": "default", "table": "100", "protocol": "boot", "scope": "global", "flags": []},
          {"type": "unreachable", "dst": "9.8.0.0/16", "table": "main", "metric": 5, "flags": []},
          {"type": "blackhole", "dst": "9.9.0.0/16", "table": "main", "flags": []},
          {"type": "unicast", "dst": "9.9.7.0/24", "gateway": "10.0.0.9", "dev": "br0", "table": "main", "flags": []},
          {"type": "unicast", "dst": "10.0.0.0/24", "dev": "br0", "table": "main", "flags": []},
          {"type": "local", "dst": "10.0.0.1", "dev": "br0", "table": "local", "flags": []}]
QDISCS = [{"kind": "htb", "handle": "1:", "dev": "out0", "root": True, "options": {"r2q": 10}, "drops": 0},
          {"kind": "pfifo", "handle": "20:", "dev": "out0", "parent": "1:10", "options": {"limit": 5}, "drops": 0},
          {"kind": "pfifo", "handle": "30:", "dev": "out0", "parent": "1:20", "options": {"limit": 5}, "drops": 4},
          {"kind": "tbf", "handle": "5:", "dev": "port0", "root": True,
           "options": {"rate": 125000, "burst": 10240, "lat": 81920}, "drops": 9}]
POLICE = {"order": 1, "kind": "police", "index": 1, "control_action": {"type": "drop"},
          "stats": {"bytes": 0, "packets": 0, "drops": 0, "overlimits": 0}}
FILTERS = [{"protocol": "ip", "pref": 3, "kind": "bpf", "chain": 0},
           {"protocol": "ip", "pref": 3, "kind": "matchall", "chain": 0,
            "options": {"handle": 1, "not_in_hw": True, "actions": [POLICE]}},
           {"protocol": "arp", "pref": 4, "kind": "bpf", "chain": 0,
            "options": {"handle": "0x1", "direct-action": True, "bytecode": {"length": 1}}}]
PORTS = [{"ifname": "port0", "master": "br0", "state": "forwarding", "isolated": True, "learning": True},
         {"ifname": "port1", "master": "br0", "state": "forwarding", "isolated": True, "learning": True},
         {"ifname": "port2", "master": "br0", "state": "blocking", "isolated": False, "learning": True}]
FDB = [{"mac": "02:00:00:00:00:02", "ifname": "port1", "master": "br0", "flags": []},
       {"mac": "02:00:00:00:00:02", "ifname": "port1", "vlan": 5, "master": "br0", "flags": []},
       {"mac": "02:00:00:00:00:03", "ifname": "port2", "master": "br0", "flags": []}]
VLANS = [{"ifname": "port0", "vlans": [{"vlan": 1, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 5}]},
         {"ifname": "port1", "vlans": [{"vlan": 1, "flags": ["PVID"]}, {"vlan": 10, "vlanEnd": 20}]}]
UDP = ["   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer "
       "drops",
       "  1: 0500000A:0009 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 7001 2 00000000 0",
       "  2: 0500000A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 7002 2 00000000 40"]

CACHED = {"dst": "9.9.7.1", "dev": "br0", "table": "main", "cache": [], "expires": 590, "metrics": [{"mtu": 1400}]}
REDIRECTED = {"dst": "9.9.7.1", "dev": "br0", "table": "main", "cache": ["redirected"], "gateway": "10.0.0.8"}
LISTENERS = ["LISTEN 0 128 0.0.0.0:22 0.0.0.0:*", "LISTEN 6 5 10.0.0.1:9 0.0.0.0:*"]
ADDRESSES = [{"ifname": "br0", "addr_info": [{"family": "inet", "local": "10.0.0.1"}, {"local": "10.0.0.2"},
                                            {"family": "inet6", "local": "fd00::1"}]}]
TCP = ["TcpExt: SyncookiesSent ListenOverflows", "TcpExt: 0 40"]


def links(*programs: int, mode: int = 2) -> list[dict[str, Any]]:
    """Programs of XDP at eth0, by their numbers, and one at another device."""
    attached = [{"mode": mode + at, "prog": {"id": one, "name": "fw", "created_by_uid": 0}}
                for at, one in enumerate(programs)]
    return [{"ifname": "eth0", "xdp": dict(attached[0], attached=attached)}, {"ifname": "br0"},
            {"ifname": "eth1", "xdp": {"mode": 2, "prog": {"id": 9, "name": "other"}}}]


def whole() -> dict[str, Any]:
    """What a host with all of this prints."""
    return {"rules": RULES, "routes": ROUTES, "rules6": [], "routes6": [],
            "neighbours": [{"dst": "10.0.0.9", "dev": "br0", "probes": 0, "state": ["FAILED"]},
                           {"dst": "10.0.0.8", "dev": "br0", "state": ["REACHABLE"]}],
            "qdiscs": QDISCS, "filters-in": {"out0": FILTERS}, "filters-out": {}, "ports": PORTS, "fdb": FDB,
            "vlans": VLANS, "bridges": [{"ifname": "br0", "linkinfo": {"info_data": {"vlan_filtering": 0}}}],
            "sockets": {"/proc/net/udp": UDP},
            "addresses": ADDRESSES, "listeners": LISTENERS, "statistics-more": {"/proc/net/netstat": TCP},
            "cached-routes": [dict(CACHED, dst="9.9.7.9"), dict(REDIRECTED, dst="9.9.7.8")], "cached-routes6": [],
            "links": links(3), "settings": {"/proc/sys/net/ipv4/conf/br0/rp_filter": ["1"],
                         "/proc/sys/net/ipv4/conf/all/rp_filter": ["0"]},
            "nftables": {"nftables": []}}


def drop(function: str, reason: str, device: str = "br0", **packet: Any) -> Drop:
    return Drop("h", "n", device, function, reason, [function], [Packet(5, **{**PLAIN, **packet})])


def cause(one: Drop, **after: Any) -> Cause | None:
    return conclude(5, candidates(one, Reading(whole(), {**whole(), **after}), Reading()))


@pytest.mark.parametrize(("packet", "what"), [
    ({}, 'the route "blackhole 9.9.0.0/16" of table main'), ({"dst": "9.8.1.1"},
     'the route "unreachable 9.8.0.0/16 metric 5" of table main'),
    ({"mark": 5}, 'the route "prohibit default" of table 100'),
    ({"src": "1.1.1.1"}, 'the rule "from 1.1.1.1 blackhole" (priority 32765)'),
    ({"dst": "7.7.7.7"}, "there being no route to 7.7.7.7")])
def test_routes(packet: dict[str, Any], what: str) -> None:
    found = cause(drop("ip_error", "NOT_SPECIFIED", **packet))
    assert found is not None
    assert (found.certainty, [one.what for one in found.candidates]) == ("certain", [what])


@pytest.mark.parametrize("packet", [{"dst": "10.0.0.77"}, {"dst": "9.9.7.1"}, {"mark": None}, {"dst": None}])
def test_a_packet_that_has_a_route_was_not_dropped_for_want_of_one(packet: dict[str, Any]) -> None:
    assert cause(drop("ip_error", "NOT_SPECIFIED", **packet)) is None


@pytest.mark.parametrize("reason", ["IP_INADDRERRORS", "UNICAST_IN_L2_MULTICAST", "IP_INVALID_DEST"])
def test_what_was_dropped_for_another_reason_is_no_route_s(reason: str) -> None:
    assert cause(drop("ip_rcv_finish_core", reason)) is None


def test_the_mtu_of_the_way_out() -> None:
    small = [{"ifname": "br0", "mtu": 1400}, {"ifname": "eth0", "mtu": 9000}]
    one = drop("ip_forward+0x1a0", "PKT_TOO_BIG", dst="9.9.7.1")
    found = conclude(5, candidates(one, Reading({**whole(), "links": small}, {**whole(), "links": small}), Reading()))
    assert found is not None and found.certainty == "certain"
    assert sentence(found) == "By the MTU of br0, 1400 bytes: packets to 9.9.7.1 leave by it."
    changed = cause(one, links=small)    # before, it was not known
    assert changed is not None and (changed.certainty, changed.why) == (
        "likely", "it was not the same before the window and after it")


@pytest.mark.parametrize(("function", "reason", "packet", "more"), [
    ("ip_forward", "NOT_SPECIFIED", {}, {}), ("ip_output", "PKT_TOO_BIG", {}, {}),
    ("ip_forward", "PKT_TOO_BIG", {"dst": "7.7.7.7"}, {}),                  # there is no route
    ("ip_forward", "PKT_TOO_BIG", {"dst": None}, {}), ("ip_forward", "PKT_TOO_BIG", {"mark": None}, {}),
    ("ip_forward", "PKT_TOO_BIG", {}, {"metrics": [{"mtu": 1200}]}),        # it has an MTU of its own
    ("ip_forward", "PKT_TOO_BIG", {}, {"nexthops": [{}]}), ("ip_forward", "PKT_TOO_BIG", {}, {"dev": "eth7"}),
    ("ip_forward", "PKT_TOO_BIG", {}, {"dev": "odd"}), ("ip_forward", "PKT_TOO_BIG", {}, {"dev": "vast"})])
def test_where_no_mtu_is_to_be_named(function: str, reason: str, packet: dict[str, Any], more: dict[str, Any]) -> None:
    routes = [{"type": "unicast", "dst": "9.9.7.0/24", "dev": "br0", "table": "main", **more}]
    rows = [{"ifname": "br0", "mtu": 1400}, {"ifname": "odd", "mtu": "1400"},
            {"ifname": "vast", "mtu": 10 ** 400}]
    assert cause(drop(function, reason, **{"dst": "9.9.7.1", **packet}), routes=routes, links=rows) is None


LARGE = {"dst": "9.9.7.1", "received": "", "shortest": 1450, "longest": 1500}


def with_cache(one: Drop, *rows: Any, before: Any = None, mtu: int = 1500) -> Cause | None:
    """What is said where a host has cached routes; before: another time."""
    after = {**whole(), "links": [{"ifname": "br0", "mtu": mtu}], "cached-routes": list(rows)}
    return conclude(5, candidates(one, Reading({**after, **(before or {})}, after), Reading()))


@pytest.mark.parametrize(("function", "reason"), [
    ("ip_fragment.constprop.0", "NOT_SPECIFIED"), ("ip_fragment", None), ("ip_forward", "PKT_TOO_BIG")])
def test_a_path_mtu_that_was_learnt(function: str, reason: str) -> None:
    one = drop(function, reason, **LARGE)
    found = with_cache(one, dict(CACHED, dst="9.9.7.2"), CACHED)
    assert found is not None and found.certainty == "certain"
    assert sentence(found) == ("By the cached route to 9.9.7.1 by br0 (path MTU 1400, for 590 s yet): it was learnt by "
                               "ICMP, these have 1450 to 1500 bytes, and br0 takes 1500.")
    later = with_cache(one, CACHED, before={"cached-routes": []})
    assert later is not None and later.certainty == "likely"


@pytest.mark.parametrize(("packet", "rows", "mtu"), [
    ({}, [], 1500), ({"received": "port0"}, [CACHED], 1500), ({"longest": 1501}, [CACHED], 1500),
    ({"shortest": 1400}, [CACHED], 1500), ({"shortest": 0, "longest": 0}, [CACHED], 1500),
    ({}, [CACHED, CACHED], 1500), ({}, [dict(CACHED, dev="eth0")], 1500), ({}, [dict(CACHED, table="7")], 1500),
    ({}, [dict(CACHED, metrics=[{"mtu": "x"}])], 1500), ({}, [dict(CACHED, metrics=7), 7], 1500),
    ({}, [dict(CACHED, metrics=[{"mtu": 10 ** 400}])], 1500), ({}, [REDIRECTED], 1500)])
def test_where_no_path_mtu_is_to_be_named(packet: dict[str, Any], rows: list[Any], mtu: int) -> None:
    assert with_cache(drop("ip_fragment", "NOT_SPECIFIED", **{**LARGE, **packet}), *rows, mtu=mtu) is None


def test_what_does_not_fit_the_device_either_is_the_device_s() -> None:
    found = with_cache(drop("ip_fragment", "NOT_SPECIFIED", **LARGE), CACHED, mtu=1440)
    assert found is not None and [one.kind for one in found.candidates] == ["mtu"]


def test_the_neighbour_to_which_a_host_was_redirected() -> None:
    one = drop("neigh_invalidate", "NEIGH_FAILED", dst="9.9.7.1")
    dead = {"neighbours": [{"dst": "10.0.0.8", "dev": "br0", "state": ["FAILED"]}]}
    found = cause(one, **{"cached-routes": [REDIRECTED], **dead})
    assert found is not None and found.certainty == "certain"
    assert sentence(found) == (
        "By the neighbour 10.0.0.8 on br0, whose address nobody answers for (FAILED): the cached route to 9.9.7.1 by "
        "br0 (redirected to 10.0.0.8) leads there, and the route itself to 10.0.0.9.")
    assert cause(one, **{"cached-routes": [REDIRECTED]}) is None     # that one answers
    assert cause(one, **dead) is None                                # nothing leads there


def test_a_route_that_came_later_is_not_certain() -> None:
    found = cause(drop("ip_error", "NOT_SPECIFIED", dst="6.6.6.6"),
                  routes=[*ROUTES, {"type": "blackhole", "dst": "6.6.0.0/16", "table": "main"}])
    assert found is not None
    assert (found.certainty, found.why) == ("likely", "it was not the same before the window and after it")


def test_the_neighbour_of_a_gateway() -> None:
    found = cause(drop("neigh_invalidate", "NEIGH_FAILED", dst="9.9.7.1"))
    assert found is not None
    assert sentence(found).startswith("By the neighbour 10.0.0.9 on br0, whose address nobody answers for (FAILED)")
    assert cause(drop("neigh_invalidate", "NEIGH_FAILED", dst="10.0.0.8")) is None


def test_the_setting_of_the_reverse_path() -> None:
    found = cause(drop("ip_rcv_finish_core", "IP_RPFILTER", src="9.9.9.9"))
    assert found is not None
    assert sentence(found) == ("By net.ipv4.conf.br0.rp_filter, which is 1 (strict): 9.9.9.9 is reached by blackhole, "
                               "and came in by br0.")


def test_the_queue_whose_counter_rose() -> None:
    after = [dict(row, drops=row["drops"] + rose) for row, rose in zip(QDISCS, (5, 5, 0, 0), strict=True)]
    found = cause(drop("__dev_queue_xmit", "QDISC_DROP", "out0"), qdiscs=after)
    assert found is not None
    assert sentence(found) == ("By the queue pfifo (handle 20:) of out0, with limit 5: its drop counter rose by 5, "
                               "with 5 of these.")
    assert cause(drop("__dev_queue_xmit", "QDISC_DROP", "out0")) is None


def test_the_queue_of_one_of_several_that_a_device_has() -> None:
    """The kernel has made them, without numbers; what they are in counts their drops, too."""
    rows = [{"kind": "mq", "handle": "0:", "dev": "out1", "root": True, "options": {}, "drops": 7},
            *({"kind": "fq_codel", "handle": "0:", "dev": "out1", "parent": parent, "options": {}, "drops": drops}
              for parent, drops in ((":1", 0), (":2", 7)))]
    before = [dict(row, drops=0) for row in rows]
    found = conclude(5, candidates(drop("__dev_queue_xmit", "QDISC_DROP", "out1"),
                                   Reading({"qdiscs": before}, {"qdiscs": rows}), Reading()))
    assert found is not None
    assert (found.certainty, [(one.where["qdisc"], one.rose) for one in found.candidates]) == (
        "certain", [("fq_codel", 7)])


def test_a_policer_that_counted() -> None:
    rose = {**POLICE, "stats": {**POLICE["stats"], "drops": 7}}
    after = [FILTERS[0], {**FILTERS[1], "options": {**FILTERS[1]["options"], "actions": [rose]}}, FILTERS[2]]
    found = cause(drop("sch_handle_ingress", "TC_INGRESS", "out0"), **{"filters-in": {"out0": after}})
    assert found is not None
    assert (found.certainty, [(one.where["filter"], one.rose) for one in found.candidates]) == (
        "certain", [("matchall", 7)])
    assert cause(drop("sch_handle_ingress", "TC_INGRESS", "out0")) is None


@pytest.mark.parametrize(("packet", "what"), [
    ({}, "the ports port0 and port1 of br0, which are both isolated"),
    ({"mac_dst": "02:00:00:00:00:03"}, "the port port2 of br0, whose state is blocking")])
def test_ports(packet: dict[str, Any], what: str) -> None:
    found = cause(drop("br_handle_frame_finish", "NOT_SPECIFIED", "port0", **packet))
    assert found is not None
    assert [one.what for one in found.candidates] == [what]


@pytest.mark.parametrize(("vlan", "what"), [
    (7, "the port port0 of br0, which filters by VLAN: it is in VLAN 1, 5, and the frame has VLAN 7"),
    (5, "the port port1 of br0, which filters by VLAN: it is in VLAN 1, 10-20, and the frame has VLAN 5")])
def test_vlans(vlan: int, what: str) -> None:
    filtering = [{"ifname": "br0", "linkinfo": {"info_data": {"vlan_filtering": 1}}}]
    ports = [dict(row, isolated=False) for row in PORTS]
    found = cause(drop("br_handle_frame_finish", "NOT_SPECIFIED", "port0", vlan=vlan), bridges=filtering, ports=ports)
    assert found is not None
    assert [one.what for one in found.candidates] == [what]


def test_a_port_that_forwards_is_not_blamed() -> None:
    ports = [dict(row, isolated=False) for row in PORTS]
    assert cause(drop("br_handle_frame_finish", "NOT_SPECIFIED", "port0"), ports=ports) is None


def test_the_socket_whose_counter_rose() -> None:
    after = {"/proc/net/udp": [UDP[0], UDP[1][:-1] + "5", UDP[2][:-2] + "90"]}
    found = cause(drop("udp_queue_rcv_one_skb", "SOCKET_RCVBUFF"), sockets=after)
    assert found is not None
    assert sentence(found) == ("By the receive buffer of the socket on udp port 9: its drop counter rose by 5, with 5 "
                               "of these.")


@pytest.mark.parametrize(("function", "reason"), [
    ("tcp_v4_rcv", "TCP_LISTEN_OVERFLOW"), ("cookie_v4_check", "NO_SOCKET"), ("cookie_v6_check", "NO_SOCKET")])
def test_the_queue_of_new_connections(function: str, reason: str) -> None:
    after = {"/proc/net/netstat": [TCP[0], "TcpExt: 0 46"]}
    found = cause(drop(function, reason, protocol="tcp", dst="10.0.0.1"), **{"statistics-more": after})
    assert found is not None
    assert found.certainty == "certain"
    assert sentence(found) == ("By the queue of new connections of the socket that listens on 10.0.0.1 port 9 "
                               "(limit 5): ListenOverflows rose by 6, with 5 of these.")


def test_for_which_nobody_listened_is_no_queue_s() -> None:
    assert cause(drop("tcp_v4_rcv", "NO_SOCKET", protocol="tcp")) is None


@pytest.mark.parametrize(("overflows", "listeners", "queue"), [
    ("46", LISTENERS, {"overflows": 6, "address": "10.0.0.1", "port": 9, "waiting": 6, "limit": 5}),
    ("46", [LISTENERS[0], LISTENERS[1].replace(" 6 5 ", " 5 5 ")], {"overflows": 6}),    # it has room again
    ("46", [*LISTENERS, LISTENERS[1]], {"overflows": 6}),    # SO_REUSEPORT: which of them it was is not known
    ("46", [LISTENERS[1].replace("10.0.0.1", "10.0.0.2")], None), ("46", [LISTENERS[1].replace(":9", ":8")], None),
    ("46", [], None),
    ("40", LISTENERS, None), ("39", LISTENERS, None), ("x", LISTENERS, None)])
def test_a_full_queue(overflows: str, listeners: list[str], queue: dict[str, Any] | None) -> None:
    counters = {"/proc/net/netstat": [TCP[0], "TcpExt: 0 " + overflows]}
    after = {**whole(), "listeners": listeners, "statistics-more": counters}
    assert full_queue(Reading(whole(), after), "10.0.0.1", 9) == queue


@pytest.mark.parametrize(("asked", "listens", "takes"), [
    ("10.0.0.1", "0.0.0.0", True), ("10.0.0.1", "*", True), ("10.0.0.1", "[::]", False),
    ("10.0.0.1", "10.0.0.2", False),
    ("10.0.0.1", "[::ffff:10.0.0.1]", True), ("10.0.0.1", "10.0.0.1%br0", True), ("10.0.0.1", "x", False),
    ("fd00::1", "*", True), ("fd00::1", "[::]", True), ("fd00::1", "[fd00::1]", True), ("fd00::1", "0.0.0.0", False),
    ("10.9.9.9", "0.0.0.0", False)])     # for another machine: it is sent on
def test_whose_the_full_queue_is(asked: str, listens: str, takes: bool) -> None:
    after = {**whole(), "listeners": ["LISTEN 6 5 %s:9 0.0.0.0:*" % listens],
             "statistics-more": {"/proc/net/netstat": [TCP[0], "TcpExt: 0 46"]}}
    assert (full_queue(Reading(whole(), after), asked, 9) is not None) == takes


def test_a_socket_for_one_address_goes_before_one_for_all() -> None:
    found = cause(drop("tcp_v4_rcv", "TCP_LISTEN_OVERFLOW", protocol="tcp", dst="10.0.0.1"), **{
        "listeners": ["LISTEN 0 128 0.0.0.0:9 0.0.0.0:*", *LISTENERS],
        "statistics-more": {"/proc/net/netstat": [TCP[0], "TcpExt: 0 46"]}})
    assert found is not None
    assert [one.where["limit"] for one in found.candidates] == [5]


@pytest.mark.parametrize(("after", "certainty", "why"), [
    (links(3), "certain", ""), (links(4), "likely", "it was not the same before the window and after it"),
    (links(3, 4, mode=1), "likely", "2 may have done it, and nothing tells them apart")])
def test_xdp_programs(after: list[dict[str, Any]], certainty: str, why: str) -> None:
    found = cause(drop("netif_receive_generic_xdp", "NOT_SPECIFIED", "eth0"), links=after)
    assert found is not None and (found.certainty, found.why) == (certainty, why)
    assert found.candidates[0].what.startswith("the XDP program fw (id %d, " % after[0]["xdp"]["prog"]["id"])
    assert cause(drop("netif_receive_generic_xdp", "NOT_SPECIFIED", "br0"), links=after) is None


DROPS = [drop("ip_error", "NOT_SPECIFIED"), drop("neigh_invalidate", "NEIGH_FAILED", dst="9.9.7.1"),
         drop("ip_rcv_finish_core", "IP_RPFILTER"), drop("__dev_queue_xmit", "QDISC_DROP", "out0"),
         drop("sch_handle_ingress", "TC_INGRESS", "out0"), drop("br_handle_frame_finish", "NOT_SPECIFIED", "port0"),
         drop("udp_queue_rcv_one_skb", "SOCKET_RCVBUFF"), drop("nf_hook_slow", "NETFILTER_DROP"),
         drop("tcp_v4_rcv", "TCP_LISTEN_OVERFLOW", protocol="tcp", dst="10.0.0.1"),
         drop("do_xdp_generic", "XDP", "eth0")]


@pytest.mark.parametrize("seed", range(40))
def test_what_no_command_prints_is_survived(seed: int) -> None:
    chance = random.Random(seed)
    for one in DROPS:
        before, after = (spoilt(whole(), chance) for _ in range(2))
        of = Reading(*(value if isinstance(value, dict) else {} for value in (before, after)))
        found = conclude(5, candidates(one, of, Reading()))
        assert found is None or sentence(found)
        assert full_queue(of, "10.0.0.1", 9) is None or of.after


def test_every_kind_is_asked() -> None:
    assert len(KINDS) == len(set(KINDS)) == 14
