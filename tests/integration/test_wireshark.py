# SPDX-License-Identifier: Apache-2.0
"""capture.pcapng as Wireshark sees it: of a real run on the lab, and of one whose packets are known."""
import collections
import os
import pathlib
import random
import shutil
import subprocess

import duckdb
import pytest
from support.bundles import ethernet, ipv4, tcp
from support.fleet import A, B, Fleet, merged
from support.lab import ROOT
from support.playbooks import LOSS, Play

PROFILE = ROOT / "share" / "wireshark" / "skbfleet"


class Wireshark:
    """tshark with the project's profile, or without."""

    def __init__(self, configuration: pathlib.Path) -> None:
        shutil.copytree(PROFILE, configuration / "profiles" / "skbfleet")
        self._environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(configuration), "LC_ALL": "C.UTF-8"}

    def rows(self, capture: pathlib.Path, wanted: str, *fields: str, profile: bool = True) -> list[list[str]]:
        """Return fields of the packets that a display filter wants."""
        words = ["tshark", "-n", "-r", str(capture), "-Y", wanted, "-T", "fields"]
        words += [word for field in fields or ("frame.number",) for word in ("-e", field)]
        done = subprocess.run(words + (["-C", "skbfleet", "--color"] if profile else []), env=self._environment,
                              capture_output=True, text=True, timeout=300, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def wireshark(tmp_path) -> Wireshark:
    return Wireshark(tmp_path / "configuration")


def ask(run: pathlib.Path, query: str) -> list[tuple]:
    """Return what a query says; EVENTS and JOURNEYS stand for the files."""
    for name in ("events", "journeys"):
        query = query.replace(name.upper(), "'%s'" % (run / (name + ".parquet")))
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def test_a_run_with_drops_and_retransmissions(lab, tmp_path, wireshark):
    play = Play(tmp_path / "captures")
    done = play.run("reproduce.yml", capture_case=str(ROOT / "playbooks" / "cases" / "tcp_drop_443.yml"),
                    capture_run_id="r", reproduce_command="roles/lab/files/stall.py")
    assert done.returncode == LOSS, done.stdout
    run = play.output_dir / "r"
    rows = wireshark.rows(run / "capture.pcapng", "tcp.port == 443", "frame.time_epoch", "frame.interface_name",
                          "frame.packet_id", "tcp.srcport", "tcp.dstport", "tcp.seq_raw")
    assert len(rows) == play.summary("r")["records"] > 10_000
    assert [(second, place, packet and "%016x" % int(packet), *(int(number) for number in numbers))
            for second, place, packet, *numbers in rows] == ask(run, """
        SELECT printf('%d.%09d', epoch_ns(time) // 1000000000, epoch_ns(time) % 1000000000),
               host || ' ' || device || ' ' || point, coalesce(journey, ''), src_port, dst_port, seq FROM EVENTS""")
    places_are_the_journeys(run, rows)
    what_became_of_packets_shows(run, wireshark)


def places_are_the_journeys(run: pathlib.Path, rows: list[list[str]]) -> None:
    """Fail if packets, by their numbers, passed other places, or at other times, than their journeys say."""
    passed = collections.defaultdict(list)
    for second, place, packet, *_ in rows:
        passed[packet].append((place, second))
    journeys = ask(run, """
        SELECT journey, [(x.host || ' ' || x.device || ' ' || x.point,
                          printf('%d.%09d', epoch_ns(x.time) // 1000000000, epoch_ns(x.time) % 1000000000))
                         FOR x IN places]
        FROM JOURNEYS WHERE branches = 1 AND carried_by IS NULL""")
    chosen = random.Random(1).sample(journeys, 1000)
    assert [passed[str(int(journey, 16))] for journey, _ in chosen] == [places for _, places in chosen]


def what_became_of_packets_shows(run: pathlib.Path, wireshark: Wireshark) -> None:
    """Fail if drops and what TCP sent again are not shown as such, or if anything else is."""
    capture = run / "capture.pcapng"
    assert wireshark.rows(capture, "_ws.malformed") == []
    dropped = wireshark.rows(capture, "frame.comment contains \"dropped\"", "frame.coloring_rule.name")
    assert dropped == [["Dropped"]] * ask(run, "SELECT count(*) FROM EVENTS WHERE point = 'skb.drop'")[0][0] != []
    again = wireshark.rows(capture, "frame.comment contains \"sent again\"", "frame.packet_id")
    assert len(again) == ask(run, "SELECT count(*) FROM JOURNEYS WHERE sent_before > 0 AND bytes > 52 "
                                  "AND carried_by IS NULL")[0][0] > 0
    assert wireshark.rows(capture, "tcp.analysis.flags") == []
    assert len(wireshark.rows(capture, "tcp.analysis.retransmission", profile=False)) > len(again)


def test_tags_are_back_in_their_place(tmp_path, wireshark):
    fleet = Fleet()
    fleet.talk()
    for number in range(20):
        packet = ethernet(ipv4(A, B, tcp(40112, 443, seq=1000 + 100 * number, flags=24, payload=100), protocol=6))
        tag = {"vlan_present": 1, "vlan_tci": 0x6064} if number % 2 else {}
        fleet.send(1 + 0.1 * number, packet, **tag)
    run = fleet.write(tmp_path)
    merged(run)
    fields = ("vlan.id", "vlan.priority", "ip.dst", "tcp.dstport", "frame.len")
    assert wireshark.rows(run / "capture.pcapng", "vlan.id == 100", *fields) == [["100", "3", B, "443", "158"]] * 40
    assert len(wireshark.rows(run / "capture.pcapng", "tcp.port == 443 && !vlan")) == 40
