# SPDX-License-Identifier: Apache-2.0
"""Which branch of a packet is the packet, and that what becomes of its copies is no loss."""
from typing import Any

from support.bundles import Bundle
from support.fleet import ETH0, VNET0, A, B, Fleet, flow, losses, merged, talking, udp_packet

WIRE = [{"host": "hv-a", "device": "eth0", "point": "dev.tx"}, {"host": "hv-b", "device": "eth0", "point": "dev.rx"}]


def test_a_copy_that_is_dropped_elsewhere_is_no_loss(tmp_path: Any) -> None:
    """The packet is flooded to a third host, which drops it: it is not for it."""
    fleet = talking()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    other.device(VNET0, "vnet0", "vnet")
    for number in range(20):
        second, packet = 1 + 0.1 * number, udp_packet(number)
        fleet.send(second, packet)
        fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
        other.event(second + 60e-6, "dev.rx", ETH0, packet)
        other.event(second + 61e-6, "skb.drop", ETH0, packet, reason=2)
    run = fleet.write(tmp_path)
    other.write(run)
    summary = merged(run)
    assert summary["losses"] == []
    assert (flow(summary)["arrived"], summary["copies_dropped"]) == (20, 20)
    assert [copy["copies"] for copy in summary["copies"]] == [True]


def test_a_copy_of_which_only_the_drop_was_seen(tmp_path: Any) -> None:
    fleet = talking()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    for number in range(5):
        second, packet = 1 + 0.1 * number, udp_packet(number)
        fleet.send(second, packet)
        fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
        other.event(second + 61e-6, "skb.drop", ETH0, packet, reason=2)
    run = fleet.write(tmp_path)
    other.write(run)
    (copy,) = merged(run)["copies"]
    assert (copy["host"], copy["point"], copy["wire_packets"]) == ("hv-c", "skb.drop", 5)
    assert "last_seen" not in copy


def test_which_branch_is_a_copy_is_not_known_where_the_receiver_never_sends(tmp_path: Any) -> None:
    """As before, but nothing shows where the receiver lives."""
    fleet = talking()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    for number in range(20):
        fleet.send(1 + 0.1 * number, udp_packet(number))
        other.event(1 + 0.1 * number + 60e-6, "skb.drop", ETH0, udp_packet(number), reason=2)
    run = fleet.write(tmp_path)
    other.write(run)
    summary = merged(run)
    assert [(loss["of"], loss["certainty"], loss["packets"]) for loss in summary["losses"]] == [
        ("branch", "unknown", 20)]
    assert summary["losses"][0]["copies"] is True
    assert summary["lost"] == 0


def test_multicast_is_not_missed_anywhere(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(50):
        fleet.send(1 + 0.01 * number, udp_packet(number, A, "239.1.2.3"), lose=number % 2 == 0)
    summary = fleet.merge(tmp_path)
    assert summary["losses"] == []
    assert (flow(summary)["packets"], flow(summary)["arrived"], flow(summary)["vanished"]) == (50, 25, 0)
    assert flow(summary)["last"] == "2026-11-22T11:27:51.490065Z"     # when the last of them came to its receiver


def test_a_group_that_only_leaves_is_not_accused(tmp_path: Any) -> None:
    """To an address that is behind none of the traced hosts."""
    fleet = talking()
    for number in range(50):
        fleet.out(fleet.a, 1 + 0.01 * number, udp_packet(number, A, "198.51.100.9"))
    summary = fleet.merge(tmp_path)
    assert summary["losses"] == []
    assert flow(summary)["left"] == 50


def flooding(*, home: bool, skip: tuple[str, ...] = (), ident: int | None = None) -> Fleet:
    """Of 20 packets to vnet0 of hv-b clones go to vnet1, which has room when vnet0 has none."""
    fleet = talking()
    fleet.b.device(4, "vnet1", "vnet")
    for number in range(20):
        second, packet, own = 1 + 0.1 * number, udp_packet(number, ident=ident), {"skb": 0xAAAA0000 + 512 * number}
        own["head"] = own["skb"] << 4
        fleet.send(second, packet, drop=number < 5, skip=skip, **own)
        fleet.b.event(second + 64e-6, "dev.tx", 4, packet, skb=own["skb"] + 256, head=own["head"])
        if home:
            fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
    return fleet


def test_a_copy_that_arrives_beside_a_packet_that_was_dropped(tmp_path: Any) -> None:
    summary = flooding(home=True).merge(tmp_path)
    assert losses(summary) == [("drop", 5, "tun_net_xmit")]
    assert (summary["copies_dropped"], summary["copies"]) == (0, [])
    assert (flow(summary)["arrived"], flow(summary)["dropped"]) == (15, 5)


def test_a_copy_that_arrives_where_nobody_knows_who_should_get_it(tmp_path: Any) -> None:
    """On one host, what stayed in its skb is no copy of what went to another VM: its drop is certain all the same."""
    summary = flooding(home=False).merge(tmp_path)
    (loss,) = summary["losses"]
    assert (loss["of"], loss["certainty"], loss["packets"]) == ("branch", "certain", 5)
    assert (flow(summary)["dropped"], summary["lost"]) == (0, 5)


def test_which_of_two_branches_other_packets_show(tmp_path: Any) -> None:
    """The skb goes to a mirror, a clone of it by br5 to the VM; ten clones are dropped there."""
    fleet = talking()
    for ifindex, name in ((5, "br5"), (6, "br6")):
        fleet.b.device(ifindex, name, "bridge")
    for number in range(40):
        second, packet = 1 + 0.1 * number, udp_packet(number)
        skb = {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
        clone = {**skb, "skb": skb["skb"] + 256}
        fleet.out(fleet.a, second, packet)
        fleet.b.event(second + 60e-6, "dev.rx", ETH0, packet, **skb)
        fleet.b.event(second + 61e-6, "dev.rx", 5, packet, **clone)
        fleet.b.event(second + 62e-6, "skb.drop" if 10 <= number < 20 else "dev.tx",
                      5 if 10 <= number < 20 else VNET0, packet, reason=2, **clone)
        fleet.b.event(second + 63e-6, "dev.rx", 6, packet, **skb)
        fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
    summary = fleet.merge(tmp_path)
    (loss,) = summary["losses"]
    assert (loss["kind"], loss["packets"], loss["certainty"], loss["device"]) == ("drop", 10, "certain", "br5")
    assert "other packets of the flow got to their destination that way" in loss["grounds"]
    assert (flow(summary)["arrived"], flow(summary)["dropped"]) == (30, 10)


def test_a_clone_may_be_the_packet_where_its_skb_was_not_seen_to_come_in(tmp_path: Any) -> None:
    summary = flooding(home=False, skip=("dev.rx",)).merge(tmp_path)
    assert {(loss["of"], loss["certainty"]) for loss in summary["losses"] if loss["kind"] == "drop"} == {
        ("branch", "unknown")}


def test_drops_among_packets_that_look_the_same(tmp_path: Any) -> None:
    """All are sent before the first arrives, and some never do: which of the others were dropped nobody knows."""
    fleet = talking()
    fleet.b.device(4, "vnet1", "vnet")
    packet = udp_packet(0, ident=0)
    for number in range(10):
        fleet.out(fleet.a, 5 + 1e-6 * number, packet)
    for number in range(8):
        skb = {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
        second = 5.001 + 50e-6 * number
        fleet.into(fleet.b, second, packet, drop=number < 3, **skb)
        fleet.b.event(second + 8e-6, "dev.tx", 4, packet, **{**skb, "skb": skb["skb"] + 256})
    summary = fleet.merge(tmp_path)
    assert flow(summary)["ambiguous"] == 10
    assert {(loss["of"], loss["certainty"]) for loss in summary["losses"] if loss["kind"] == "drop"} == {
        ("branch", "unknown")}


def test_branches_that_have_nothing_in_common(tmp_path: Any) -> None:
    """Two hosts get copies of packets from one that was not traced: no branch is the packet, and no way is theirs."""
    fleet = talking()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    for number in range(5):
        for host in (fleet.b, other):
            host.event(1 + 0.1 * number, "dev.rx", ETH0, udp_packet(number), skb=0xAAAA0000 + 512 * number)
    run = fleet.write(tmp_path)
    other.write(run)
    summary = merged(run)
    assert flow(summary)["ended"] == 5
    assert {path["addresses"] for path in summary["paths"]} == {"10.9.0.1 > 10.9.0.2", "10.9.0.2 > 10.9.0.1"}


def test_drops_that_have_nothing_in_common(tmp_path: Any) -> None:
    """As before, and all that was seen of the copies is that they were dropped."""
    fleet = Fleet()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    for number in range(5):
        for host, late in ((fleet.b, 0.0), (other, 1e-3)):
            host.event(1 + 0.1 * number + late, "skb.drop", ETH0, udp_packet(number), reason=2)
    run = fleet.write(tmp_path)
    other.write(run)
    found = flow(merged(run))
    assert (found["packets"], found["unknown"], found["last"]) == (5, 5, "2026-11-22T11:27:51.400000Z")


def test_what_only_strangers_got_was_lost_before_its_receiver(tmp_path: Any) -> None:
    """Ten packets are flooded to a host by which no other goes; it drops them, and hv-b never gets them."""
    fleet = talking()
    other = Bundle("hv-c")
    other.device(ETH0, "eth0", "phy")
    for number in range(40):
        second, packet = 1 + 0.1 * number, udp_packet(number)
        fleet.send(second, packet, lose=10 <= number < 20)
        fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
        if 10 <= number < 20:
            skb = {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
            other.event(second + 60e-6, "dev.rx", ETH0, packet, **skb)
            other.event(second + 61e-6, "skb.drop", ETH0, packet, reason=2, **skb)
    run = fleet.write(tmp_path)
    other.write(run)
    summary = merged(run)
    assert [(loss["kind"], loss["packets"], loss["between"]) for loss in summary["losses"]] == [("vanished", 10, WIRE)]
    assert summary["copies_dropped"] == 10
