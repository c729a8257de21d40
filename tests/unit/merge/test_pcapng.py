# SPDX-License-Identifier: Apache-2.0
"""capture.pcapng, read by a reader of its own: every record is there, as the packet was, at its place."""
import random
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support import pcapng
from support.bundles import NETNS, WALL, Bundle, ethernet, ipv4, ipv6, tcp, udp
from support.fleet import A, B, Fleet, merged, udp_packet

COMMAND = Path(__file__).resolve().parents[3] / "bpftools" / "merge_captures.py"
MACS = bytes(12)
IN, OUT = 1, 2


def segment(seq: int, payload: int = 0, **more: Any) -> bytes:
    return ethernet(ipv4(A, B, tcp(40112, 443, seq=seq, flags=24, payload=payload), protocol=6, **more))


def captured(directory: Path, *bundles: Bundle) -> pcapng.Capture:
    """Merge bundles; return the file."""
    run = directory / bundles[0].manifest["run_id"]
    for bundle in bundles:
        bundle.write(run)
    merged(run)
    return pcapng.read(run / "capture.pcapng")


def one_host(**options: Any) -> Bundle:
    bundle = Bundle("hv-a", **options)
    bundle.device(2, "eth0", "phy")
    bundle.device(3, "vnet0", "vnet")
    return bundle


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a fleet with losses, drops, and 1,200 packets whose ways are known."""
    fleet = Fleet()
    fleet.talk()
    for number in range(1200):
        fleet.send(1 + 5e-3 * number, udp_packet(number), lose=number % 100 == 3, drop=number % 100 == 5)
    run = fleet.write(tmp_path)
    merged(run)
    return run


def test_every_record_is_there_in_order(run: Path) -> None:
    capture = pcapng.read(run / "capture.pcapng")
    rows = duckdb.sql("SELECT epoch_ns(time), host || ' ' || device || ' ' || point, journey FROM '%s'"
                      % (run / "events.parquet")).fetchall()
    assert len(rows) > 5000
    assert [(packet.time, capture.place(packet), packet.journey and "%016x" % packet.journey)
            for packet in capture.packets] == rows
    assert capture.comment == "skbfleet run 20261122T112750Z-test"
    assert (run / "capture.pcapng").stat().st_mode & 0o777 == 0o600


def test_a_packet_s_number_leads_through_its_places_in_order(run: Path) -> None:
    capture = pcapng.read(run / "capture.pcapng")
    passed: dict[int | None, list[tuple[str, int]]] = {}
    for packet in capture.packets:
        passed.setdefault(packet.journey, []).append((capture.place(packet), packet.time))
    journeys = duckdb.sql("SELECT journey, [(x.host || ' ' || x.device || ' ' || x.point, epoch_ns(x.time)) "
                          "FOR x IN places] FROM '%s'" % (run / "journeys.parquet")).fetchall()
    for journey, places in random.Random(1).sample(journeys, 1000):
        assert passed[int(journey, 16)] == places
    assert {len(places) for _, places in journeys} == {2, 4, 5}


def test_interfaces_say_what_they_are_and_what_was_seen(tmp_path: Path) -> None:
    bundle = one_host()
    bundle.manifest["filter"] = {"dst": B, "filter": "tcp port 443"}
    bundle.manifest["per_point"]["dev.rx"] = {"seen": 90, "matched": 12, "lost": 4, "shed": 3, "missed": 2}
    for number in range(3):
        bundle.event(1 + number, "dev.rx", 3, segment(number))
    capture = captured(tmp_path, bundle)
    assert [one.name for one in capture.interfaces] == ["hv-a vnet0 dev.rx", *(
        "hv-a * " + point for point in bundle.points)]
    place, point = capture.interfaces[:2]
    assert place.description == "datapath_tracing at dev.rx, netns=hv-a role=vnet"
    assert place.filter == point.filter == 'dst=192.168.32.20, filter="tcp port 443"'
    second = 1_000_000_000
    assert place.statistics == {2: WALL + second, 3: WALL + 3 * second, 8: 3}
    assert point.statistics == {2: WALL, 3: WALL + 10 * second, 4: 90, 5: 9, 6: 12}


def test_the_other_tracer_s_look_at_one_point_is_told_apart(tmp_path: Path) -> None:
    bundles = [one_host(tracer=tracer) for tracer in ("datapath_tracing", "drop_monitor")]
    for bundle in bundles:
        bundle.event(1, "skb.drop", 3, segment(1), reason=77)
    capture = captured(tmp_path, *bundles)
    assert sorted(map(capture.place, capture.packets)) == [
        "hv-a vnet0 skb.drop", "hv-a vnet0 skb.drop (datapath_tracing)"]


def test_frames_are_what_a_wire_would_show(tmp_path: Path) -> None:
    bundle = one_host()
    frame = segment(7, 100)[:54]
    six = ethernet(ipv6("fd00::1", "fd00::2", udp(1, 2, 10)), 0x86DD)
    tag = struct.pack(">HH", 0x8100, 0x6064)
    usual = {"packet_len": 54, "len": 154}
    bundle.event(1, "dev.tx", 2, frame, **usual)
    bundle.event(2, "dev.tx", 2, frame, vlan_present=1, vlan_tci=0x6064, **usual)
    bundle.event(3, "dev.tx", 2, frame[14:], packet_layer=3, packet_len=40, len=140)
    bundle.event(4, "dev.tx", 2, frame[14:], packet_layer=3, packet_len=40, len=140, vlan_present=1, vlan_tci=0x6064)
    bundle.event(5, "dev.tx", 2, six[14:62], packet_layer=3, packet_len=48, len=58, protocol=0x86DD)
    bundle.event(6, "dev.tx", 2, six[14:62], packet_layer=3, packet_len=48, len=58, protocol=0)
    bundle.event(7, "dev.rx", 2, frame, packet_len=54, len=140, data_offset=78)    # begins behind the MAC header
    # TCP's own packet, whose headers were made up: the kernel knows of no offsets yet
    bundle.event(8, "dev.tx", 2, frame[14:], packet_layer=3, packet_len=40, len=100, network_offset=0xFFFF)
    capture = captured(tmp_path, bundle)
    assert [(packet.frame, packet.length) for packet in capture.packets] == [
        (frame, 154), (frame[:12] + tag + frame[12:], 158), (MACS + frame[12:], 154),
        (MACS + tag + frame[12:], 158), (MACS + six[12:62], 72), (MACS + six[12:62], 72), (frame, 154),
        (MACS + frame[12:], 154)]


def test_nothing_is_written_that_was_not_recorded(tmp_path: Path) -> None:
    bundle = one_host()
    for length in (0, 1, 11, 12, 13, 54, 128, 200):
        bundle.event(1 + length, "dev.tx", 2, b"\xEE" * 128, packet_len=length, len=3, vlan_present=1, vlan_tci=5)
    frames = [packet.frame for packet in captured(tmp_path, bundle).packets]
    assert [frame.count(b"\xEE") for frame in frames] == [0, 1, 11, 12, 13, 54, 128, 128]
    assert [len(frame) for frame in frames] == [0, 1, 11, 16, 17, 58, 132, 132]


def test_directions_kinds_of_reception_and_queues(tmp_path: Path) -> None:
    bundle = one_host(points=["dev.rx", "dev.tx", "skb.drop", "dev.core"])
    for number, (point, kind, queue) in enumerate([
            ("dev.rx", 0, 3), ("dev.rx", 1, 0), ("dev.rx", 2, 0), ("dev.rx", 3, 0), ("dev.tx", 4, 3),
            ("skb.drop", 0, 3), ("dev.core", 0, 1)]):
        bundle.event(1 + number, point, 2, segment(number), pkt_type=kind, queue_mapping=queue)
    assert [(packet.direction, packet.reception, packet.queue) for packet in captured(tmp_path, bundle).packets] == [
        (IN, 1, 2), (IN, 3, None), (IN, 2, None), (IN, 4, None), (OUT, 0, 3), (0, 0, None), (IN, 1, 0)]


def test_drops_changes_and_what_is_sent_again_are_commented_and_nothing_else(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.talk()
    for number in range(20):
        fleet.send(1 + 0.1 * number, segment(1000 + 100 * number, 100, ident=number), drop=number == 5)
    fleet.send(1.55, segment(1500, 100, ident=100))
    fleet.out(fleet.a, 4, segment(9000, 100, ident=101))
    fleet.a.events[-1].update(mark=7, vlan_present=1, vlan_tci=9)
    fleet.out(fleet.a, 5, segment(9500, 100, ident=102))
    fleet.a.events[-1]["packet"] = fleet.a.events[-1]["packet"].copy()
    fleet.a.events[-1]["packet"][26:30] = 10, 0, 0, 1    # its source, translated
    capture = captured(tmp_path, fleet.a, fleet.b)
    assert [(capture.place(packet), packet.comments) for packet in capture.packets if packet.comments] == [
        ("hv-b vnet0 skb.drop", ["dropped: FULL_RING in tun_net_xmit+0x1a2, 2.000 µs after hv-b vnet0 dev.tx"]),
        ("hv-a vnet0 dev.rx", ["sent again: the same bytes were sent before"]),
        ("hv-a eth0 dev.tx", ["changed: vlan none to 9, mark 0 to 7, 8.000 µs after hv-a vnet0 dev.rx"]),
        ("hv-a eth0 dev.tx", ["changed: addresses or ports, 8.000 µs after hv-a vnet0 dev.rx"])]


def test_a_time_between_two_hosts_has_its_bound(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.out(fleet.a, 4, udp_packet(1))
    fleet.into(fleet.b, 4 + 58e-6, udp_packet(1)[:22] + b"\x3f" + udp_packet(1)[23:])    # one hop further
    capture = captured(tmp_path, fleet.a, fleet.b)
    ((place, (comment,)),) = [(capture.place(packet), packet.comments) for packet in capture.packets
                              if packet.comments]
    assert place == "hv-b eth0 dev.rx"
    assert comment.startswith("changed: ttl 64 to 63, 50.0")
    assert re.search(r"50\.0\d\d ± 5\d\.\d{3} µs after hv-a eth0 dev\.tx$", comment)


def test_what_a_packet_was_before_is_said_only_if_it_is_known(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.out(fleet.a, 4, udp_packet(1, ident=0))
    fleet.out(fleet.a, 4 + 1e-6, udp_packet(1, ident=0))
    hop = udp_packet(1, ident=0)
    fleet.into(fleet.b, 4 + 60e-6, hop[:22] + b"\x3f" + hop[23:], drop=True)    # the one or the other
    capture = captured(tmp_path, fleet.a, fleet.b)
    assert [packet.comments for packet in capture.packets if packet.comments] == [
        ["dropped: FULL_RING in tun_net_xmit+0x1a2, 2.000 µs after hv-b vnet0 dev.tx"]]    # by the skb


def test_names_cannot_forge_blocks(tmp_path: Path) -> None:
    block = "\x06\x00\x00\x00\x20\x00\x00\x00" * 4
    bundle = Bundle("hv-a")
    bundle.device(3, "v\n\x1b[2J" + block, block)
    bundle.manifest["netns"][str(NETNS)] = "n\0" + block
    bundle.manifest["filter"] = {"filter": "x" * 4000, block: block}
    bundle.manifest["kernel"]["release"] = "\udce4" + block + "é" * 600
    bundle.manifest["drop_reasons"]["77"] = "R\r\n" + block
    bundle.symbol(0xFFFF, "f\x02" + block)
    bundle.manifest["per_point"] = {"skb.drop": {"seen": -1, "lost": "all", "matched": 1 << 70}, "dev.rx": 7}
    bundle.event(1, "skb.drop", 3, segment(1), reason=77, location=0xFFFF)
    bundle.event(2, "skb.drop", 0xFFFFFFFF, segment(2), netns=0xFFFFFFFF, packet_layer=77, pkt_type=255, len=1 << 31)
    capture = captured(tmp_path, bundle)
    texts = [text for one in capture.interfaces for text in one[:3]]
    texts += [text for packet in capture.packets for text in packet.comments]
    assert len(capture.packets) == 2
    assert all(text.isprintable() and len(text) <= 1000 for text in texts)
    assert all(set(one.statistics) <= {2, 3, 8} for one in capture.interfaces)


def test_without_packets_none_is_left_of_an_earlier_merge(run: Path) -> None:
    assert (run / "capture.pcapng").exists()
    done = subprocess.run([sys.executable, str(COMMAND), "--no-pcapng", str(run)], capture_output=True, text=True)
    assert done.returncode == 0
    assert "capture.pcapng" not in done.stdout
    assert sorted(path.name for path in run.iterdir()) == [
        "events.parquet", "evidence.parquet", "hosts", "journeys.parquet", "journeys.perfetto-trace", "report.html",
        "summary.json", "timeline.log", "verdict.txt"]
