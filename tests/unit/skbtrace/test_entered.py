# SPDX-License-Identifier: Apache-2.0
"""Which packets Open vSwitch is asked about, from a spool."""
import pathlib
from types import SimpleNamespace
from typing import Any

from support.bundles import NETNS, Bundle, ethernet, ipv4, tcp, udp

from skbtrace.capture import entered, record
from skbtrace.host.openvswitch import MOST_FLOWS

ETH1, VNET0, BR0, ETH7 = 2, 3, 4, 7
POINTS = ["dev.rx", "dev.tx", "skb.drop", "ovs.drop", "ovs.upcall", "skb.free"]
ROWS = [{"netns": NETNS, "ifindex": number, "name": name, "kind": kind, "master": master}
        for number, name, kind, master in ((1, "ovs-system", "openvswitch", 0), (ETH1, "eth1", "", 1),
                                           (VNET0, "vnet0", "tun", 1), (BR0, "br0", "openvswitch", 0),
                                           (ETH7, "eth7", "", 0))]
PORT = "udp_src=40000,udp_dst=%d"


def packet(port: int, client: int = 40000) -> bytes:
    return ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(client, port)))


def chosen(tmp_path: pathlib.Path, bundle: Bundle, rows: list[dict[str, Any]] = ROWS) -> list[tuple[str, str]]:
    path = pathlib.Path(bundle.write(tmp_path)) / "records.bin"
    tracer = SimpleNamespace(
        devices=SimpleNamespace(rows=lambda: rows), layout=record.PLAIN,
        reasons={9: "OVS_DROP_EXPLICIT", 5: "FULL_RING"},
        program=SimpleNamespace(attached=[SimpleNamespace(id=at, name=name) for at, name in enumerate(POINTS)]))
    return [(flow["device"], flow["flow"]) for flow in entered.flows(tracer, str(path))]


def ports(found: list[tuple[str, str]]) -> list[tuple[str, int]]:
    return [(device, int(flow.rpartition("_dst=")[2].partition(",")[0])) for device, flow in found]


def test_what_was_dropped_comes_first_as_it_came_in(tmp_path: pathlib.Path) -> None:
    """The one was translated on its way, the other's drop is all that was recorded of it."""
    one = Bundle("hv-a", points=POINTS)
    one.event(1.0, "dev.rx", ETH1, packet(80), skb=1)
    one.event(1.1, "dev.rx", ETH1, packet(81), skb=2, vlan_present=1, vlan_tci=100)
    one.event(1.2, "ovs.upcall", ETH1, packet(82), skb=3)
    one.event(1.3, "ovs.drop", ETH1, packet(8081), skb=2)
    one.event(1.4, "ovs.drop", VNET0, packet(83), skb=4)
    found = chosen(tmp_path, one)
    assert ports(found) == [("eth1", 81), ("vnet0", 83), ("eth1", 82), ("eth1", 80)]
    assert "dl_vlan=100,dl_vlan_pcp=0,udp" in found[0][1]


def test_a_flow_is_asked_about_once_whoever_the_client_is(tmp_path: pathlib.Path) -> None:
    one = Bundle("hv-a", points=POINTS)
    for number in range(50):
        one.event(1 + number / 100, "dev.rx", ETH1, packet(80, 40000 + number))
        one.event(2 + number / 100, "dev.rx", ETH1, ethernet(ipv4("10.0.0.1", "10.0.0.2", tcp(40000, number),
                                                               protocol=6)))
    found = chosen(tmp_path, one)
    assert len(found) == MOST_FLOWS
    assert [flow for _, flow in found if "udp" in flow] == [
        "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_tos=0,nw_ecn=0,"
        "nw_ttl=64,udp_src=40000,udp_dst=80"]


def test_only_what_goes_into_the_switch(tmp_path: pathlib.Path) -> None:
    """What comes out of it by an internal port does not, nor what another device had, or dropped."""
    one = Bundle("hv-a", points=POINTS)
    one.event(1.0, "dev.rx", BR0, packet(80))
    one.event(1.1, "dev.tx", BR0, packet(81))
    one.event(1.2, "dev.tx", VNET0, packet(82))
    one.event(1.3, "dev.rx", ETH7, packet(83))
    one.event(1.4, "skb.drop", VNET0, packet(84), reason=5)
    one.event(1.5, "skb.drop", VNET0, packet(85), reason=9)
    assert ports(chosen(tmp_path, one)) == [("vnet0", 85), ("br0", 81)]


def test_a_host_without_such_ports_asks_nothing(tmp_path: pathlib.Path) -> None:
    one = Bundle("hv-a", points=POINTS)
    one.event(1.0, "dev.rx", ETH7, packet(80))
    assert chosen(tmp_path, one, [row for row in ROWS if row["ifindex"] == ETH7]) == []


def test_drops_behind_many_other_records_are_found(tmp_path: pathlib.Path) -> None:
    one = Bundle("hv-a", points=POINTS)
    for number in range(3 * entered._CHUNK):
        one.event(1 + number / 1e5, "skb.free", ETH7, b"", skb=5)
    one.event(2.0, "dev.rx", ETH1, packet(80), skb=6)
    for number in range(entered._CHUNK):
        one.event(3 + number / 1e5, "skb.free", ETH7, b"", skb=5)
    one.event(4.0, "ovs.drop", ETH1, packet(8080), skb=6)
    assert ports(chosen(tmp_path, one)) == [("eth1", 80)]
