# SPDX-License-Identifier: Apache-2.0
"""Which rule of nftables or iptables dropped a packet, by what these commands printed."""
import copy
import json
import pathlib
import re
from typing import Any

import pytest

from fleetmerge.bundle.evidence import Reading
from fleetmerge.findings.causes import candidates, iptables, netfilter
from fleetmerge.findings.causes.drop import Budget, Cause, Drop, Packet, TooLarge, conclude, sentence
from fleetmerge.findings.causes.hooks import hook_of
from fleetmerge.findings.causes.matching import Met, Place, fits

CANNED = pathlib.Path(__file__).parents[2] / "support" / "evidence"
PLAIN = {"version": 4, "protocol": "udp", "src": "9.9.9.9", "dst": "8.8.8.8", "src_port": 99, "dst_port": 9,
         "mark": 0}
FRAMES = ["nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", "ip_forward"]


def reading() -> Reading:
    rules = json.loads((CANNED / "nft.json").read_text())
    lines = (CANNED / "nft.txt").read_text().splitlines()
    return Reading({"nftables": rules, "nftables-text": lines},
                   {"nftables": copy.deepcopy(rules), "nftables-text": lines})


def rule(of: Reading, handle: int, chain: str) -> dict[str, Any]:
    return next(one["rule"] for one in of.after["nftables"]["nftables"]
                if one.get("rule", {}).get("handle") == handle and one["rule"]["chain"] == chain)


def count(of: Reading, handle: int, chain: str, packets: int) -> None:
    next(part for part in rule(of, handle, chain)["expr"] if "counter" in part)["counter"]["packets"] = packets


def without(of: Reading, *handles: int) -> None:
    """Take rules that nobody can evaluate out of both readings."""
    for when in (of.before, of.after):
        when["nftables"]["nftables"] = [one for one in when["nftables"]["nftables"] if not (
            one.get("rule", {}).get("chain") == "forward" and one["rule"]["handle"] in handles)]


def drop(frames: list[str] = FRAMES, count: int = 5, device: str = "br0", **packet: Any) -> Drop:
    return Drop("h", "n", device, frames[0], "NETFILTER_DROP", frames, [Packet(count, **{**PLAIN, **packet})])


def cause(one: Drop, of: Reading) -> Cause:
    found = conclude(5, candidates(one, of, Reading()))
    assert found is not None
    return found


UNTOLD = (11, 16, 23, 25, 27)    # conntrack's state, limits, numbers in turn, the device out, routes back


@pytest.mark.parametrize(("packet", "handle"), [
    ({"src": "10.2.0.1"}, 14), ({"src": "192.168.32.10", "dst": "10.9.0.7"}, 17), ({"mark": 0x103}, 18),
    ({"protocol": "tcp", "tcp_flags": 2}, 19), ({"protocol": "icmp", "icmp_type": 8}, 21),
    ({"version": 6, "src": "fe80::1", "dst": "fe80::2"}, 26), ({"src": "10.5.0.1", "src_port": 1024}, 29)])
def test_a_rule_that_fits(packet: dict[str, Any], handle: int) -> None:
    of = reading()
    without(of, *UNTOLD)
    if handle in (18, 19):
        for one in of.after["nftables"]["nftables"]:
            if one.get("counter"):
                one["counter"]["packets"] = 5
        if handle == 19:
            count(of, 19, "forward", 5)
    # what the length of a UDP datagram is, no record says
    found = [one for one in cause(drop(**packet), of).candidates if one.where.get("handle") != 22]
    assert [one.where["handle"] for one in found] == [handle]


def test_the_policy_drops_what_no_rule_takes() -> None:
    of = reading()
    without(of, *UNTOLD, 22)
    found = cause(drop(), of)
    assert found.certainty == "certain"
    assert sentence(found) == ("By the policy of chain inet filter forward, which is drop: the packets' own headers "
                               "lead to it.")


def test_a_chain_that_is_jumped_to() -> None:
    of = reading()
    count(of, 8, "other", 5)
    without(of, *UNTOLD)
    found = cause(drop(protocol="tcp", dst_port=85, tcp_flags=16), of)
    assert (found.certainty, [one.what for one in found.candidates]) == ("certain", [
        'the rule "tcp dport { 22, 80-90 } counter drop comment "no ssh"" (handle 8) of chain inet filter other'])
    assert "its counter rose by 5, with 5 of these" in sentence(found)


def test_a_counter_that_stood_still_clears_its_rule() -> None:
    of = reading()
    without(of, *UNTOLD)
    one = drop(protocol="tcp", dst_port=85, tcp_flags=16)
    assert [found.where["handle"] for found in candidates(one, of, Reading())] == [8]
    assert conclude(5, candidates(one, of, Reading())) is None


def test_a_counter_that_rose_too_little_is_said() -> None:
    of = reading()
    count(of, 8, "other", 3)
    without(of, *UNTOLD)
    found = cause(drop(protocol="tcp", dst_port=85, tcp_flags=16), of)
    assert (found.certainty, found.why) == ("likely", "its counter rose by 3, and 5 packets were dropped")


def test_what_cannot_be_told_apart_is_shown_as_two() -> None:
    of = reading()
    without(of, 11, 16, 25, 27, 22)
    found = cause(drop(), of)
    assert found.certainty == "likely"
    assert [one.where.get("handle", one.where["rule"]) for one in found.candidates] == [23, "policy drop"]
    assert "2 may have done it" in sentence(found)


def test_rules_that_changed_in_between_are_not_certain() -> None:
    of = reading()
    without(of, *UNTOLD, 22)
    rule(of, 26, "forward")["expr"].insert(0, {"counter": {"packets": 7, "bytes": 7}})
    found = cause(drop(), of)
    assert (found.certainty, found.why) == ("likely", "it was not the same before the window and after it")


def test_sets_whose_elements_come_and_go_tell_nothing() -> None:
    match = {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}
    met = Met(Packet(1, **PLAIN), Place("br0", None), Budget())
    assert fits(match, met, lambda _name: ["9.9.9.9"]) is True
    assert fits(match, met, lambda _name: ["9.9.9.8"]) is False
    of = reading()
    for one in of.after["nftables"]["nftables"]:
        if one.get("set", {}).get("name") == "bad":
            one["set"]["flags"] = ["timeout"]
    count(of, 12, "forward", 5)
    without(of, *UNTOLD, 22)
    found = conclude(5, candidates(drop(src="1.1.1.2", device="eth0"), of, Reading()))
    assert found is not None
    assert [one.where.get("handle") for one in found.candidates] == [12, None]


@pytest.mark.parametrize(("op", "right", "flags", "fit"), [
    ("in", "syn", 0x12, True), ("==", "syn", 0x12, False), ("!=", "syn", 0x12, True),
    ("==", {"set": [{"|": ["syn", "ack"]}, "syn"]}, 0x12, True), ("==", {"set": [{"|": ["syn", "ack"]}]}, 0x02, False)])
def test_tcp_flags(op: str, right: Any, flags: int, fit: bool) -> None:
    met = Met(Packet(1, **{**PLAIN, "protocol": "tcp", "tcp_flags": flags}), Place("", ""), Budget())
    match = {"op": op, "left": {"payload": {"protocol": "tcp", "field": "flags"}}, "right": right}
    assert fits(match, met, lambda _name: []) is fit


@pytest.mark.parametrize(("match", "fit"), [
    ({"op": "!=", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 9}, False),
    ({"op": "==", "left": {"ct": {"key": "state"}}, "right": "new"}, None),
    ({"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "br*"}, True),
    ({"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "br0"}, None),
    ({"op": "==", "left": {"&": [{"payload": {"protocol": "ip", "field": "saddr"}}, "0.0.0.1"]}, "right": "0.0.0.1"},
     None),
    ({"op": "<", "left": {"payload": {"protocol": "ip", "field": "ttl"}}, "right": 5}, None),
    ({"op": ">=", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 9}, True),
    ({"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}, True),
    ({"op": "==", "left": {"payload": {"protocol": "vlan", "field": "id"}}, "right": 5}, False),
    ({"op": "sideways"}, None), ({}, None), ([], None), (None, None), ("match", None)])
def test_matches(match: Any, fit: bool | None) -> None:
    met = Met(Packet(1, **PLAIN), Place("br0", None), Budget())
    assert fits(match, met, lambda _name: []) is fit


@pytest.mark.parametrize(("frames", "device", "layer", "hook"), [
    (["nft_do_chain", "nft_do_chain_bridge", "nf_hook_slow", "__br_forward"], "vnet0", "bridge", "forward"),
    (["nf_hook_slow", "__br_forward", "br_forward", "br_dev_xmit"], "vnet0", "bridge", "output"),
    (["nft_do_chain", "nft_do_chain_netdev", "nf_hook_slow", "__netif_receive_skb_core.constprop.0"], "eth0", "netdev",
     "ingress"), (["nf_hook_slow", "br_nf_forward_ip.part.0"], "vnet0", "ip", "forward"),
    (["nf_hook_slow", "ip6_input"], "eth0", "ip", "input")])
def test_hooks(frames: list[str], device: str, layer: str, hook: str) -> None:
    found = hook_of(drop(frames, device=device))
    assert found is not None
    assert (found.layer, found.name) == (layer, hook)


def test_what_netfilter_did_not_drop_has_no_hook() -> None:
    one = drop(["tun_net_xmit", "nf_hook_slow", "__br_forward"])
    one.reason = "FULL_RING"
    assert hook_of(one) is None
    assert netfilter.find(one, reading(), Reading()) is None


def test_too_many_rules_are_not_followed() -> None:
    of, one = reading(), drop()
    one.budget.left = 5
    with pytest.raises(TooLarge):
        candidates(one, of, Reading())


def test_chains_that_jump_in_a_circle_end() -> None:
    of = reading()
    for chain in ("other", "forward"):
        for handle in (8, 20):
            for one in of.after["nftables"]["nftables"]:
                if one.get("rule", {}).get("handle") == handle and one["rule"]["chain"] == chain:
                    one["rule"]["expr"] = [{"jump": {"target": "other"}}]
    without(of, *UNTOLD)
    with pytest.raises(TooLarge):
        candidates(drop(), of, Reading())


def tables(words: str, packets: int = 5) -> Reading:
    """iptables' rules; since the reading before, the one with these words has counted so many more packets."""
    before = (CANNED / "iptables.txt").read_text().splitlines()
    after = [re.sub(r"\[(\d+):", lambda found: "[%d:" % (int(found[1]) + packets), line) if words in line else line
             for line in before]
    assert after != before
    return Reading({"iptables": before}, {"iptables": after})


SLOW = ["nf_hook_slow", "ip_forward", "ip_rcv_finish"]


def test_iptables_names_the_rule_of_a_chain() -> None:
    found = cause(drop(SLOW, src="10.2.0.5", protocol="tcp", dst_port=85), tables("REJECT"))
    assert found.certainty == "certain"
    (one,) = found.candidates
    assert (one.kind, one.rose, one.where["table"], one.where["chain"], one.where["number"]) == (
        "iptables", 5, "filter", "tenants", 1)
    assert 'the rule "-s 10.2.0.0/24 -p tcp -m multiport --dports 22,80:90' in one.what


def test_iptables_names_the_policy() -> None:
    found = cause(drop(SLOW, src="10.3.0.5"), tables(":FORWARD"))
    assert [one.what for one in found.candidates] == ["the policy of iptables' chain filter FORWARD, which is DROP"]
    assert found.certainty == "certain"


def test_iptables_turned_round() -> None:
    found = cause(drop(SLOW, src="11.3.0.5"), tables("! -s 10.0.0.0/8"))
    assert [one.where.get("number") for one in found.candidates] == [2]


@pytest.mark.parametrize(("option", "value", "fit"), [
    ("-p", "udp", True), ("-p", "17", True), ("-p", "tcp", False), ("-p", "gre", None), ("-i", "br+", True),
    ("-i", "eth0", False), ("-o", "eth0", None), ("-d", "8.8.8.8/32", True), ("-s", "fe80::/64", False),
    ("--dport", "1:9", True), ("--dports", "22,9", True), ("--sport", "100:", False), ("--ctstate", "NEW", None),
    ("-s", "nonsense", None), ("--dport", "domain", None)])
def test_conditions_of_iptables(option: str, value: str, fit: bool | None) -> None:
    met = Met(Packet(1, **PLAIN), Place("br0", None), Budget())
    assert iptables._fits((option, value, False), met) is fit
    assert iptables._fits((option, value, True), met) is (None if fit is None else not fit)


def test_rules_that_both_list_are_named_once() -> None:
    of = tables("REJECT")
    for when in (of.before, of.after):
        when["nftables"] = {"nftables": [
            {"table": {"family": "ip", "name": "filter", "handle": 1}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 2, "type": "filter",
                       "hook": "forward", "prio": 0, "policy": "drop"}}]}
    found = cause(drop(SLOW, src="10.2.0.5", protocol="tcp", dst_port=85), of)
    assert [one.kind for one in found.candidates] == ["iptables"]
    assert ("ip", "filter", "FORWARD") in iptables.chains_of(of)
