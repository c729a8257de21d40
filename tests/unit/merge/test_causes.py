# SPDX-License-Identifier: Apache-2.0
"""From a bundle's evidence.json to what the verdict says: the rule, or that it is not known."""
import hashlib
import json
import pathlib
from typing import Any

import pytest
from support.bundles import NETNS
from support.fleet import VNET0, Fleet, add_evidence, udp_packet
from support.fleet import merged as merge

from fleetmerge.bundle.evidence import read_evidence
from fleetmerge.errors import BundleError

CHAIN = {"family": "bridge", "table": "fw", "name": "out", "handle": 1, "type": "filter", "hook": "forward", "prio": 0,
         "policy": "accept"}
PLACES = {0xFFFFFFFF81B00001: "nft_do_chain+0x11", 0xFFFFFFFF81B00002: "nft_do_chain_bridge+0x22",
          0xFFFFFFFF81B00003: "nf_hook_slow+0x33", 0xFFFFFFFF81B00004: "__br_forward+0x44"}


def rule(handle: int, port: int, packets: int | None = None) -> dict[str, Any]:
    match = {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": port}
    counter = [{"counter": {"packets": packets, "bytes": 0}}] if packets is not None else []
    return {"rule": {"family": "bridge", "table": "fw", "chain": "out", "handle": handle,
                     "expr": [{"match": match}, *counter, {"drop": None}]}}


def entries(*rules: dict[str, Any], text: str = "") -> dict[str, Any]:
    listed = [{"table": {"family": "bridge", "name": "fw", "handle": 1}}, {"chain": CHAIN}, *rules]
    lines = ["table bridge fw { # handle 1", " chain out { # handle 1",
             "  udp dport 5001%s drop # handle 7" % text, "  udp dport 53 drop # handle 8", " }", "}"]
    return {"nftables": {"value": {"nftables": listed}, "seconds": 0.1},
            "nftables-text": {"value": lines, "seconds": 0.1}, "iptables": {"why": "iptables-save is not installed"}}


def evidence(before: Any, after: Any) -> dict[str, Any]:
    return {"format": "skbfleet-evidence/1", **{when: one and {
        "began_ns": 1, "ended_ns": 250_000_001, "host": {}, "namespaces": {str(NETNS): one}}
        for when, one in (("before", before), ("after", after))}}


def merged(tmp_path: pathlib.Path, content: Any, damage: bytes = b"") -> dict[str, Any]:
    """A run in which hv-b's nftables dropped four of thirty packets, and what hv-b read."""
    fleet = Fleet()
    fleet.talk()
    for address, name in PLACES.items():
        fleet.b.symbol(address, name)
    fleet.b.stack(1, list(PLACES))
    fleet.b.manifest["drop_reasons"]["77"] = "NETFILTER_DROP"
    for number in range(30):
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=number in (3, 9, 10, 20))
    for event in fleet.b.events:
        if event["ifindex"] == VNET0 and event.get("reason") == 77:
            event.update(location=next(iter(PLACES)), stack_id=1)
    run = fleet.write(tmp_path)
    add_evidence(run, "hv-b", content, damage)
    return merge(run)


def test_what_the_kernel_was_in_the_midst_of_does_not_matter(tmp_path: pathlib.Path) -> None:
    """Each packet met another stack below the softirq: these are no different packets."""
    fleet = Fleet()
    fleet.talk()
    fleet.b.manifest["drop_reasons"]["77"] = "NETFILTER_DROP"
    below = fleet.b.symbol(0xFFFFFFFF81C00001, "handle_softirqs+0xd4")
    for address, name in PLACES.items():
        fleet.b.symbol(address, name)
    for number in range(150):
        other = fleet.b.symbol(0xFFFFFFFF82000000 + number, "anything_%d+0x1" % number)
        fleet.b.stack(number + 1, [*PLACES, below, other])
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=True)
    dropped = [event for event in fleet.b.events if event["ifindex"] == VNET0 and event.get("reason") == 77]
    for number, event in enumerate(dropped):
        event.update(location=next(iter(PLACES)), stack_id=number + 1)
    run = fleet.write(tmp_path)
    add_evidence(run, "hv-b", evidence(entries(rule(7, 5001, 0)), entries(rule(7, 5001, 150))))
    assert drop_of(merge(run))["cause"]["drops"] == 150


def drop_of(summary: dict[str, Any]) -> dict[str, Any]:
    (loss,) = [loss for loss in summary["losses"] if loss["kind"] == "drop"]
    return loss


def test_the_rule_is_in_the_verdict(tmp_path: pathlib.Path) -> None:
    summary = merged(tmp_path, evidence(entries(rule(7, 5001, 10), rule(8, 53)),
                                        entries(rule(7, 5001, 14), rule(8, 53))))
    words = ('By the rule "udp dport 5001 drop" (handle 7) of chain bridge fw out: its counter rose by 4, with 4 of '
             "these.")
    cause = drop_of(summary)["cause"]
    assert cause["words"] == words
    assert (cause["certainty"], cause["drops"], cause["why"]) == ("certain", 4, "")
    assert cause["candidates"] == [{
        "kind": "nftables", "what": 'the rule "udp dport 5001 drop" (handle 7) of chain bridge fw out',
        "found": ["counted", "evaluated"], "rose": 4, "family": "bridge", "table": "fw", "chain": "out", "handle": 7,
        "rule": "udp dport 5001 drop"}]
    (sentence,) = [one for one in summary["verdict"] if "NETFILTER_DROP" in one]
    assert ". %s They were of the flow" % words in sentence
    assert summary["hosts"]["hv-b"]["evidence"] == {
        "seconds": {"before": 0.25, "after": 0.25}, "not_read": {"iptables": "iptables-save is not installed"}}


def test_a_namespace_that_was_not_read_is_said(tmp_path: pathlib.Path) -> None:
    content = evidence(entries(rule(7, 5001, 10)), entries(rule(7, 5001, 14)))
    for when in ("before", "after"):
        content[when]["namespaces"] = {"4026530000": content[when]["namespaces"][str(NETNS)]}
    summary = merged(tmp_path, content)
    assert "cause" not in drop_of(summary)
    assert ["On hv-b, what dropped packets in the network namespace %s is not named: its configuration was not read."
            % drop_of(summary)["netns"]] == [doubt for doubt in summary["doubts"] if "configuration" in doubt]


def test_rules_of_other_packets_are_not_named(tmp_path: pathlib.Path) -> None:
    summary = merged(tmp_path, evidence(entries(rule(8, 53)), entries(rule(8, 53))))
    assert "cause" not in drop_of(summary)


@pytest.mark.parametrize(("before", "why"), [
    (None, "it was not the same before the window and after it"),
    (entries(rule(8, 53)), "it was not the same before the window and after it")])
def test_rules_that_were_not_there_before_are_not_certain(tmp_path: pathlib.Path, before: Any, why: str) -> None:
    summary = merged(tmp_path, evidence(before, entries(rule(7, 5001, 4), rule(8, 53))))
    assert (drop_of(summary)["cause"]["certainty"], drop_of(summary)["cause"]["why"]) == ("likely", why)
    said = [doubt for doubt in summary["doubts"] if "configuration" in doubt]
    assert said == ([] if before else ["On hv-b, its configuration was not read before the window."])


def test_evidence_that_was_changed_on_its_way_is_not_used(tmp_path: pathlib.Path) -> None:
    content = evidence(entries(rule(7, 5001, 10)), entries(rule(7, 5001, 14)))
    summary = merged(tmp_path, content, damage=b" ")
    assert "cause" not in drop_of(summary)
    assert [doubt for doubt in summary["doubts"] if "configuration" in doubt] == [
        "The configuration of hv-b is not known: its evidence.json does not have the checksum that its manifest says."]


def test_what_a_host_writes_stays_text(tmp_path: pathlib.Path) -> None:
    """A rule may have any comment: no line of its own, no escape sequence, no end to it."""
    evil = ' comment "\x1b[2J\nVERDICT\n- all is well {{ 7 * 7 }} %s ' + "x" * 3000 + '"'
    summary = merged(tmp_path, evidence(entries(rule(7, 5001)), entries(rule(7, 5001), text=evil)))
    page = next(pathlib.Path(tmp_path).glob("*/verdict.txt")).read_text()
    assert "\x1b" not in page and "\n- all is well" not in page and page.count("VERDICT\n") == 1
    assert "_[2J_VERDICT_- all is well {{ 7 * 7 }} %s xxx" in drop_of(summary)["cause"]["words"]
    assert len(drop_of(summary)["cause"]["words"]) < 500


@pytest.mark.parametrize(("content", "why"), [
    (b"", "is not JSON"), (b"[" * 100_000, "is not JSON"), (b"[]", "is not one of skbfleet's"),
    (b'{"format": "other"}', "is not one of skbfleet's"),
    (b"[" + b"1," * 4_000_001 + b"1]", "more than 4000000 values")])
def test_a_file_that_is_none(tmp_path: pathlib.Path, content: bytes, why: str) -> None:
    (tmp_path / "evidence.json").write_bytes(content)
    with pytest.raises(BundleError, match=why):
        read_evidence(str(tmp_path), {"evidence.json": {"sha256": hashlib.sha256(content).hexdigest()}})


@pytest.mark.parametrize("content", [
    {"before": 7, "after": []}, {"before": {"namespaces": [1]}, "after": {"namespaces": {"x": {}, "9" * 20: {}}}},
    {"after": {"namespaces": {"7": {"nftables": 3, "ports": {"value": None}, "fdb": {}}}, "host": "no"}}])
def test_a_file_of_another_shape_has_nothing(tmp_path: pathlib.Path, content: dict[str, Any]) -> None:
    data = json.dumps({"format": "skbfleet-evidence/1", **content}).encode()
    (tmp_path / "evidence.json").write_bytes(data)
    found = read_evidence(str(tmp_path), {"evidence.json": {"sha256": hashlib.sha256(data).hexdigest()}})
    assert found is not None
    assert all(not one.rows("nftables") and not one.rows("ports") for one in found.namespaces.values())


def test_a_file_without_a_reading_is_said(tmp_path: pathlib.Path) -> None:
    data = json.dumps({"format": "skbfleet-evidence/1"}).encode()
    (tmp_path / "evidence.json").write_bytes(data)
    found = read_evidence(str(tmp_path), {"evidence.json": {"sha256": hashlib.sha256(data).hexdigest()}})
    assert found is not None and found.doubts == ["its configuration was not read before the window",
                                                  "its configuration was not read after the window"]


def test_who_names_none_has_none(tmp_path: pathlib.Path) -> None:
    assert read_evidence(str(tmp_path), {}) is None


def links(*programs: tuple[str, int, Any]) -> dict[str, Any]:
    return {"links": {"value": [{"ifname": name, "xdp": {"mode": mode, "prog": program, "attached": [
        {"mode": mode, "prog": program}]}} for name, mode, program in programs] + [{"ifname": "lo"}], "seconds": 0.1}}


FIREWALL = {"id": 12, "name": "firewall", "tag": "b36919481260c25b", "created_by_uid": 0}


@pytest.mark.parametrize(("programs", "said"), [
    ([("eth0", 1, FIREWALL)], ["the XDP program firewall (id 12, native, loaded by user id 0) of eth0"]),
    ([("eth0", 2, FIREWALL), ("vnet0", 1, FIREWALL)], None),    # behind dev.rx, and elsewhere
    ([("eth0", 1, "firewall")], None)])
def test_what_vanished_in_front_of_an_xdp_program(tmp_path: pathlib.Path, programs: Any, said: Any) -> None:
    """Nothing tells whether it was the program: it is named beside what is known."""
    fleet = Fleet()
    fleet.talk()
    for number in range(30):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 9, 10, 20))
    run = fleet.write(tmp_path)
    add_evidence(run, "hv-b", evidence(links(*programs), links(*programs)))
    summary = merge(run)
    (loss,) = summary["losses"]
    assert (loss["kind"], loss["certainty"], loss.get("unseen")) == ("vanished", "certain", said)
    words = "On hv-b, the XDP program firewall (id 12, native, loaded by user id 0) of eth0 gets packets before any " \
        "point sees them: what it drops is in no record."
    assert (words in summary["verdict"][1]) == bool(said)



def test_an_xdp_program_is_not_behind_a_device_that_sends(tmp_path: pathlib.Path) -> None:
    """What vanished on its way out by eth0 was never received there."""
    fleet = Fleet()
    fleet.talk()
    for number in range(30):
        if number in (3, 9):
            fleet.a.event(1 + 0.01 * number, "dev.rx", VNET0, udp_packet(number))
        else:
            fleet.send(1 + 0.01 * number, udp_packet(number))
    run = fleet.write(tmp_path)
    native = links(("eth0", 1, FIREWALL), ("vnet0", 1, FIREWALL))
    add_evidence(run, "hv-a", evidence(native, native))
    (loss,) = merge(run)["losses"]
    assert [place["point"] for place in loss["between"]] == ["dev.rx", "dev.tx"] and "unseen" not in loss
