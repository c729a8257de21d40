# SPDX-License-Identifier: Apache-2.0
"""A part of a run: what an expression says of recorded packets, and what the part says beside the whole."""
import ctypes
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from expressions import packets, words
from support.bundles import ethernet, ipv4, tcp, udp
from support.fleet import Fleet

from fleetmerge import merge
from fleetmerge.bundle import find
from fleetmerge.bundle.records import CANONICAL
from fleetmerge.errors import MergeError
from fleetmerge.excerpt.asked import asked
from fleetmerge.excerpt.frames import lay_out
from fleetmerge.excerpt.machine import MATCH, NO_MATCH, UNDECIDED, UNPARSED, judge
from fleetmerge.journey import prepare
from fleetmerge.products import ranges
from fleetmerge.products.summary import Request
from skbtrace.programs import classic, libpcap

COMMAND = Path(__file__).parents[3] / "bpftools" / "merge_captures.py"
WALL = 1_795_346_870_000_000_000
needs_libpcap = pytest.mark.skipif(not libpcap.is_there(), reason="there is no libpcap")


def recorded(given: list[packets.Packet], headers: int = 128) -> np.ndarray:
    """Return packets as the tracers record them, of each at most so many bytes."""
    out = np.zeros(len(given), CANONICAL)
    for row, one in zip(out, given, strict=True):
        layer = 2 if one.has_mac else 3
        row["packet_layer"], row["packet_len"] = layer, min(headers, len(one.memory))
        row["packet"][:row["packet_len"]] = np.frombuffer(one.memory[:row["packet_len"]], "u1")
        row["vlan_present"], row["vlan_tci"] = one.tag > 0, one.tag & 0xFFFF
        row["protocol"], row["mac_offset"] = one.ethertype, 64 if one.has_mac else 0xFFFF
        row["network_offset"] = 64 + 14 * one.has_mac
        row["data_offset"] = row["network_offset"] if one.pulled or not one.has_mac else 64
        row["len"] = len(one.memory) - (14 if one.pulled else 0)
    return out


def by_libpcap(program: classic.Program, frames: list[bytes]) -> np.ndarray:
    """Return what libpcap itself says of frames."""
    pcap = libpcap.library()
    pcap.bpf_filter.restype = ctypes.c_uint
    code = (libpcap.Instruction * len(program))(*[libpcap.Instruction(*one) for one in program])
    return np.array([pcap.bpf_filter(code, frame, len(frame), len(frame)) > 0 for frame in frames])


@needs_libpcap
def test_verdicts_are_those_of_libpcap() -> None:
    rng = random.Random(11)
    given = [packets.make(rng) for _ in range(1500)]
    given = [one for one in given if one.tag >> 16 in (0, 0x8100)]    # of another tag the protocol is not recorded
    frames = lay_out(recorded(given))
    later = np.array([one.later or bool(one.carried and one.carried.later) for one in given])
    bare = ~np.array([one.has_mac for one in given])
    long = np.array([len(one.memory) > 128 for one in given])
    tried = fitting = 0
    while tried < 60:
        try:
            program = libpcap.compile_expression(text := words.make(rng))
        except classic.ProgramError:
            continue
        tried += 1
        ours, theirs = judge(program, frames), by_libpcap(program, [one.frame for one in given])
        decided = (ours == MATCH) | (ours == NO_MATCH)
        assert ((ours == MATCH) == theirs)[decided].all(), text
        assert later[ours == UNDECIDED].all() and (bare | long)[ours == UNPARSED].all(), text
        fitting += int((ours == MATCH).sum())
    assert fitting > 1000


@needs_libpcap
@pytest.mark.parametrize(("expression", "headers", "length", "verdict"), [
    ("tcp[20] = 0", 54, 654, UNPARSED),      # it is there, and was not recorded
    ("tcp[700] = 0", 54, 654, NO_MATCH),     # it is not there
    ("tcp port 1", 54, 654, MATCH), ("tcp port 3", 54, 654, NO_MATCH)])
def test_what_was_not_recorded(expression: str, headers: int, length: int, verdict: int) -> None:
    frame = ethernet(ipv4("10.0.0.1", "10.0.0.2", tcp(1, 2, payload=600), protocol=6))[:length]
    given = packets.Packet(frame, frame, len(frame), 0, 0x0800, True, False, False, None)
    assert judge(libpcap.compile_expression(expression), lay_out(recorded([given], headers))).tolist() == [verdict]


@needs_libpcap
@pytest.mark.parametrize(("expression", "verdict"), [
    ("tcp[tcpflags] & tcp-syn != 0", MATCH), ("host 10.0.0.9", NO_MATCH), ("ip[8] < 3", UNPARSED),
    ("ether host 02:00:00:00:00:01", UNPARSED)])
def test_of_headers_that_the_tracer_made_up_only_what_is_true_counts(expression: str, verdict: int) -> None:
    packet = ipv4("10.0.0.1", "10.0.0.2", tcp(1, 2, flags=2), protocol=6, ttl=0)
    given = packets.Packet(packet, packet, len(packet), 0, 0x0800, False, False, False, None)
    assert judge(libpcap.compile_expression(expression), lay_out(recorded([given]))).tolist() == [verdict]


@pytest.mark.parametrize(("question", "sentence"), [
    ((None, "yesterday", None), "--after is 'yesterday': it must be a time as timeline.log has it, "),
    ((None, None, "2026-11-22T11:27:51"), "--before is '2026-11-22T11:27:51': it must be a time"),
    ((None, None, "2026-02-30T11:27:51Z"), "--before is '2026-02-30T11:27:51Z': it must be a time"),
    ((None, "+5", "+4.5"), "--before is +4.5, which is not later than --after, +5: nothing lies between them"),
    pytest.param(("tcp prot 80", None, None), "--filter is 'tcp prot 80': ", marks=needs_libpcap),
    pytest.param(("len > 100", None, None), "--filter is 'len > 100': it asks for the packet's length",
                 marks=needs_libpcap),
    (("", None, None), "--filter is '': it must be an expression as tcpdump takes it")])
def test_refused_in_one_sentence(question: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(MergeError) as refusal:
        asked(*question)
    assert str(refusal.value).startswith(sentence) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(("given", "ns"), [
    ("2026-11-22T11:27:51.25Z", WALL + 1_250_000_000), ("2026-11-22 12:27:51+01:00", WALL + 1_000_000_000),
    ("2026-11-22T11:27:50.123456789Z", WALL + 123_456_789), ("+0.5", WALL + 500_000_000)])
def test_times(given: str, ns: int) -> None:
    question = asked(None, given, None)
    assert question and question.bounds(WALL)[0] == ns


def run(*arguments: Any, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, COMMAND, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done


NAT = "203.0.113.5"


def masqueraded() -> Fleet:
    """hv-a gives what A sends to port 443 another source; every tenth of these is lost on the wire."""
    fleet = Fleet()
    fleet.talk()
    for number in range(40):
        second = 1 + 0.1 * number
        before, after = (ethernet(ipv4(source, "192.168.32.20", udp(40000, 443, 64), ident=number + 1))
                         for source in ("192.168.32.10", NAT))
        skb = {"skb": 0xFFFF888500000000 + 256 * number, "head": 0xFFFF889500000000 + 4096 * number}
        fleet.a.event(second, "dev.rx", 3, before, **skb)
        fleet.a.event(second + 8e-6, "dev.tx", 2, after, **skb)
        if number % 10 != 5:
            fleet.into(fleet.b, second + 58e-6, after)
    return fleet


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = masqueraded().write(tmp_path_factory.mktemp("captures"))
    run("--quiet", where)
    return where


def files(where: Path) -> dict[str, bytes]:
    return {str(path.relative_to(where)): path.read_bytes() for path in where.rglob("*") if path.is_file()}


def part(where: Path, *question: str | None) -> tuple[Path, dict[str, Any]]:
    """Merge a part: expression, after, before."""
    found, excerpt = find.find([str(where)], None), asked(*question)
    assert excerpt
    found.output, found.whole_run = excerpt.directory(found.output), False
    return Path(found.output), merge.merge(Request(found, excerpt=excerpt))


@needs_libpcap
def test_a_part_is_whole_journeys_and_leaves_the_run_as_it_is(captured: Path) -> None:
    before = files(captured)
    directory = Path(run("--quiet", "--filter", "src host %s" % NAT, captured).stdout.strip())
    summary = json.loads((directory / "summary.json").read_text())
    assert directory.parent == captured / "excerpts"
    assert {name: text for name, text in files(captured).items() if not name.startswith("excerpts/")} == before
    assert (captured.parent / "latest").resolve() == captured
    assert all(path.stat().st_mode & 0o77 == 0 for path in [*captured.glob("excerpts/**/*"), captured / "excerpts"])
    whole = json.loads(before["summary.json"])
    mine = [flow for flow in whole["flows"] if "192.168.32.10" in flow["key"]]
    assert summary["flows"] == mine and mine[0]["vanished"] == 4 and mine[0]["arrived"] == 36
    assert summary["losses"] == [loss for loss in whole["losses"] if loss["flow"] == mine[0]["key"]]
    assert summary["records"] == 40 * 2 + 36 * 2    # what A sent, under the name that does not fit, among them
    assert summary["excerpt"] == {"filter": "src host %s" % NAT, "after": None, "before": None, "packets_of_run": 240,
                                  "records_of_run": whole["records"], "records_not_judged": 0}
    assert summary["verdict"][0] == ('This speaks of a part of the run, 40 of its 240 packets: those of which a record '
                                     'fits the filter "src host %s".' % NAT)
    lines = (directory / "timeline.log").read_text().splitlines()
    assert len(lines) == summary["records"] and lines == [
        line for line in before["timeline.log"].decode().splitlines() if ":443 " in line]
    journeys, places = (duckdb.sql("SELECT count(*), count(journey) FROM '%s'" % (directory / name)).fetchall()
                        for name in ("journeys.parquet", "events.parquet"))
    assert journeys == [(40, 40)] and places == [(152, 152)]


def test_times_choose_packets_by_the_common_clock_and_cut_none(captured: Path) -> None:
    whole = json.loads((captured / "summary.json").read_text())
    # between the two records that hv-a made of a packet that was lost
    directory, first = part(captured, None, None, "2026-11-22T11:27:52.500004Z")
    _, second = part(captured, None, "+2.500004", None)
    assert first["lost"] + second["lost"] == whole["lost"] + 1 == 5    # that one is in both
    assert {loss["certainty"] for loss in first["losses"] + second["losses"]} == {"certain"}
    # it is there with all that was seen of it
    assert duckdb.sql("SELECT count(*) FROM '%s' WHERE epoch_ns(time) >= %d" % (
        directory / "events.parquet", WALL + 2_500_004_000)).fetchall() == [(1,)]
    assert first["verdict"][0].endswith("of which a record was made before 2026-11-22T11:27:52.500004Z.")


def test_a_part_without_packets(captured: Path) -> None:
    _, summary = part(captured, None, "2026-11-23T00:00:00Z", None)
    assert (summary["result"], summary["records"], summary["packets"]) == ("nothing matched", 0, 0)
    assert summary["verdict"][0].startswith("This speaks of a part of the run, 0 of its 240 packets")


@needs_libpcap
def test_what_is_refused_leaves_nothing(captured: Path) -> None:
    before = files(captured)
    done = run("--filter", "tcp prot 80", captured, status=2)
    assert done.stderr.startswith("error: --filter is 'tcp prot 80': ") and done.stderr.count("\n") == 1
    done = run("--after", "+2", "--before", "2026-11-22T11:27:51Z", captured, status=1)    # the window has to be known
    assert "which is not later than --after, +2" in done.stderr
    assert files(captured) == before


def test_in_parts_as_at_once(captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shared out to many parts is put together to the same."""
    where = masqueraded().write(tmp_path)
    monkeypatch.setattr(prepare, "PART_UNITS", 50)
    monkeypatch.setattr(ranges, "RANGE_RECORDS", 100)
    question = asked(None, "+2", "+4")
    found = find.find([str(where)], str(tmp_path / "out"))
    summary = merge.merge(Request(found, excerpt=question))
    _, other = part(captured, None, "+2", "+4")
    for name in ("records", "packets", "lost", "flows", "losses", "became", "seen"):
        assert summary[name] == other[name], name
