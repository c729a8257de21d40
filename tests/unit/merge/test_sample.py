# SPDX-License-Identifier: Apache-2.0
"""Of a run of which one packet in N was taken: what was taken is followed as ever, and the rest is estimated."""
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.bundles import ethernet, ipv4, tcp, udp
from support.fleet import A, B, Fleet, flow, losses, merged, talking, udp_packet
from support.sampling import takes, thin

from fleetmerge.findings.estimate import estimate
from fleetmerge.journey.sampled import clusters
from fleetmerge.packet.identity import IS_OTHER, IS_TCP, ROW
from fleetmerge.packet.sample import Sample, draws

WIRE = [{"host": "hv-a", "device": "eth0", "point": "dev.tx"}, {"host": "hv-b", "device": "eth0", "point": "dev.rx"}]
SENT, ONE_IN = 4000, 10
LEVELS = ("certain", "likely", "unknown")


def thinned(fleet: Fleet, directory: Any, one_in: int = ONE_IN) -> dict[str, Any]:
    """Return the summary of a fleet of which a sample was taken."""
    thin(fleet.a, one_in)
    thin(fleet.b, one_in)
    return fleet.merge(directory)


def busy(**how: Callable[[int], bool]) -> Fleet:
    fleet = talking()
    for number in range(SENT):
        fleet.send(1 + 0.002 * number, udp_packet(number), **{name: test(number) for name, test in how.items()})
    return fleet


def is_within(entry: dict[str, int], truth: int) -> bool:
    return entry["low"] <= truth <= entry["high"]


def test_lost_on_the_wire(tmp_path: Any) -> None:
    lost = [number for number in range(SENT) if number % 7 == 3]
    summary = thinned(busy(lose=lambda number: number % 7 == 3), tmp_path)
    frames = [udp_packet(number) for number in range(SENT)]
    taken = takes(frames, one_in=ONE_IN, salt=1)
    assert losses(summary) == [("vanished", taken[lost].sum(), WIRE)]
    assert [losses(summary, level) for level in LEVELS[1:]] == [[], []]
    assert (flow(summary)["packets"], flow(summary)["vanished"]) == (taken.sum(), taken[lost].sum())
    sample = summary["sample"]
    assert (sample["one_in"], sample["drops"], sample["dropped_beside"]) == (ONE_IN, "all", 0)
    assert sample["lost"]["taken"] == taken[lost].sum()
    assert is_within(sample["packets"], SENT + 200)
    assert is_within(sample["lost"], len(lost))
    first = summary["verdict"][0]
    assert first.startswith("One packet in 10 was taken, the same ones on all hosts, and every drop: counts are of "
                            "those. About %d (95 %%: " % (10 * sample["packets"]["taken"]))
    assert "about %d (95 %%: %d to %d) vanished" % (
        10 * taken[lost].sum(), sample["lost"]["low"], sample["lost"]["high"]) in first
    assert not any("do not agree" in doubt for doubt in summary["doubts"])


def test_all_drops_are_counted(tmp_path: Any) -> None:
    """Those of packets that were not taken may have been of copies: they are probable losses."""
    dropped = [number for number in range(SENT) if number % 10 == 3]
    summary = thinned(busy(drop=lambda number: number % 10 == 3), tmp_path)
    taken = takes([udp_packet(number) for number in range(SENT)], one_in=ONE_IN, salt=1)
    followed = int(taken[dropped].sum())
    assert losses(summary) == [("drop", followed, "tun_net_xmit")]
    assert losses(summary, "likely") == [("drop", len(dropped) - followed, "tun_net_xmit")]
    assert losses(summary, "unknown") == []
    assert (summary["drops"], summary["sample"]["dropped_beside"]) == (len(dropped), len(dropped) - followed)
    assert is_within(summary["sample"]["packets"], SENT + 200)
    assert summary["verdict"][0].endswith("%d were dropped, which is a count of all." % len(dropped))
    assert "none of those taken vanished" in summary["verdict"][0]
    assert not any("do not agree" in doubt for doubt in summary["doubts"])


def test_nothing_lost(tmp_path: Any) -> None:
    summary = thinned(busy(), tmp_path)
    assert summary["losses"] == []
    assert summary["verdict"][0].endswith("and none was dropped.")
    assert summary["verdict"][1] == "No packet that was taken was lost."


def segment(begin: int, size: int, ident: int) -> bytes:
    return ethernet(ipv4(A, B, tcp(40000, 443, seq=begin, ack=1, payload=0), protocol=6, ident=ident,
                         length=40 + size))


def test_large_segments_that_are_cut(tmp_path: Any) -> None:
    """In one place 64 KiB at once, in the next 1448: what is of blocks that were not taken is no loss."""
    fleet = talking()
    lost = 0
    for number in range(300):
        begin, second = 1 + number * 44 * 1448, 1 + 0.02 * number
        size = 44 * 1448
        fleet.out(fleet.a, second, segment(begin, size, 50 * number), length=54 + size, gso_size=1448, gso_segs=44)
        for piece in range(44):
            if number % 5 == 2 and 20 <= piece < 24:
                lost += 1
                continue
            fleet.into(fleet.b, second + 6e-5 + piece * 1e-6, segment(begin + piece * 1448, 1448, 50 * number + piece),
                       length=54 + 1448)
    summary = thinned(fleet, tmp_path)
    (loss,) = [loss for loss in summary["losses"] if loss["certainty"] == "certain"]
    assert (loss["kind"], loss["between"]) == ("vanished", WIRE)
    assert 0 < loss["wire_packets"] < lost / 2
    assert is_within(summary["sample"]["lost"], lost)
    assert is_within(summary["sample"]["packets"], 300 * 44 + 200)
    assert [losses(summary, level) for level in LEVELS[1:]] == [[], []]
    assert flow(summary, A + ":40000 > " + B + ":443")["retransmitted"] == 0


def test_hosts_that_took_other_shares_are_not_compared(tmp_path: Any) -> None:
    fleet = busy(lose=lambda number: number % 7 == 3)
    thin(fleet.a, 10)
    thin(fleet.b, 20)
    summary = fleet.merge(tmp_path)
    assert not losses(summary) and not losses(summary, "likely")
    assert losses(summary, "unknown")
    assert all("hv-b looked for sample=\"one packet in 20\" only" in loss["why"] for loss in summary["losses"])
    assert "sample" not in summary
    assert any("hv-a: one packet in 10, hv-b: one packet in 20): how many packets there were" in doubt
               for doubt in summary["doubts"])


def test_joined_datagrams_are_told_by_their_ids(tmp_path: Any) -> None:
    """In one place eight at once, in the next one by one; without ids nobody knows which of the eight were taken."""
    fleet = talking()
    for number in range(300):
        for ident, port in ((8 * number + 1, 6001), (0, 6002)):
            second = 1 + 0.02 * number + 0.001 * (port == 6002)

            def datagram(size: int, ident: int, port: int = port, number: int = number) -> bytes:
                return ethernet(ipv4(A, B, udp(40000, port, number.to_bytes(4, "big") + bytes(size - 4)), ident=ident))
            fleet.out(fleet.a, second, datagram(8 * 200, ident), gso_size=200, gso_segs=8, gso_type=1 << 17)
            for piece in range(8):
                fleet.into(fleet.b, second + 6e-5 + piece * 1e-6, datagram(200, ident and ident + piece))
    summary = thinned(fleet, tmp_path)
    assert summary["losses"] == []
    assert flow(summary, ":6001")["packets"] == flow(summary, ":6001")["arrived"] > 150
    assert any(doubt.startswith("4800 UDP packets were seen joined with others") for doubt in summary["doubts"])


def test_a_share_that_is_far_from_what_was_asked_is_told(tmp_path: Any) -> None:
    fleet = busy()
    run = fleet.write(tmp_path)
    path = run / "hosts" / "hv-b" / "datapath_tracing" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sample"] = {"one_in": 100, "drops": 0, "salt": 1}
    manifest["per_point"]["dev.rx"] = {"matched": 8000, "sampled_out": 8000}
    path.write_text(json.dumps(manifest))
    assert any("hv-b took 0 of 8000 sightings, where about 80 were to be expected" in doubt
               for doubt in merged(run)["doubts"])


def rows_of(seq: np.ndarray, size: np.ndarray, ack: np.ndarray, ident: np.ndarray, flags: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(seq), ROW)
    rows["kind"] = np.where(ident > 0, IS_OTHER, IS_TCP)
    rows["seq"], rows["size"], rows["flags"], rows["hash"] = seq, size, flags, ack.astype("u8") + 1
    return rows


def test_both_sides_draw_alike() -> None:
    """The merger finds out of what it has what the kernel took."""
    rng = np.random.default_rng(3)
    count = 5000
    seq, ack = (rng.integers(0, 1 << 32, count) for _ in range(2))
    size, ident = rng.choice([0, 1], count), np.where(rng.random(count) < 0.3, rng.integers(1, 1 << 16, count), 0)
    flags = rng.choice([16, 2, 17, 4, 20], count)
    frames = [ethernet(ipv4(A, B, tcp(1, 2, seq=one, ack=two, payload=three, flags=five), protocol=17 if four else 6,
                            ident=four))
              for one, two, three, four, five in zip(*(column.tolist() for column in (seq, ack, size, ident, flags)),
                                                     strict=True)]
    length = size + (flags & 2 > 0) + (flags & 1 > 0)
    draw, known = draws(rows_of(seq, size, ack, ident, flags), np.arange(count), seq, length, ident)
    assert known.all()
    for one_in, salt in ((7, 5), (1000, 1 << 61)):
        assert (Sample(one_in, False, salt).takes(draw) == takes(frames, one_in=one_in, salt=salt)).all()


def losing(name: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return which of so many packets are lost: one by one, in bursts, or as a queue does that is full now and then."""
    if name == "single":
        return rng.random(count) < 0.01
    if name == "few":
        return rng.random(count) < 0.0002
    starts = rng.random(count) < (0.0005 if name == "bursts" else 0.00005)
    length = 20 if name == "bursts" else 200
    return np.convolve(starts, np.ones(length))[:count] > 0


@pytest.mark.parametrize("traffic", ["tcp", "datagrams"])
@pytest.mark.parametrize("pattern", ["single", "few", "bursts", "outages"])
def test_the_truth_is_within_the_interval(pattern: str, traffic: str) -> None:
    """In at least 95 of 100 runs: of packets sent, and of packets lost."""
    good = {"sent": 0, "lost": 0}
    for run in range(100):
        rng = np.random.default_rng(run)
        count = 200000
        lost = losing(pattern, rng, count)
        start = int(rng.integers(0, 1 << 32))
        rows = np.zeros(count, ROW)
        rows["kind"] = IS_TCP if traffic == "tcp" else IS_OTHER
        begin = start + 1448 * np.arange(count) if traffic == "tcp" else np.zeros(count, "i8")
        ident = np.zeros(count, "u4") if traffic == "tcp" else (start + np.arange(count)) % 65535 + 1
        draw, _known = draws(rows, np.arange(count), begin, np.full(count, 1448), ident)
        taken = Sample(100, False, int(rng.integers(0, 1 << 62))).takes(draw)
        units = type("Units", (), {"draw": draw})
        for name, those in (("sent", np.ones(count, bool)), ("lost", lost)):
            at = np.flatnonzero(those & taken)
            squares, largest = clusters(units, at, np.zeros(len(at), "i8"), 1)
            known = estimate(len(at), int(squares[0]), int(largest[0]) or 45, 100)
            good[name] += is_within(known, int(those.sum()))
    assert min(good.values()) >= 95
