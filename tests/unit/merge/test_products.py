# SPDX-License-Identifier: Apache-2.0
"""journeys.parquet and events.parquet: from a loss to the packets, and from there to the records."""
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.bundles import Bundle, ethernet, ipv4, tcp
from support.fleet import A, B, Fleet, merged, udp_packet
from support.readme import sql

FLOW = "192.168.32.10:40000 > 192.168.32.20:5001 udp"


def segment(seq: int, payload: int = 0, flags: int = 16, back: bool = False, ident: int = 0, ack: int = 0) -> bytes:
    ends = (B, A, tcp(443, 40112, seq=seq, ack=ack, flags=flags, payload=payload)) if back else (
        A, B, tcp(40112, 443, seq=seq, ack=ack, flags=flags, payload=payload))
    return ethernet(ipv4(*ends, protocol=6, ident=ident))


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    """Return what a query says; JOURNEYS and EVENTS stand for the files."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query.replace("JOURNEYS", "'%s'" % (run / "journeys.parquet")).replace(
            "EVENTS", "'%s'" % (run / "events.parquet"))).fetchall()


@pytest.fixture
def fleet() -> Fleet:
    out = Fleet()
    out.talk()
    return out


def test_a_row_for_each_journey(tmp_path: Path, fleet: Fleet) -> None:
    for number in range(10):
        fleet.send(1 + 0.1 * number, udp_packet(number), lose=number == 3, drop=number == 5,
                   skb=0xFFFF888177000000 + 256 * number)
        fleet.send(1.05 + 0.1 * number, udp_packet(number, B, A), way="back")
    run = fleet.write(tmp_path)
    merged(run)
    assert rows(run, "SELECT outcome, certainty, count(*) FROM JOURNEYS WHERE flow = '%s' GROUP BY ALL ORDER BY ALL"
                % FLOW) == [("arrived", "certain", 8), ("dropped", "certain", 1), ("vanished", "certain", 1)]
    way = [("hv-a", "vnet0", "dev.rx"), ("hv-a", "eth0", "dev.tx"), ("hv-b", "eth0", "dev.rx"),
           ("hv-b", "vnet0", "dev.tx"), ("hv-b", "vnet0", "skb.drop")]
    for outcome, many in (("arrived", 4), ("dropped", 5), ("vanished", 2)):
        places, first, last, size, branches, copies, before = rows(
            run, "SELECT [(x.host, x.device, x.point, epoch_ns(x.time), x.bound_us) FOR x IN places], epoch_ns(first), "
            "epoch_ns(last), bytes, branches, copies, sent_before FROM JOURNEYS "
            "WHERE flow = '%s' AND outcome = '%s' ORDER BY first LIMIT 1" % (FLOW, outcome))[0]
        assert [place[:3] for place in places] == way[:many]
        assert (size, branches, copies, before) == (92, 1, 0, 0)
        assert (places[0][3], places[-1][3]) == (first, last)
        assert [place[4] == 0 for place in places] == [place[0] == "hv-a" for place in places]


def test_each_record_has_its_journey(tmp_path: Path, fleet: Fleet) -> None:
    for number in range(10):
        fleet.send(1 + 0.1 * number, udp_packet(number), lose=number == 3)
    run = fleet.write(tmp_path)
    merged(run)
    found = rows(run, "SELECT any_value(outcome), list(e.point ORDER BY e.time) FROM JOURNEYS AS j JOIN EVENTS AS e "
                      "USING (journey) WHERE j.flow = '%s' AND e.flow = j.flow GROUP BY journey ORDER BY ALL" % FLOW)
    assert found == [("arrived", ["dev.rx", "dev.tx"] * 2)] * 9 + [("vanished", ["dev.rx", "dev.tx"])]
    assert rows(run, "SELECT count(*) FROM EVENTS WHERE journey IS NULL AND point <> 'skb.free'") == [(0,)]


def test_each_record_has_its_ethernet_addresses(tmp_path: Path) -> None:
    bundle = Bundle("hv-a")
    bundle.device(2, "eth0")
    for number, fields in enumerate(({}, {"packet_layer": 3, "protocol": 0x0800}, {"packet_len": 11})):
        packet = udp_packet(number)
        bundle.event(1 + 0.1 * number, "dev.rx", 2, packet[14:] if "packet_layer" in fields else packet, **fields)
    run = tmp_path / "run"
    bundle.write(run)
    merged(run)
    assert rows(run, "SELECT mac_src, mac_dst FROM EVENTS ORDER BY time") == [
        ("02:00:00:00:00:01", "02:00:00:00:00:02"), (None, None), (None, None)]


def test_what_was_sent_again_is_counted_over_all_flows(tmp_path: Path, fleet: Fleet) -> None:
    """summary.json lists no more than 1,000 of them."""
    for number in range(1200):
        for again in range(2):
            fleet.send(1 + 0.001 * number + 0.5 * again, ethernet(ipv4(
                A, B, tcp(20000 + number, 443, seq=7, payload=100), protocol=6, ident=1 + 2 * number + again)))
    run = fleet.write(tmp_path)
    summary = merged(run)
    assert (len(summary["flows"]), summary["retransmitted"]) == (1000, 1200)
    assert "1200 segments were sent again by TCP." in summary["verdict"]


def test_times_sent_and_one_packet_of_several_places(tmp_path: Path, fleet: Fleet) -> None:
    """Sent twice are two journeys; a packet that was joined on the way shows the first of those that it carries."""
    for number in range(4):
        fleet.send(1 + number, segment(1000 * number, 1000, ident=number + 1))
    fleet.send(6, segment(2000, 1000, ident=9))
    run = fleet.write(tmp_path)
    merged(run)
    assert rows(run, "SELECT sent_before, count(*), count(DISTINCT journey) FROM JOURNEYS "
                     "WHERE flow LIKE '%tcp' GROUP BY ALL ORDER BY ALL") == [(0, 4, 4), (1, 1, 1)]


def test_joined_packets(tmp_path: Path, fleet: Fleet) -> None:
    fleet.out(fleet.a, 2.0, segment(0, 3000), gso_size=1000, gso_segs=3)
    for number in range(3):
        fleet.into(fleet.b, 2.001 + 1e-5 * number, segment(1000 * number, 1000))
    run = fleet.write(tmp_path)
    merged(run)
    names = [name for name, in rows(run, "SELECT journey FROM JOURNEYS WHERE flow LIKE '%tcp' ORDER BY last")]
    assert len(set(names)) == 3
    assert rows(run, "SELECT DISTINCT journey FROM EVENTS WHERE flow LIKE '%tcp' AND host = 'hv-a'") == [(names[0],)]
    assert rows(run, "SELECT carried_by FROM JOURNEYS WHERE flow LIKE '%tcp' ORDER BY last") == [
        (None,), (names[0],), (names[0],)]
    assert rows(run, "SELECT journey FROM EVENTS WHERE flow LIKE '%tcp' AND host = 'hv-b' AND point = 'dev.rx' "
                     "ORDER BY time") == [(name,) for name in names]


def test_what_is_not_followed_has_no_journey(tmp_path: Path, fleet: Fleet) -> None:
    fleet.a.event(3, "dev.rx", 3, ethernet(bytes(40), 0x88CC), protocol=0x88CC)
    run = fleet.write(tmp_path)
    merged(run)
    assert rows(run, "SELECT flow FROM EVENTS WHERE journey IS NULL") == [("ethertype 0x88cc",)]


def test_headers_are_as_recorded(tmp_path: Path, fleet: Fleet) -> None:
    frame = udp_packet(7)
    fleet.send(3, frame[:42], len=106)
    fleet.a.event(4, "dev.rx", 3, frame[:42], packet_len=20)
    run = fleet.write(tmp_path)
    merged(run)
    assert rows(run, "SELECT DISTINCT header FROM EVENTS WHERE flow = '%s' ORDER BY ALL" % FLOW) == [(frame[:42],)]
    assert rows(run, "SELECT octet_length(header) FROM EVENTS WHERE time > '2026-11-22 11:27:53.9Z' "
                     "ORDER BY octet_length(header) LIMIT 1") == [(20,)]


def test_products_are_private(tmp_path: Path, fleet: Fleet) -> None:
    run = fleet.write(tmp_path)
    merged(run)
    for name in ("journeys.parquet", "events.parquet"):
        assert (run / name).stat().st_mode & 0o777 == 0o600


def test_from_a_loss_to_its_records(tmp_path: Path, fleet: Fleet) -> None:
    """The query of the README, as it stands there."""
    for number in range(10):
        fleet.send(1 + 0.1 * number, udp_packet(number), lose=number == 3, drop=number == 5,
                   skb=0xFFFF888177000000 + 256 * number)
        fleet.send(1.05 + 0.1 * number, udp_packet(number, B, A), way="back")
    run = fleet.write(tmp_path)
    summary = merged(run)
    found = rows(run, "SELECT kind, sample, host, device, point, header LIKE '0200%%' FROM (%s)" % sql("journeys", run))
    ways = {"vanished": [("hv-a", "vnet0", "dev.rx"), ("hv-a", "eth0", "dev.tx")],
            "drop": [("hv-a", "vnet0", "dev.rx"), ("hv-a", "eth0", "dev.tx"), ("hv-b", "eth0", "dev.rx"),
                     ("hv-b", "vnet0", "dev.tx"), ("hv-b", "vnet0", "skb.drop")]}
    assert sorted(found) == sorted((loss["kind"], *loss["journeys"], *place, True) for loss in summary["losses"]
                                   for place in ways[loss["kind"]])
