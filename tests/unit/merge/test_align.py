# SPDX-License-Identifier: Apache-2.0
"""Hosts on one clock: what the summary says of clocks and of the times between hosts."""
from typing import Any

import duckdb
import pytest
from support.bundles import Bundle
from support.fleet import Fleet, merged, segment, udp_packet

A_TO_B = ("hv-a eth0 dev.tx", "hv-b eth0 dev.rx")
B_TO_A = ("hv-b eth0 dev.tx", "hv-a eth0 dev.rx")


def true_offset(bundle: Bundle) -> float:
    """Return what must be added to the host's own wall clock at the window's start, in µs."""
    return -bundle.skew * 1e6


@pytest.mark.parametrize("drift", [0.0, 200e-6, -200e-6])
@pytest.mark.parametrize("skew", [0.0, 5.0, -5.0, 0.001])
def test_shifted_and_drifting_hosts(tmp_path: Any, skew: float, drift: float) -> None:
    fleet = Fleet(b={"skew": skew, "drift": drift})
    fleet.talk()
    summary = fleet.merge(tmp_path)
    clock = summary["hosts"]["hv-b"]["clock"]
    assert clock["method"] == "packets both ways"
    assert clock["bound_us"] <= 100
    assert abs(clock["offset_us"] - true_offset(fleet.b)) <= clock["bound_us"]
    for pair in (A_TO_B, B_TO_A):
        took = segment(summary, *pair)["latency_us"]
        assert took["min"] >= 0
        assert abs(took["p50"] - 50) <= took["bound"]
    assert summary["losses"] == []


@pytest.mark.parametrize("step", [-2.0, 0.3])
def test_a_step_inside_the_window_does_no_harm(tmp_path: Any, step: float) -> None:
    """The wall clock of hv-b is stepped after the window began: its last clock pair does not fit the others."""
    fleet = Fleet(b={"skew": 1.0})
    fleet.b.manifest["clock"]["pairs"][2]["realtime_ns"] += int(step * 1e9)
    fleet.talk()
    summary = fleet.merge(tmp_path)
    clock = summary["hosts"]["hv-b"]["clock"]
    assert clock["stepped_us"] == pytest.approx(step * 1e6, abs=1)
    assert abs(clock["offset_us"] - true_offset(fleet.b)) <= clock["bound_us"] <= 100
    assert segment(summary, *A_TO_B)["latency_us"]["min"] >= 0
    assert any("was stepped by" in doubt for doubt in summary["doubts"])


def test_the_timeline_is_causal(tmp_path: Any) -> None:
    fleet = Fleet(b={"skew": -3.0, "drift": 150e-6})
    fleet.talk()
    fleet.merge(tmp_path)
    events = tmp_path / fleet.a.manifest["run_id"] / "events.parquet"
    early = duckdb.sql("""SELECT count(*) FROM '%s' a JOIN '%s' b USING (flow, ip_id) WHERE a.host = 'hv-a'
        AND b.host = 'hv-b' AND a.point = 'dev.tx' AND a.device = 'eth0' AND b.point = 'dev.rx' AND b.device = 'eth0'
        AND b.time < a.time""" % (events, events)).fetchall()
    assert early == [(0,)]


def test_one_way_traffic_falls_back_to_the_wall_clocks(tmp_path: Any) -> None:
    fleet = Fleet(b={"skew": 0.0002})
    for number, host in enumerate((fleet.a, fleet.b)):
        host.manifest["clock"].update(synchronised=True, max_error_us=500 + number)
    for number in range(100):
        fleet.send(0.05 * number, udp_packet(number))
    clock = fleet.merge(tmp_path)["hosts"]["hv-b"]["clock"]
    # the packets bound it on one side only: nothing arrives before it was sent
    assert abs(clock["offset_us"] - true_offset(fleet.b)) <= clock["bound_us"]
    assert clock["bound_us"] < 1001.4


def test_one_way_traffic_and_clocks_that_nobody_keeps(tmp_path: Any) -> None:
    """hv-b's clock is behind: packets would arrive before they were sent. The order is put right, no bound claimed."""
    fleet = Fleet(b={"skew": -1.0})
    for number in range(100):
        fleet.send(0.05 * number, udp_packet(number))
    summary = fleet.merge(tmp_path)
    assert summary["hosts"]["hv-b"]["clock"]["bound_us"] is None
    assert segment(summary, *A_TO_B)["latency_us"]["min"] >= 0
    assert segment(summary, *A_TO_B)["latency_us"]["bound"] is None
    assert summary["losses"] == []
    assert any("bound the clock of hv-b" in doubt for doubt in summary["doubts"])


def test_through_a_third_host(tmp_path: Any) -> None:
    """hv-a and hv-c share no traffic, but both talk with hv-b."""
    fleet = Fleet(b={"skew": 2.0})
    fleet.talk()
    third = Bundle("hv-c", boot=9.0, skew=-4.0, drift=50e-6)
    third.device(2, "eth0", "phy")
    third.device(3, "vnet0", "vnet")
    for number in range(100):
        second = 0.05 + 0.09 * number
        there, back = (udp_packet(number, *ends) for ends in (("10.8.0.2", "10.8.0.3"), ("10.8.0.3", "10.8.0.2")))
        fleet.out(fleet.b, second, there)
        fleet.into(third, second + 60e-6, there)
        fleet.out(third, second + 1e-3, back)
        fleet.into(fleet.b, second + 1.06e-3, back)
    run = fleet.write(tmp_path)
    third.write(run)
    clocks = {name: host["clock"] for name, host in merged(run)["hosts"].items()}
    assert sum(clock["method"].startswith("reference") for clock in clocks.values()) == 1
    reference = next(host for host in (fleet.a, fleet.b, third) if clocks[host.host]["method"].startswith("reference"))
    for host in (fleet.a, fleet.b, third):
        if host is not reference:
            clock = clocks[host.host]
            assert abs(clock["offset_us"] - 1e6 * (reference.skew - host.skew)) <= clock["bound_us"] <= 250
