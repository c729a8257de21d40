# SPDX-License-Identifier: Apache-2.0
"""What was lost, where, and how sure that is: nothing is said that is not known."""
import json
from typing import Any

import numpy as np
import pytest
from support.bundles import Bundle
from support.fleet import ETH0, VNET0, A, B, Fleet, flow, losses, merged, segment, talking, udp_packet

from fleetmerge.errors import MergeError

WIRE = [{"host": "hv-a", "device": "eth0", "point": "dev.tx"}, {"host": "hv-b", "device": "eth0", "point": "dev.rx"}]
INSIDE = [{"host": "hv-b", "device": "eth0", "point": "dev.rx"}, {"host": "hv-b", "device": "vnet0", "point": "dev.tx"}]


def test_healthy_traffic_loses_nothing(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(500):
        fleet.send(1 + 0.01 * number, udp_packet(number))
    summary = fleet.merge(tmp_path)
    assert summary["losses"] == []
    assert summary["verdict"][0] == "No packet was lost."
    assert (flow(summary)["packets"], flow(summary)["arrived"]) == (500, 500)
    assert [place["device"] for place in summary["paths"][0]["places"]] == ["vnet0", "eth0", "eth0", "vnet0"]


def test_lost_on_the_wire(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(500):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number % 7 == 3)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 71, WIRE)]
    assert flow(summary)["vanished"] == 71
    assert segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["missing"] == 71
    assert any(text.startswith("71 packets vanished between hv-a eth0 (dev.tx) and hv-b eth0 (dev.rx)")
               for text in summary["verdict"])


def test_everything_lost_on_the_wire_of_one_flow(tmp_path: Any) -> None:
    """No packet of the flow shows where it should have gone; packets the other way do."""
    fleet = Fleet()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=True)
        fleet.send(1.005 + 0.01 * number, udp_packet(number, B, A), way="back")
    for number in range(50):   # what aligns the clocks is another pair of VMs
        fleet.send(3 + 0.01 * number, udp_packet(number, "10.9.0.1", "10.9.0.2"))
        fleet.send(3.005 + 0.01 * number, udp_packet(number, "10.9.0.2", "10.9.0.1"), way="back")
    summary = fleet.merge(tmp_path)
    # before the first packet nobody had seen where its receiver lives
    assert losses(summary) == [("vanished", 99, WIRE)]
    assert losses(summary, "likely") == [("vanished", 1, WIRE)]


def test_dropped_by_the_tap(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(500):
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=number % 10 == 3)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("drop", 50, "tun_net_xmit")]
    assert (flow(summary)["arrived"], flow(summary)["dropped"]) == (450, 50)
    assert summary["losses"][0]["last_seen"] == INSIDE[1]


def test_vanished_inside_a_host(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(500):
        fleet.send(1 + 0.01 * number, udp_packet(number), skip=("dev.tx",) if 100 <= number < 105 else ())
    assert losses(fleet.merge(tmp_path)) == [("vanished", 5, INSIDE)]


def test_packets_in_flight_at_the_ends_are_no_losses(tmp_path: Any) -> None:
    fleet = talking()
    fleet.into(fleet.b, 10e-6, udp_packet(1))          # left hv-a before the window
    for number in range(2, 100):
        fleet.send(1 + 0.01 * number, udp_packet(number))
    fleet.out(fleet.a, 9.99995, udp_packet(100))       # would arrive after it
    summary = fleet.merge(tmp_path)
    assert summary["losses"] == []
    assert flow(summary)["in_flight"] == 1


def thinned(bundle: Bundle, seed: int, counter: str) -> int:
    """Throw away one record in a hundred; counter: by which the manifest says so, if it does."""
    count = len(bundle.events)
    gone = set(np.random.default_rng(seed).choice(count, count // 100, replace=False).tolist())
    bundle.events = [event for number, event in enumerate(bundle.events) if number not in gone]
    bundle.manifest["counters"]["written"] = len(bundle.events) if counter else count
    if counter:
        bundle.manifest["counters"][counter] = len(gone)
    return len(gone)


@pytest.mark.parametrize("counter", ["lost", "shed", ""])
@pytest.mark.parametrize("which", ["a", "b", "both"])
def test_records_thrown_away_make_no_false_vanished(tmp_path: Any, which: str, counter: str) -> None:
    fleet = talking()
    for number in range(3000):
        fleet.send(1 + 0.002 * number, udp_packet(number))
    for seed, bundle in enumerate((fleet.a, fleet.b)):
        if which in (bundle.host[-1], "both"):
            assert thinned(bundle, seed, counter)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == []
    assert all((counter or "lost") in loss["why"] for loss in summary["losses"])
    clocks = [host["clock"] for host in summary["hosts"].values()]
    assert any(clock["method"] == "packets both ways" and clock["bound_us"] <= 60 for clock in clocks)
    if which != "a":
        assert losses(summary, "unknown")


def test_records_missing_that_no_counter_tells_of(tmp_path: Any) -> None:
    """The manifest is wrong too: what was seen before and behind a place tells that the place missed packets."""
    fleet = talking()
    for number in range(3000):
        fleet.send(1 + 0.002 * number, udp_packet(number))
    thinned(fleet.b, 1, "lost")
    fleet.b.manifest["counters"].update(written=0, lost=0)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == []
    assert "did not record" in " ".join(summary["doubts"])


def test_a_missing_host(tmp_path: Any) -> None:
    fleet = Fleet()
    for number in range(100):
        fleet.send(0.05 * number, udp_packet(number))
    run = fleet.write(tmp_path)
    import shutil
    shutil.rmtree(run / "hosts" / "hv-b")
    summary = merged(run, ("hv-a", "hv-b"))
    assert summary["losses"] == []
    assert flow(summary)["left"] == 100
    assert ("100 packets left the hosts that were traced; what became of them was not seen (nothing came from hv-b)."
            in summary["doubts"])


def test_a_late_host_and_one_that_stopped_early(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(900):
        fleet.send(0.5 + 0.01 * number, udp_packet(number))
    start, end = fleet.b.monotonic(2.0), fleet.b.monotonic(8.0)
    fleet.b.events = [event for event in fleet.b.events if start <= event["time_ns"] < end]
    fleet.b.manifest["window"].update(late_by_ns=2_000_000_000, ended_ns=end)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == []
    text = " ".join(loss["why"] for loss in summary["losses"])
    assert "hv-b had not begun to record" in text and "hv-b stopped recording before" in text
    assert sum(packets for _, packets, _ in losses(summary, "unknown")) >= 290


def test_windows_that_clocks_put_apart(tmp_path: Any) -> None:
    """hv-b's clock was 3 s ahead when it was given the window: it recorded 3 s earlier than hv-a."""
    fleet = talking(b={"skew": 3.0})
    for number in range(900):
        fleet.send(0.5 + 0.01 * number, udp_packet(number))
    start, end = fleet.b.monotonic(0.0), fleet.b.monotonic(7.0)
    fleet.b.events = [event for event in fleet.b.events if start <= event["time_ns"] < end]
    fleet.b.manifest["window"].update(start_ns=fleet.b.monotonic(-3.0), end_ns=end, ended_ns=end)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == []
    assert {loss["certainty"] for loss in summary["losses"]} == {"unknown"}
    assert all("hv-b stopped recording before" in loss["missing_grounds"] for loss in summary["losses"])
    assert any("hv-b stopped recording 3.000 s before the last host" in doubt for doubt in summary["doubts"])


def test_a_drop_that_the_kernel_does_not_call_one(tmp_path: Any) -> None:
    """Open vSwitch on older kernels: the point itself says that the packet is dropped."""
    fleet = talking(b={"points": ["dev.rx", "dev.tx", "skb.drop", "skb.free", "ovs.drop"]})
    fleet.b.manifest["points"]["attached"][4].update(hook="kprobe", target="ovs_execute_actions")
    for number in range(100):
        second, packet = 1 + 0.01 * number, udp_packet(number)
        fleet.send(second, packet, skip=("dev.tx",) if number < 30 else ())
        if number < 30:
            fleet.b.event(second + 60e-6, "ovs.drop", ETH0, packet)
            fleet.b.event(second + 61e-6, "skb.free", ETH0, packet)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("drop", 30, "ovs_execute_actions")]
    assert any("an Open vSwitch flow drops it" in text for text in summary["verdict"])


def pair(run: Any, host: str) -> None:
    """Write down that vm-b is on this host."""
    ends = {"src": {"address": A, "host": "hv-a", "uplinks": ["eth0"]},
            "dst": {"address": B, "host": host, "uplinks": ["eth0"]}}
    (run / "topology.json").write_text(json.dumps({"format": "skbfleet-topology/1", "pair": ends}))


@pytest.mark.parametrize(("host", "known"), [("hv-b", [("vanished", 100, WIRE)]), ("hv-a", []), ("hv-c", []), ("", [])])
def test_traffic_that_no_other_host_saw(tmp_path: Any, host: str, known: list) -> None:
    """Only who knows that hv-b carries the target can say that it never came there, and not for certain: VMs move."""
    fleet = Fleet()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=True)
    for number in range(50):   # what aligns the clocks is another pair of VMs
        fleet.send(3 + 0.01 * number, udp_packet(number, "10.9.0.1", "10.9.0.2"))
        fleet.send(3.005 + 0.01 * number, udp_packet(number, "10.9.0.2", "10.9.0.1"), way="back")
    run = fleet.write(tmp_path)
    if host:
        pair(run, host)
    summary = merged(run)
    assert losses(summary) == []
    assert losses(summary, "likely") == known
    assert (flow(summary)["unknown"], flow(summary)["left"]) == ((100, 0) if known else (0, 100))


def test_clocks_that_cannot_be_compared_leave_the_ends_of_the_window_unknown(tmp_path: Any) -> None:
    """Nothing comes back, and no clock is kept right: the windows of both hosts may be seconds apart."""
    fleet = Fleet()
    for second in (0.5, 5.0, 8.5):
        for number in range(100):
            fleet.send(second + 0.01 * number, udp_packet(int(100 * second) + number), lose=True)
    run = fleet.write(tmp_path)
    pair(run, "hv-b")
    summary = merged(run)
    assert losses(summary) == []
    assert losses(summary, "likely") == [("vanished", 100, WIRE)]
    assert losses(summary, "unknown") == [("vanished", 200, WIRE)]
    assert "the clocks of hv-a and hv-b cannot be compared" in summary["losses"][0]["why"]


def test_a_topology_that_is_none(tmp_path: Any) -> None:
    run = talking().write(tmp_path)
    for text in ("{", "[]", '{"pair": {"src": {"address": "nowhere", "host": "hv-a", "uplinks": []}}}'):
        (run / "topology.json").write_text(text)
        with pytest.raises(MergeError, match=r"topology.json does not say where a pair of VMs is"):
            merged(run)


def test_a_packet_that_a_daemon_keeps(tmp_path: Any) -> None:
    """Open vSwitch has no flow for the first packets; its daemon sends some on, and not the others."""
    fleet = talking(b={"points": ["dev.rx", "dev.tx", "skb.drop", "skb.free", "ovs.upcall"]})
    for number in range(100):
        second, packet = 1 + 0.01 * number, udp_packet(number)
        fleet.send(second, packet, skip=("dev.tx",) if number < 3 else ())
        if number < 8:
            fleet.b.event(second + 60e-6, "ovs.upcall", ETH0, packet)
    summary = fleet.merge(tmp_path)
    asked = {"host": "hv-b", "device": "eth0", "point": "ovs.upcall"}
    assert losses(summary) == [("vanished", 3, [asked, asked])]
    (text,) = [text for text in summary["verdict"] if "vanished" in text]
    assert "gave it to its daemon, which sent nothing on" in text
    assert "Look at: ovs-appctl ofproto/trace" in text


def test_packets_that_a_daemon_keeps_all_of(tmp_path: Any) -> None:
    """No packet shows where the daemon would have sent them."""
    fleet = talking(b={"points": ["dev.rx", "dev.tx", "skb.drop", "skb.free", "ovs.upcall"]})
    for number in range(3):
        packet = udp_packet(number)
        fleet.send(1 + number, packet, skip=("dev.tx",))
        fleet.b.event(1 + number + 60e-6, "ovs.upcall", ETH0, packet)
    summary = fleet.merge(tmp_path)
    asked = {"host": "hv-b", "device": "eth0", "point": "ovs.upcall"}
    assert losses(summary) == [("vanished", 3, [asked, asked])]
    assert any(text.startswith("3 packets vanished behind hv-b eth0 (ovs.upcall): Open vSwitch had no flow")
               for text in summary["verdict"])
    assert not [entry for entry in summary["segments"] if entry["from"] == entry["to"]]


def test_who_dropped_is_not_the_helper_that_frees_for_others(tmp_path: Any) -> None:
    fleet = talking()
    helper, sender = 0xFFFFFFFF81B00010, 0xFFFFFFFF81B00020
    fleet.b.symbol(helper, "kfree_skb_list_reason+0x2e")
    fleet.b.symbol(sender, "__dev_queue_xmit+0xc8e")
    fleet.b.stack(9, [helper, sender])
    for number in range(100):
        second, packet = 1 + 0.01 * number, udp_packet(number)
        fleet.send(second, packet, skip=("dev.tx",) if number < 10 else ())
        if number < 10:
            fleet.b.event(second + 70e-6, "skb.drop", VNET0, packet, reason=77, location=helper, stack_id=9)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("drop", 10, "__dev_queue_xmit")]
    assert summary["losses"][0]["at"] == "kfree_skb_list_reason+0x2e"


def test_dropped_behind_its_first_place(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(5):
        second, skb = 1 + 0.1 * number, {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
        fleet.a.event(second, "dev.rx", VNET0, udp_packet(number), **skb)
        fleet.a.event(second + 1e-6, "skb.drop", VNET0, udp_packet(number), reason=5, **skb)
    (loss,) = fleet.merge(tmp_path)["losses"]
    assert (loss["kind"], loss["packets"], loss["certainty"]) == ("drop", 5, "certain")
    assert loss["last_seen"] == {"host": "hv-a", "device": "vnet0", "point": "dev.rx"}
