# SPDX-License-Identifier: Apache-2.0
"""From what a real Open vSwitch 3.1 said of its rules and of packets to what the verdict says.

tests/support/evidence/openvswitch.json is what hv-b read before and after captures between two emulated hypervisors,
with these rules, while vm-a (192.168.32.10) opened connections to ports of vm-b (192.168.32.20), and pinged it:

    priority=0,actions=NORMAL
    priority=100,cookie=0x7,tcp,in_port=eth1,tp_dst=5001,actions=drop
    priority=90,tcp,tp_dst=5002,actions=resubmit(,7)
    table=7,priority=10,tcp,actions=resubmit(,8)
    priority=90,tcp,tp_dst=5004,actions=ct(table=1)
    priority=90,tcp,tp_dst=5005,actions=output:77
    table=1,priority=10,cookie=0x9,ct_state=+new+trk,in_port=eth1,actions=drop
    table=1,priority=0,actions=NORMAL
    priority=95,icmp,nw_frag=yes,actions=meter:1,NORMAL

The datapath's flow of the plain pings was changed by hand, to drop them. For openvswitch_vlan.json there was no rule
but NORMAL, and vm-b's port had the tag 200, while vm-a's frames came in VLAN 100.
"""
import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bundles import POINTS, ethernet, icmp, ipv4, tcp
from support.fleet import ETH0, A, B, Fleet, add_evidence, merged

from fleetmerge.bundle.evidence import Reading
from fleetmerge.findings.causes import candidates
from fleetmerge.findings.causes.drop import Drop, conclude, sentence
from fleetmerge.findings.causes.flowmatch import packet_of
from fleetmerge.findings.causes.switch import Switch
from fleetmerge.products import switched
from fleetmerge.products.causes import Known

READ, VLAN = (json.loads((Path(__file__).parents[2] / "support/evidence" / name).read_text())
              for name in ("openvswitch.json", "openvswitch_vlan.json"))
ONCE = ["ovs_execute_actions+0x5 [openvswitch]", "ovs_dp_process_packet+0xa4 [openvswitch]",
        "ovs_vport_receive+0x7f [openvswitch]", "netdev_frame_hook+0xd5 [openvswitch]"]
AGAIN = [*ONCE[:2], "clone_execute+0x1a5 [openvswitch]", "do_execute_actions+0xb74 [openvswitch]",
         "ovs_execute_actions+0x48 [openvswitch]", *ONCE[1:]]
RULE = 'the OpenFlow rule "tcp,in_port=eth1,tp_dst=5001 actions=drop" (table 0, priority 100, cookie 0x7) of br0'
Change = Callable[[dict[str, Any]], None]


def syn(port: int, number: int) -> bytes:
    return frame(tcp(40000 + number, port, flags=2, seq=number), 6, number)


def ping(number: int) -> bytes:
    return frame(icmp(8, 0, 7, number), 1, number)


def frame(payload: bytes, protocol: int, number: int) -> bytes:
    packet = ethernet(ipv4(A, B, payload, protocol=protocol, ident=number), vlan=[100])
    return bytes.fromhex("525400320002525400320001") + packet[12:]


def connected() -> Fleet:
    """Two hosts that talk, of which hv-b has an Open vSwitch."""
    fleet = Fleet(b={"points": [*POINTS, "ovs.drop", "ovs.upcall"]})
    fleet.b.manifest["devices"][0].update(name="eth1")
    fleet.talk()
    return fleet


def told(tmp_path: Path, packets: list[bytes], stack: list[str], point: str = "ovs.drop", change: Change | None = None,
         ) -> dict[str, Any]:
    """Return the summary of a run in which packets came to hv-b's eth1, and no further: the flow of the datapath that
    they met had no action, or its daemon was asked. change: of what hv-b read."""
    fleet = connected()
    for address, name in enumerate(stack, 0xFFFFFFFFC0B00001):
        fleet.b.symbol(address, name)
    fleet.b.stack(1, list(range(0xFFFFFFFFC0B00001, 0xFFFFFFFFC0B00001 + len(stack))))
    for number, packet in enumerate(packets):
        second = 1 + number / 100
        fleet.send(second, packet, skip=("dev.tx",))
        fleet.b.events[-1].update(vlan_present=0)
        more = {"skb": fleet.b.events[-1]["skb"], "head": fleet.b.events[-1]["head"], "data_offset": 64}
        fleet.b.event(second + 1e-3, point, ETH0, packet, stack_id=1 if point == "ovs.drop" else -1, **more)
    run = fleet.write(tmp_path)
    read = copy.deepcopy(READ)
    if change:
        change(read)
    add_evidence(run, "hv-b", {"format": "skbfleet-evidence/1", **read})
    return merged(run)


def cause(summary: dict[str, Any]) -> dict[str, Any]:
    (found,) = {json.dumps(loss.get("cause")) for loss in summary["losses"]}
    return json.loads(found)


def test_the_rule_that_a_trace_ends_at(tmp_path: Path) -> None:
    """Whatever port the client drew: the rule does not ask for it."""
    summary = told(tmp_path, [syn(5001, number) for number in range(2)], ONCE)
    found = cause(summary)
    assert found["words"] == (
        f"By {RULE}: ofproto/trace of such packets ends there; its counter rose by 3, with 2 of these.")
    assert (found["certainty"], found["drops"]) == ("certain", 2)
    (rule,) = found["candidates"]
    assert (rule["kind"], rule["found"], rule["rose"]) == ("openflow", ["counted", "evaluated", "traced"], 3)
    assert (rule["bridge"], rule["table"], rule["priority"], rule["cookie"], rule["match"], rule["actions"]) == (
        "br0", 0, 100, "0x7", "tcp,in_port=eth1,tp_dst=5001", "drop")
    (said,) = [one for one in summary["verdict"] if "dropped on hv-b" in one]
    assert f". By {RULE}: " in said


@pytest.mark.parametrize(("port", "what"), [
    (5002, 'table 8 of br0, in which no OpenFlow rule fits them; they come there by the OpenFlow rule "tcp '
           'actions=resubmit(,8)" (table 7, priority 10) of br0'),
    (5005, 'the OpenFlow rule "tcp,tp_dst=5005 actions=output:77" (table 0, priority 90) of br0 ("Nonexistent output '
           'port")')])
def test_a_table_without_a_rule_and_a_port_that_is_gone(tmp_path: Path, port: int, what: str) -> None:
    found = cause(told(tmp_path, [syn(port, 1)], ONCE))
    assert (found["certainty"], [one["what"] for one in found["candidates"]]) == ("certain", [what])


def test_what_conntrack_said_is_not_guessed(tmp_path: Path) -> None:
    """Of four states one leads to a drop, but it may have been in a fifth; a flow of the datapath would tell."""
    found = cause(told(tmp_path, [syn(5004, 1), syn(5004, 2)], AGAIN))
    assert (found["certainty"], found["why"]) == ("likely", "what conntrack said of them was not recorded")
    assert [one["what"] for one in found["candidates"]] == [
        'the OpenFlow rule "ct_state=+new+trk,in_port=eth1 actions=drop" (table 1, priority 10, cookie 0x9) of br0, if '
        "conntrack says +new+trk of them"]


@pytest.mark.parametrize(("state", "packets", "certainty"), [
    ("0x21/0x21", 2, "certain"), ("+new-est+trk", 2, "certain"), ("0x22/0x23", 2, "likely"), ("0x20/0x20", 2, "likely"),
    ("0x21/0x21", 1, "likely")])
def test_flows_of_the_datapath_tell_what_conntrack_said(tmp_path: Path, state: str, packets: int, certainty: str,
                                                        ) -> None:
    """As long as they are there, which is ten seconds."""
    def change(read: dict[str, Any]) -> None:
        read["switch-after"]["host"]["datapath"]["value"].append(
            "ufid:2a280783-3ff3-48e8-8dad-8ddb754439de, recirc_id(0x14),dp_hash(0/0),skb_priority(0/0),in_port(eth1),"
            f"skb_mark(0/0),ct_state({state}),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),"
            "eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x8100),"
            "vlan(vid=100/0x64,pcp=0/0x0),encap(eth_type(0x0800),ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,"
            f"proto=0/0,tos=0/0,ttl=0/0,frag=no)), packets:{packets}, bytes:156, used:91.354s, flags:S, dp:ovs, "
            "actions:drop")
    assert cause(told(tmp_path, [syn(5004, 1), syn(5004, 2)], AGAIN, change=change))["certainty"] == certainty


def test_a_first_fragment_does_not_meet_the_flow_of_whole_packets(tmp_path: Path) -> None:
    """The stale flow of the datapath is not that of a trace that goes through the meter."""
    def change(read: dict[str, Any]) -> None:
        traces = read["switch-after"]["host"]["traces"]
        traces["value"] = [one for one in traces["value"] if "nw_frag=first" in one["flow"]]
    assert told(tmp_path, [ping(1)], ONCE, change=change)["stale_flows"] == []


def test_a_flow_of_the_datapath_that_is_stale(tmp_path: Path) -> None:
    summary = told(tmp_path, [ping(number) for number in range(3)], ONCE)
    found = cause(summary)
    assert found["certainty"] == "certain"
    (flow,) = found["candidates"]
    assert (flow["kind"], flow["expected"], flow["actions"], flow["rose"]) == ("datapath", ["vnet0"], "drop", 18)
    assert flow["ufid"] in found["words"] and "ofproto/trace sends such packets to vnet0: " in found["words"]
    (stale,) = summary["stale_flows"]
    assert (stale["host"], stale["device"], stale["does"], stale["should"]) == ("hv-b", "eth1", [], ["vnet0"])
    assert [one for one in summary["verdict"] if "datapath is not as" in one] == [
        "On hv-b, a flow of Open vSwitch's datapath is not as the OpenFlow rules of br0 are: what comes in by eth1 it "
        "drops, and ofproto/trace sends such packets to vnet0. It has counted 18 packets."]


def without_datapath(read: dict[str, Any]) -> None:
    read["switch-after"]["host"]["datapath"]["value"] = []


def test_rules_that_would_not_drop_them_now_are_no_cause(tmp_path: Path) -> None:
    summary = told(tmp_path, [ping(1)], ONCE, change=without_datapath)
    assert (cause(summary)["certainty"], cause(summary)["words"], summary["stale_flows"]) == (
        "unknown", "After the window the OpenFlow rules of br0 would not drop them: ofproto/trace sends such packets "
        "to vnet0.", [])


def test_a_daemon_that_did_not_compare_flows_and_rules_makes_none_stale(tmp_path: Path) -> None:
    def change(read: dict[str, Any]) -> None:
        read["switch-after"]["host"]["datapath-round"] = {"why": "ovs-vswitchd did not answer within 2 s"}
    summary = told(tmp_path, [ping(1)], ONCE, change=change)
    assert (cause(summary)["certainty"], summary["stale_flows"]) == ("likely", [])


def test_what_the_daemon_was_asked_about_has_its_rule(tmp_path: Path) -> None:
    """The first packet of a flow never meets the datapath's."""
    (loss,) = told(tmp_path, [syn(5001, 1)], ONCE, "ovs.upcall")["losses"]
    assert (loss["kind"], loss["point"]) == ("vanished", "ovs.upcall")
    assert loss["cause"]["words"].startswith(f"By {RULE}: ")


def test_a_meter_may_have_dropped_what_was_not_seen_again(tmp_path: Path) -> None:
    packets = [frame(icmp(8, 0, 7, number)[:16], 1, number) for number in range(2)]
    packets = [packet[:24] + b"\x20\x00" + packet[26:] for packet in packets]    # more fragments follow
    summary = told(tmp_path, packets, ONCE, "ovs.upcall")
    found = cause(summary)
    assert (found["certainty"], found["why"]) == ("likely", "it counts how many it drops, not which")
    assert [(one["kind"], one["rose"]) for one in found["candidates"]] == [("meter", 47)]


def flooded(tmp_path: Path, change: Change | None = None) -> dict[str, Any]:
    """Return the summary of a run in which hv-b's bridge flooded a ping to its own device, whose stack dropped it."""
    fleet, packet = connected(), ping(1)
    fleet.b.device(7, "br0", "internal")
    fleet.b.manifest["drop_reasons"]["9"] = "OTHERHOST"
    fleet.b.symbol(0xFFFFFFFF81B00001, "ip_rcv_core+0x11")
    fleet.send(1.0, packet, skip=("dev.tx",))
    more = {name: fleet.b.events[-1][name] for name in ("skb", "head")}
    fleet.b.event(1.001, "dev.rx", 7, packet, **more)
    fleet.b.event(1.002, "skb.drop", 7, packet, reason=9, location=0xFFFFFFFF81B00001, **more)
    run, read = fleet.write(tmp_path), copy.deepcopy(VLAN)
    if change:
        change(read)
    add_evidence(run, "hv-b", {"format": "skbfleet-evidence/1", **read})
    return merged(run)


def test_a_port_in_another_vlan_is_not_harmless(tmp_path: Path) -> None:
    """What is flooded to a host that has no use for it is so, as a rule; not if its VM is there, and cut off."""
    summary = flooded(tmp_path)
    (loss,) = summary["losses"]
    assert ("harmless" in loss, loss["certainty"], summary["likely"], summary["result"]) == (False, "likely", 1, "loss")
    assert loss["cause"]["words"] == (
        "Probably by br0, which knows 52:54:00:32:00:02 behind vnet0, whose tag is 200, in VLAN 200, but not in VLAN "
        "100, in which they came: ofproto/trace floods such packets, to br0. That is not certain: that address may be "
        "at home in both VLANs.")
    assert not [doubt for doubt in summary["doubts"] if "sums" in doubt]


@pytest.mark.parametrize("learned", ["    2   100  52:54:00:32:00:02   64", "    2   200  52:54:00:32:00:07   64"])
def test_what_is_flooded_for_others_is_harmless(tmp_path: Path, learned: str) -> None:
    def change(read: dict[str, Any]) -> None:
        macs = read["switch-after"]["host"]["switch-macs"]["value"]["br0"]
        macs[:] = [line for line in macs if "00:02" not in line] + [learned]
    (loss,) = flooded(tmp_path, change)["losses"]
    assert (loss["harmless"], "cause" in loss) == (True, False)


def rules(read: dict[str, Any], when: str) -> list[str]:
    lines: list[str] = read["switch-" + when]["host"]["openflow"]["value"]["br0"]
    return lines


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rule_that_was_not_there_all_the_time(tmp_path: Path, when: str) -> None:
    """Of one that is gone now the trace cannot know: it ends at another, which did not count them."""
    def change(read: dict[str, Any]) -> None:
        rules(read, when)[:] = [line for line in rules(read, when) if "tp_dst=5001" not in line]
    found = cause(told(tmp_path, [syn(5001, 1)], ONCE, change=change))
    assert (found["certainty"], found["why"]) == ("likely", "it was not the same before the window and after it")


def test_a_rule_that_was_made_anew_counts_anew(tmp_path: Path) -> None:
    def change(read: dict[str, Any]) -> None:
        rules(read, "before")[:] = [line.replace("n_packets=3", "n_packets=900") for line in rules(read, "before")]
    found = cause(told(tmp_path, [syn(5001, 1)], ONCE, change=change))
    assert (found["certainty"], found["candidates"][0]["rose"]) == ("likely", 6)


def test_a_counter_that_stood_still_clears_its_rule(tmp_path: Path) -> None:
    def change(read: dict[str, Any]) -> None:
        rules(read, "before")[:] = rules(read, "after")
    summary = told(tmp_path, [syn(5001, 1)], ONCE, change=change)
    assert all("cause" not in loss for loss in summary["losses"])


def test_rules_that_were_not_read_before_are_not_certain(tmp_path: Path) -> None:
    def change(read: dict[str, Any]) -> None:
        read["switch-before"] = {"why": "it did not end within 12 s"}
    summary = told(tmp_path, [syn(5001, 1)], ONCE, change=change)
    assert (cause(summary)["certainty"], cause(summary)["why"]) == (
        "likely", "the rules were not read before the window")
    assert "On hv-b, its Open vSwitch was not read before the window: it did not end within 12 s." in summary["doubts"]


def test_packets_that_no_trace_is_of_have_no_cause(tmp_path: Path) -> None:
    assert all("cause" not in loss for loss in told(tmp_path, [syn(5009, 1)], ONCE)["losses"])


@pytest.mark.parametrize("nonsense", [7, "x", [], [7], {"br0": [7]}, [{"lines": [[], 7], "device": 3}],
                                      [{"lines": ["Datapath actions: drop"], "device": "eth1"}]])
def test_what_no_daemon_says_is_no_cause(tmp_path: Path, nonsense: Any) -> None:
    def change(read: dict[str, Any]) -> None:
        for name, entry in read["switch-after"]["host"].items():
            entry["value"] = nonsense if name in ("traces", "switch", "datapath", "openflow") else entry["value"]
    assert all("cause" not in loss for loss in told(tmp_path, [syn(5001, 1)], ONCE, change=change)["losses"])


JUNK = (None, True, -1, 10 ** 30, "", "x" * 50, "%s", [], {}, [[]], [None], {"a": {}}, "actions=", "(((", ",",
        " 0. priority 99999999", "Megaflow: ct_state=+,nw_dst=1/2/3", "Datapath actions: drop", 'bridge("',
        "ufid:, packets:1, actions:")
OVS_DROP = Drop("hv-b", "n", "eth1", "ovs_execute_actions", None, [frame.split("+")[0] for frame in ONCE],
                [packet_of("tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,dl_vlan=100,tcp_src=1,tcp_dst=5001")])


def test_actions_within_actions() -> None:
    """However deep a host says that they are: each character is looked at once."""
    switch = Switch(Reading())
    assert switch.becomes("set(tunnel(tun_id=0x1,flags(df|key))),drop") == []
    assert switch.becomes("sample(sample=10%,actions(1)),clone(drop),2") is None
    assert switch.becomes("(" * 300_000 + ")" * 300_000) == []


def spoilt(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.05:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {name: spoilt(one, chance) for name, one in value.items() if chance.random() > 0.03}
    if isinstance(value, str) and chance.random() < 0.1:
        at = chance.randrange(len(value) + 1)
        return value[:at] + str(chance.choice(JUNK)) + value[at + 1:]
    return [spoilt(one, chance) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(60))
def test_what_no_daemon_says_is_survived(seed: int) -> None:
    chance = random.Random(seed)
    before, after = ({name: entry.get("value") for name, entry in read["host"].items()} for read in READ.values())
    host = Reading(spoilt(before, chance) or {}, spoilt(after, chance) or {})
    if isinstance(host.before, dict) and isinstance(host.after, dict):
        found = conclude(5, candidates(OVS_DROP, Reading(), host))
        assert found is None or sentence(found)
        assert switched.sentences(switched.stale_flows(Known(hosts={"hv-b": host}))) is not None
