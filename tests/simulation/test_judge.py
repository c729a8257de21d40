# SPDX-License-Identifier: Apache-2.0
"""The judge: what it takes for false, and the true summaries that it once took for false or for incomplete."""
from types import SimpleNamespace
from typing import Any

import pytest

from simulation.headers import TCP, UDP
from simulation.judge import judge
from simulation.machines import VM, Host, Tracing
from simulation.packets import Loss, Packet, Place, Sight, Skb

KEY = "a > b udp"
TAP_A, OUT, IN, TAP_B = (("hv-a", "vnet0", "dev.rx"), ("hv-a", "eth0", "dev.tx"), ("hv-b", "eth0", "dev.rx"),
                         ("hv-b", "vnet0", "dev.tx"))
WAY = (TAP_A, OUT, IN, TAP_B)
DROP = ("hv-b", "vnet0", "skb.drop")
POINTS = ["dev.rx", "dev.tx", "skb.drop", "skb.free"]


class Flow:
    """As much of a flow as the judge asks for."""

    nat = None

    def __init__(self, kind: str, ends: tuple[VM, ...]) -> None:
        self.kind, self.ends = kind, ends


class Scene:
    """A VM on hv-a sends to one on hv-b. Packets are 10 ms apart, their places 10 µs."""

    def __init__(self, *, kind: str = "udp") -> None:
        self.hosts = [Host("hv-a", 0), Host("hv-b", 1)]
        self.vms = [VM(number, host, "vnet0") for number, host in enumerate(self.hosts)]
        for host, vm in zip(self.hosts, self.vms, strict=True):
            host.tracing, host.taps = Tracing(list(POINTS)), {"vnet0": vm}
        self.flow: Any = Flow(kind, tuple(self.vms))
        self.packets: list[Packet] = []
        self.duplication = 0.0

    def packet(self, *places: Place, copies: tuple[str, ...] = (), arrived: bool = True, **fields: Any) -> Packet:
        """Add a packet that was at these places, in one skb; copies: of each place, why it is not the packet itself."""
        packet = Packet(self.flow, 0, UDP, 64, ident=len(self.packets) + 1)
        packet.arrived = packet.reached = arrived
        skb, copy = (Skb([packet], ("a", 1, "b", 2), []) for _ in range(2))
        for number, place in enumerate(places):
            copy.copy = (copies + ("",) * len(places))[number]
            sight = Sight(place, 1 + 0.01 * len(self.packets) + 1e-5 * number, copy if copy.copy else skb, b"", 64,
                          {"function": "tun_net_xmit"} if place[2] == "skb.drop" else {})
            sight.recorded, sight.keys = True, [KEY]
            packet.sights.append(sight)
        packet.keys = {KEY}
        for name, value in fields.items():
            setattr(packet, name, value)
        self.packets.append(packet)
        return packet

    def lose(self, packet: Packet, one: Place, then: Place | None = None, kind: str = "wire") -> None:
        """Say where a packet, or one receiver's, was lost."""
        drop = next((sight for sight in packet.sights if sight.place == one and one[2] == "skb.drop"), None)
        packet.gone.append(Loss("drop" if drop else kind, packet.sights[-1].time + 1e-6, one[:2], drop,
                                then and then[:2], "tun_net_xmit" if drop else ""))

    def judged(self, *losses: dict[str, Any], copies: tuple[dict[str, Any], ...] = (),
               segments: tuple[dict[str, Any], ...] = (), arrived: int | None = None, packets: int | None = None,
               verdict: str = "") -> list[str]:
        """Return the classes of what is wrong with a summary."""
        count = len(self.packets) if packets is None else packets
        lost = sum(loss["wire_packets"] for loss in losses if not loss.get("copies"))
        flow = dict.fromkeys(("ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued",
                              "retransmitted"), 0)
        came = count - lost if arrived is None else arrived
        flow.update(arrived=came, dropped=count - came)
        clock = {"method": "packets both ways", "bound_us": 10.0, "offset_us": 0.0, "drift_ppm": 0.0}
        world: Any = SimpleNamespace(
            fleet=SimpleNamespace(hosts=self.hosts, duplication=self.duplication), packets=self.packets, duration=4.0,
            observed=[host for host in self.hosts if host.tracing.is_observed])
        judgement = judge(world, {
            "losses": losses, "copies": copies, "flows": [dict(flow, key=KEY, packets=count)], "segments": segments,
            "hosts": {host.name: {"clock": clock} for host in self.hosts}, "verdict": [verdict], "doubts": []})
        return [kind for kind, _ in judgement.found]


def drop(count: int, place: Place = DROP, **fields: Any) -> dict[str, Any]:
    """A loss of a summary: dropped."""
    return {"kind": "drop", "certainty": "certain", "flow": KEY, "packets": count, "wire_packets": count,
            "host": place[0], "device": place[1], "function": "tun_net_xmit", "why": "", **fields}


def vanished(count: int, one: Place = OUT, two: Place = IN, **fields: Any) -> dict[str, Any]:
    """A loss of a summary: vanished."""
    ends = [dict(zip(("host", "device", "point"), place, strict=True)) for place in (one, two)]
    return {"kind": "vanished", "certainty": "certain", "flow": KEY, "packets": count, "wire_packets": count,
            "between": ends, "why": "", **fields}


def one_lost() -> Scene:
    """Return a scene whose second of three packets is lost on the wire."""
    scene = Scene()
    scene.packet(*WAY)
    scene.lose(scene.packet(TAP_A, OUT, arrived=False), OUT, IN)
    scene.packet(*WAY)
    return scene


def test_a_loss_that_was() -> None:
    assert one_lost().judged(vanished(1)) == []


def test_one_loss_too_many() -> None:
    assert one_lost().judged(vanished(2)) == ["loss-count", "loss-count", "loss-place"]


def test_a_loss_elsewhere() -> None:
    assert one_lost().judged(vanished(1, TAP_A, OUT)) == ["loss-place"]


def test_a_loss_that_nobody_told() -> None:
    assert one_lost().judged(arrived=2) == ["missed"]


def test_a_summary_of_another_form() -> None:
    loss = vanished(1)
    del loss["between"]
    assert one_lost().judged(loss) == ["form"]


def test_dropped_copies_are_no_losses() -> None:
    """A copy was dropped, the packet arrived: said of copies it is true, it was taken for a loss too many."""
    scene = Scene()
    scene.packet(TAP_A, OUT, IN, DROP, TAP_B, copies=("", "", "", "flood", ""))
    assert scene.judged(drop(1, copies=True)) == []
    assert scene.judged(drop(1)) == ["loss-count", "loss-count"]


def test_copies_must_have_been_dropped_there() -> None:
    """No more copies than drops that were recorded, of packets and copies."""
    scene = Scene()
    scene.packet(TAP_A, OUT, IN, DROP, TAP_B, copies=("", "", "", "flood", ""))
    assert scene.judged(drop(2, copies=True)) == ["loss-place"]
    assert scene.judged(drop(1, ("hv-a", "vnet0", "skb.drop"), copies=True)) == ["loss-place"]


def test_a_lost_packet_is_not_told_by_its_copies() -> None:
    """Who calls the packet's drop that of a copy has not told the loss."""
    scene = Scene()
    scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False), DROP)
    assert scene.judged(drop(1)) == []
    assert scene.judged(drop(1, copies=True), arrived=0) == ["missed"]


def test_what_was_lost_is_no_copy() -> None:
    """That a drop was one of a copy, and no loss, must be so."""
    scene = Scene()
    scene.packet(TAP_A, OUT, IN, DROP, TAP_B, copies=("", "", "", "flood", ""))
    scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False), DROP)
    assert scene.judged(drop(1), copies=(drop(1, copies=True),)) == []
    assert scene.judged(copies=(drop(2, copies=True),), arrived=1) == ["copies", "missed"]


def test_a_broadcast_has_an_outcome_for_each_receiver() -> None:
    """Two of three receivers miss one request: two losses; they were held against one packet."""
    scene, other = Scene(), ("hv-b", "vnet1", "skb.drop")
    packet = scene.packet(TAP_A, OUT, IN, DROP, other, TAP_B, many=True, twins=True)
    scene.lose(packet, DROP)
    scene.lose(packet, other)
    assert scene.judged(drop(1), drop(1, other), arrived=1, packets=3) == []
    assert scene.judged(drop(2), drop(1, other), arrived=0, packets=3) == ["loss-count", "loss-count", "loss-place"]


def test_a_broadcast_arrives_at_each_receiver() -> None:
    """One request arrives at three taps: three arrivals; no more than one was allowed."""
    scene = Scene()
    scene.packet(*WAY, many=True, twins=True, reached=3)
    assert scene.judged(packets=3) == []
    assert scene.judged(packets=4) == ["arrived", "inflated"]


def test_a_double_made_before_anybody_looked_can_be_lost() -> None:
    """The wire doubles a packet before hv-b, the only host that is traced; one of the two is dropped. For all that can
    be known two were sent and one was lost; it was taken for a loss that never was."""
    scene = Scene()
    scene.hosts[0].tracing.traced = False
    packet = scene.packet(IN, IN, TAP_B, DROP, copies=("", "dup", "", "dup"))
    scene.lose(packet, DROP)
    assert scene.judged(drop(1), packets=2) == []
    assert scene.judged(drop(2), packets=2) == ["loss-count", "loss-count", "loss-place"]


def test_a_double_made_between_traced_hosts_is_no_loss() -> None:
    scene = Scene()
    scene.lose(scene.packet(TAP_A, OUT, IN, IN, TAP_B, DROP, copies=("", "", "", "dup", "", "dup")), DROP)
    assert scene.judged(drop(1), arrived=1) == ["loss-count", "loss-count"]


def test_a_loss_on_the_second_way_over_a_wire() -> None:
    """A service chain: from hv-a to hv-b, back, and to hv-b again, where it does not come. The packet was at both ends
    of that wire; it was taken for a loss elsewhere."""
    back = (("hv-b", "eth0", "dev.tx"), ("hv-a", "eth0", "dev.rx"))
    scene = Scene()
    scene.packet(TAP_A, OUT, IN, *back, OUT, IN, TAP_B)
    scene.lose(scene.packet(TAP_A, OUT, IN, *back, OUT, arrived=False), OUT, IN)
    scene.packet(TAP_A, OUT, IN, *back, OUT, IN, TAP_B)
    assert scene.judged(vanished(1)) == []
    assert scene.judged(vanished(1, ("hv-b", "eth0", "dev.tx"), ("hv-a", "eth0", "dev.rx"))) == ["loss-place"]


def cut_scene() -> tuple[Scene, Packet, Packet]:
    """Return a scene, a datagram that hv-a cut into two fragments, and the one of them that is lost."""
    scene = Scene(kind="frag")
    whole = scene.packet(TAP_A, arrived=False)
    first, second = scene.packet(OUT, IN, TAP_B), scene.packet(OUT, arrived=False)
    for piece in (first, second):
        piece.whole, piece.ident = whole, whole.ident
    whole.children = [first, second]
    second.keys = {"a > b udp-fragment"}
    scene.lose(second, OUT, IN)
    whole.gone = list(second.gone)
    return scene, whole, second


def test_a_datagram_is_lost_where_a_fragment_of_it_is() -> None:
    """hv-a cuts a datagram, and a fragment is lost on the wire: lost between the hosts under the datagram's name. The
    datagram as such never was at eth0, and the fragment has no ports: it was taken for a loss elsewhere."""
    scene, _, _ = cut_scene()
    assert scene.judged(vanished(1), arrived=1) == []
    assert scene.judged(vanished(1, IN, TAP_B), arrived=1) == ["loss-place"]


def test_a_drop_of_a_fragment_is_one_of_its_datagram() -> None:
    """The same for a recorded drop."""
    scene, whole, second = cut_scene()
    skb = Skb([second], ("a", 1, "b", 2), [])
    sight = Sight(DROP, 1.1, skb, b"", 64, {"function": "tun_net_xmit"})
    sight.recorded = True
    second.sights.append(sight)
    whole.gone = second.gone = [Loss("drop", 1.1, DROP[:2], sight, None, "tun_net_xmit")]
    assert scene.judged(drop(1), arrived=1) == []


def test_a_step_from_a_datagram_to_its_fragments() -> None:
    """A datagram's step to where its fragments left was taken for one that no packet made."""
    scene, _, _ = cut_scene()
    one, two = vanished(1, TAP_A, OUT)["between"]
    took = (scene.packets[1].sights[0].time - scene.packets[0].sights[0].time) * 1e6
    step = {"from": one, "to": two, "packets": 1,
            "latency_us": dict.fromkeys(("min", "p50", "p99", "max"), took) | {"bound": 20_000.0}}
    assert scene.judged(segments=(step,), arrived=1) == []


@pytest.mark.parametrize("before, after", [(True, False), (False, True)])
def test_a_flow_that_is_seen_on_one_side_only(before: bool, after: bool) -> None:
    """Where no packet of the flow came on before, or none after, the receiver may have been, or be, elsewhere: nobody
    must call it a certain loss; that it was not called one was taken for an omission."""
    scene = Scene()
    if before:
        scene.packet(*WAY)
    scene.lose(scene.packet(TAP_A, OUT, arrived=False), OUT, IN)
    if after:
        scene.packet(*WAY)
    assert scene.judged(arrived=1) == []


def silent(*places: Place, points: list[str]) -> list[str]:
    """Judge a summary that says nothing about a packet that ended on hv-b at these places."""
    scene = Scene()
    scene.hosts[1].tracing.points = points
    scene.packet(*WAY)
    scene.lose(scene.packet(TAP_A, OUT, IN, *places, arrived=False), IN, kind="silent")
    scene.packet(*WAY)
    return scene.judged(arrived=2)


def test_what_was_freed_may_have_been_taken_by_the_host() -> None:
    """A free is no drop: a packet that was freed after it came in need not be called lost; nor one that came in where
    frees were not looked at. Both were taken for omissions."""
    assert silent(points=POINTS) == ["missed"]
    assert silent(("hv-b", "eth0", "skb.free"), points=POINTS) == []
    assert silent(points=["dev.rx", "dev.tx", "skb.drop"]) == []


def test_a_drop_on_a_host_without_all_its_records_may_be_of_a_copy() -> None:
    """A host that lost records dropped something, in another skb than the one that came in: perhaps a copy, of which
    the record is lost that it was one. It need not be called a loss."""
    scene = Scene()
    scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False), DROP)
    scene.hosts[1].tracing.lossy = {"dev.tx": 0.1}
    assert scene.judged(arrived=0) == ["missed"]
    scene.packets[0].sights[-1].skb += 256
    assert scene.judged(arrived=0) == []


def test_which_branch_is_the_packet_needs_the_receivers_home() -> None:
    """Of a flooded packet one branch was dropped, another delivered. Where the receiver lives is not in the records:
    that nobody decides which branch is the packet was taken for an omission."""
    scene = Scene()
    other = ("hv-b", "vnet1", "dev.tx")
    scene.lose(scene.packet(TAP_A, OUT, IN, other, DROP, copies=("", "", "", "flood", ""), arrived=False), DROP)
    assert scene.judged(arrived=0) == []
    answer = scene.packet(("hv-b", "vnet0", "dev.rx"))
    answer.way = 1
    assert scene.judged(arrived=1) == ["missed"]


def test_a_home_is_an_address_s() -> None:
    """The receiver sends by IPv4 only: that nobody knows where its IPv6 address lives was taken for an omission."""
    scene = Scene()
    other = ("hv-b", "vnet1", "dev.tx")
    lost = scene.packet(TAP_A, OUT, IN, other, DROP, copies=("", "", "", "flood", ""), arrived=False)
    scene.lose(lost, DROP)
    scene.packet(("hv-b", "vnet0", "dev.rx")).way = 1
    for sight in lost.sights:
        sight.data = bytes(12) + b"\x86\xdd"
    assert scene.judged(arrived=1) == []


def test_an_address_must_be_among_the_recorded_bytes() -> None:
    """34 bytes have no address of IPv6."""
    scene = Scene()
    other = ("hv-b", "vnet1", "dev.tx")
    lost = scene.packet(TAP_A, OUT, IN, other, DROP, copies=("", "", "", "flood", ""), arrived=False)
    scene.lose(lost, DROP)
    answer = scene.packet(("hv-b", "vnet0", "dev.rx"))
    answer.way = 1
    for sight in (*lost.sights, *answer.sights):
        sight.data = bytes(12) + b"\x86\xdd"
    assert scene.judged(arrived=1) == ["missed"]
    scene.hosts[1].tracing.short = 34
    assert scene.judged(arrived=1) == []


def test_acknowledgements_that_look_the_same() -> None:
    """Two without a byte, equal in all: one may be the other's double."""
    scene = Scene()
    for number in range(2):
        scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False, proto=TCP, size=0, ident=7, ack=number), DROP)
    assert scene.judged(arrived=0) == ["missed"]
    scene.packets[1].ack = 0
    assert scene.judged(arrived=0) == []


def refused(*, way: int = 0, before: bool = True, after: bool = True, places: tuple[Place, ...] = WAY,
            nat: Any = None) -> list[str]:
    """Judge a summary that does not say that hv-b's bridge refused a packet; before, after: there are others."""
    scene, place = Scene(), ("hv-b", "eth0", "skb.drop")
    scene.flow.nat = nat
    if before:
        scene.packet(*places).way = way
    lost = scene.packet(TAP_A, OUT, IN, place, arrived=False)
    scene.lose(lost, place)
    lost.gone[0].function = "br_handle_frame_finish"
    if after:
        scene.packet(*places).way = way
    return scene.judged(arrived=len(scene.packets) - 1)


def test_a_bridge_refuses_flooded_frames_too() -> None:
    """Where neither others of the flow nor the receiver show that a frame was for the host whose bridge refused it,
    that it was not called lost was taken for an omission."""
    assert refused() == ["missed"]
    assert refused(before=False) == refused(after=False) == []
    answer = (("hv-b", "vnet0", "dev.rx"),)
    assert refused(way=1, places=answer) == ["missed"]
    assert refused(way=1, places=answer, before=False) == []


def test_nobody_knows_who_is_behind_an_address_that_was_never_translated() -> None:
    """A bridge refused all packets to a translated address, so that nothing showed whose it is. That their receiver
    lives on the host was taken for known."""
    answer = (("hv-b", "vnet0", "dev.rx"),)
    assert refused(way=1, places=answer, nat=SimpleNamespace(kind="snat")) == ["missed"]
    assert refused(way=1, places=answer, nat=SimpleNamespace(kind="dnat")) == []


def test_a_vm_that_sends_nothing_on_may_be_no_router() -> None:
    """Packets were dropped at the tap of a VM that is not their receiver: unless it is seen to send others on, copies
    may have been flooded to it. That such a loss was not called certain was taken for an omission."""
    scene, other = Scene(), ("hv-b", "vnet1")
    scene.hosts[1].taps["vnet1"] = VM(2, scene.hosts[1], "vnet1")
    into, drops, out = ((*other, point) for point in ("dev.tx", "skb.drop", "dev.rx"))
    scene.lose(scene.packet(TAP_A, OUT, IN, into, drops, arrived=False), drops)
    assert scene.judged(arrived=0) == []
    scene.packet(TAP_A, OUT, IN, into, out, TAP_B)
    assert scene.judged(arrived=1) == ["missed"]


def test_too_few_header_bytes_tell_no_double_from_the_packet() -> None:
    """What a host dropped with too few header bytes may be a double, unless it came from its own VM."""
    scene = Scene()
    scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False), DROP)
    for sight in scene.packets[0].sights:
        sight.data = bytes(42)
    assert scene.judged(arrived=0) == ["missed"]
    scene.hosts[1].tracing.short = 34
    assert scene.judged(arrived=0) == []
    scene.hosts[1].taps["eth0"] = scene.vms[1]
    assert scene.judged(arrived=0) == ["missed"]


def test_segments_sent_again_may_have_come_as_doubles() -> None:
    """Where the wire doubles packets, a segment that was dropped may be the double of one that looks the same and got
    on, unless clocks tell their sendings apart. That its loss was not called certain was taken for an omission."""
    def is_missed(seconds: float, duplication: float = 0.01) -> bool:
        scene = Scene(kind="tcp")
        segment: dict[str, Any] = {"proto": TCP, "ident": 0}
        scene.duplication = duplication
        scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False, born=1.0, **segment), DROP)
        scene.packet(*WAY, born=1.0 + seconds, **segment)
        return "missed" in scene.judged(arrived=1)
    assert is_missed(0.2) and is_missed(0.001, duplication=0.0)
    assert not is_missed(0.001)


def test_zero_losses_beside_a_recorded_drop() -> None:
    scene = Scene()
    scene.lose(scene.packet(TAP_A, OUT, IN, DROP, arrived=False), DROP)
    assert scene.judged(arrived=0, verdict="No packet was lost.") == ["zero-loss", "missed"]
