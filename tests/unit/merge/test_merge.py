# SPDX-License-Identifier: Apache-2.0
"""Bundles in, products out: what they say, and what they say when something is wrong."""
import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import duckdb
import pytest
from support.bundles import RUN_ID, Bundle, ethernet, ipv4, tcp, udp

from skbtrace.capture import record

COMMAND = os.path.join(os.path.dirname(__file__), "..", "..", "..", "bpftools", "merge_captures.py")
FLOW = "192.168.32.10:40112 > 192.168.32.20:443 tcp"
LOCATION = 0xFFFFFFFF81A01234
PRODUCTS = ["capture.pcapng", "events.parquet", "evidence.parquet", "journeys.parquet", "journeys.perfetto-trace",
            "report.html", "summary.json", "timeline.log", "verdict.txt"]


def segment(number: int) -> bytes:
    return ethernet(ipv4("192.168.32.10", "192.168.32.20", tcp(40112, 443, seq=number), protocol=6, ident=number))


def host_a() -> Bundle:
    bundle = Bundle("hv-a")
    bundle.device(2, "eth0", "phy")
    bundle.device(3, "vnet0", "vnet")
    for number in range(20):
        bundle.event(0.1 * number, "dev.rx", 3, segment(number))
        bundle.event(0.1 * number + 1e-5, "dev.tx", 2, segment(number))
    return bundle


def host_b(tracer: str = "drop_monitor", dropped: int = 7, counter: int = 7) -> Bundle:
    bundle = Bundle("hv-b", tracer, boot=77.0)
    bundle.device(3, "vnet0", "vnet", rose={"tx_dropped": counter, "tx_packets": 900})
    bundle.symbol(LOCATION, "tun_net_xmit+0x1a2 [tun]")
    bundle.stack(4, [LOCATION, bundle.symbol(LOCATION + 64, "dev_hard_start_xmit+0x9e")])
    for number in range(dropped):
        bundle.event(0.1 * number + 1e-4, "skb.drop", 3, segment(number), reason=77, location=LOCATION, stack_id=4)
    return bundle


def run(*arguments: Any, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, COMMAND, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done


def merged(run_directory: Any, *arguments: Any) -> dict[str, Any]:
    run("--quiet", *arguments, run_directory)
    return json.loads((run_directory / "summary.json").read_text())


@pytest.fixture
def where(tmp_path: Any) -> Any:
    return tmp_path / "captures" / RUN_ID


def test_the_whole_way(where: Any) -> None:
    host_a().write(where)
    host_b().write(where)
    done = run(where)
    summary = json.loads((where / "summary.json").read_text())
    assert summary["verdict"][:2] == [
        "Of 20 packets in 1 flow, 7 were lost.",
        "7 packets were dropped on hv-b at vnet0 in tun_net_xmit (FULL_RING); the device's own tx_dropped counter rose "
        "by 7. They were of the flow %s, from 2026-11-22T11:27:50.000100Z to 2026-11-22T11:27:50.600100Z. Usually: the "
        "VM did not take packets from its tap as fast as they came: the tap's ring was full. Causes: a VM without CPU "
        "time, a vhost thread that waits for a CPU, bursts longer than the ring. Look at: CPU steal and load of the "
        "VM, its virtio queue size and number of queues, vhost threads pinned to busy CPUs." % FLOW]
    assert summary["verdict"][1] in done.stdout
    assert "13 packets left the hosts that were traced; what became of them was not seen." in summary["doubts"]
    assert done.stdout.startswith((where / "verdict.txt").read_text())
    assert summary["hosts"]["hv-a"]["status"] == summary["hosts"]["hv-b"]["status"] == "complete"
    loss = summary["losses"][0]
    assert loss["journeys"] and loss["grounds"] and not loss["missing_grounds"]
    assert loss == loss | {
        "kind": "drop", "flow": FLOW, "packets": 7, "wire_packets": 7, "bytes": 7 * 40,
        "certainty": "certain",
        "why": "the kernel freed the packet as a drop", "host": "hv-b", "netns": "hv-b", "device": "vnet0",
        "point": "skb.drop", "function": "tun_net_xmit", "at": "tun_net_xmit+0x1a2 [tun]", "reason": "FULL_RING",
        "stack": ["tun_net_xmit+0x1a2 [tun]", "dev_hard_start_xmit+0x9e"],
        "first": "2026-11-22T11:27:50.000100Z", "last": "2026-11-22T11:27:50.600100Z"}
    assert summary["flows"][0]["key"] == FLOW
    assert (summary["flows"][0]["packets"], summary["flows"][0]["bytes"]) == (20, 20 * 40)
    assert (summary["flows"][0]["dropped"], summary["flows"][0]["left"]) == (7, 13)
    assert summary["window"] == {"start": "2026-11-22T11:27:50.000000Z", "end": "2026-11-22T11:28:00.000000Z",
                                 "seconds": 10.0}
    for name in PRODUCTS:
        assert (where / name).stat().st_mode & 0o777 == 0o600
    assert os.readlink(where.parent / "latest") == RUN_ID
    assert sorted(os.listdir(where)) == sorted(["hosts", *PRODUCTS])


def test_timeline_is_one_log_in_order(where: Any) -> None:
    host_a().write(where)
    host_b().write(where)
    merged(where)
    lines = (where / "timeline.log").read_text().splitlines()
    heads = [line for line in lines if not line.startswith("    ")]
    assert len(heads) == 47
    assert heads == sorted(heads)
    assert [line.split()[1:4] for line in heads[:3]] == [
        ["hv-a", "dev.rx", "vnet0"], ["hv-a", "dev.tx", "eth0"], ["hv-b", "skb.drop", "vnet0"]]
    assert lines[3:5] == ["    tun_net_xmit+0x1a2 [tun]", "    dev_hard_start_xmit+0x9e"]


def test_events_hold_every_record(where: Any) -> None:
    host_a().write(where)
    host_b().write(where)
    merged(where)
    table = duckdb.sql("SELECT host, point, device, count(*), min(seq), max(seq), any_value(reason) "
                       "FROM '%s' GROUP BY ALL ORDER BY ALL" % (where / "events.parquet")).fetchall()
    assert table == [("hv-a", "dev.rx", "vnet0", 20, 0, 19, None), ("hv-a", "dev.tx", "eth0", 20, 0, 19, None),
                     ("hv-b", "skb.drop", "vnet0", 7, 0, 6, "FULL_RING")]


def test_merging_twice_gives_the_same(where: Any) -> None:
    host_a().write(where)
    host_b().write(where)
    sums = []
    for _ in range(2):
        merged(where)
        sums.append([hashlib.sha256((where / name).read_bytes()).hexdigest()
                     for name in ("timeline.log", "summary.json", "verdict.txt")])
    assert sums[0] == sums[1]


def test_a_drop_seen_by_both_tracers_counts_once(where: Any) -> None:
    host_b().write(where)
    host_b("datapath_tracing").write(where)
    summary = merged(where)
    assert [loss["packets"] for loss in summary["losses"]] == [7]
    assert [(row["point"], row["packets"]) for row in summary["seen"]] == [("skb.drop", 7)]


def test_counter_that_disagrees_is_told_as_it_is(where: Any) -> None:
    host_b(dropped=1, counter=9).write(where)
    summary = merged(where)
    assert summary["verdict"][1].startswith(
        "1 packet was dropped on hv-b at vnet0 in tun_net_xmit (FULL_RING); the device's own tx_dropped counter rose "
        "by 9. It was of the flow %s, at 2026-11-22T11:27:50.000100Z." % FLOW)


def test_counter_without_a_drop_is_named(where: Any) -> None:
    bundle = host_a()
    bundle.device(4, "eth1", "phy", rose={"rx_dropped": 3, "rx_packets": 5})
    bundle.write(where)
    summary = merged(where)
    assert summary["verdict"][0] == "No packet was lost."
    assert summary["verdict"][-1] == (
        "The own counters of eth1 on hv-a rose (rx_dropped by 3), but no drop of a matching packet was recorded there: "
        "other traffic, or losses inside the device.")


def doubts(where: Any, *arguments: Any) -> str:
    return "\n".join(merged(where, *arguments)["doubts"])


def test_missing_hosts_are_named(where: Any, tmp_path: Any) -> None:
    host_a().write(where)
    expect = tmp_path / "expect.json"
    expect.write_text(json.dumps({"hv-a": {"tracers": ["datapath_tracing", "drop_monitor"]},
                                  "hv-c": {"tracers": ["drop_monitor"], "why": "it could not be reached"}}))
    summary = merged(where, "--expect", expect, "--expect-host", "hv-d")
    assert {name: host["status"] for name, host in summary["hosts"].items()} == {
        "hv-a": "partial", "hv-c": "missing", "hv-d": "missing"}
    text = "\n".join(summary["doubts"])
    assert "The data of hv-a is partial: nothing came from its drop_monitor." in text
    assert "Nothing came from hv-c: it could not be reached." in text
    assert "Nothing came from hv-d: no bundle came from it." in text
    assert summary["verdict"][0] == ("No packet was lost as far as can be seen, but records are missing from hv-a and "
                                     "nothing came from hv-c, hv-d.")


def test_what_the_role_wrote_down_is_used(where: Any) -> None:
    host_a().write(where)
    (where / "outcome.json").write_text(json.dumps({
        "run_id": RUN_ID, "reproduce": {"command": "false", "exit_status": 1},
        "hosts": {"hv-a": {"status": "complete", "why": "", "tracers": {"datapath_tracing": {"records": 40}}},
                  "hv-q": {"status": "missing", "why": "no bcc there", "tracers": {}}}}))
    summary = merged(where)
    assert summary["reproduce"] == {"command": "false", "status": 1}
    assert {name: host["why"] for name, host in summary["hosts"].items()} == {"hv-a": "", "hv-q": "no bcc there"}


def test_everything_that_limits_trust_is_said(where: Any) -> None:
    bundle = host_a()
    bundle.manifest["counters"].update(lost=12, unparsed=3, stacks_lost=2, forgotten=4)
    bundle.manifest["points"]["skipped"] = {"ovs.upcall": "no such tracepoint"}
    bundle.manifest["window"]["late_by_ns"] = 800_000_000
    bundle.manifest["window"]["ended_ns"] -= 2_000_000_000
    bundle.manifest.update(status="partial", why="disk full", ended_by="limit")
    bundle.manifest["limits"] = [{"limit": "max_records", "value": 40, "what": "later records were cut"}]
    bundle.write(where)
    empty = Bundle("hv-z", points=["dev.rx"])
    empty.write(where)
    text = doubts(where)
    for words in ("The data of hv-a is partial: datapath_tracing: the tracer says so: disk full.",
                  "hv-a lost 12 records of its datapath_tracing (40 were kept): its counts are minima.",
                  "4 packets on hv-a were not followed any further by its datapath_tracing,",
                  "hv-a could not look at ovs.upcall: no such tracepoint.", "hv-a began 0.800 s late",
                  "hv-a stopped 2.000 s before the end of the window (limit)",
                  "The datapath_tracing on hv-a hit its limit max_records = 40: later records were cut.",
                  "3 packets on hv-a could not be parsed", "2 stacks could not be kept on hv-a",
                  "No packet that matches the filter was seen on hv-z.",      # it did not look at dev.tx
                  "No tracer looked at drops (skb.drop) on hv-z.",
                  "bound the clock of hv-z: the order of events"):
        assert words in text


def test_reproduce_status_is_recorded(where: Any) -> None:
    host_a().write(where)
    summary = merged(where, "--reproduce-command", "curl -k https://192.168.32.20", "--reproduce-status", 7)
    assert summary["reproduce"] == {"command": "curl -k https://192.168.32.20", "status": 7}
    assert "ended with status 7" in "\n".join(summary["doubts"])
    assert "curl -k https://192.168.32.20" in (where / "verdict.txt").read_text()


def test_the_case_is_named_as_it_names_itself(where: Any) -> None:
    host_a().write(where)
    case = {"title": "Pings <b>get\x1b[2J lost", "ticket": "NET-17", "more": "x"}
    (where / "outcome.json").write_text(json.dumps({"hosts": {"hv-a": {}}, "case": case}))
    summary = merged(where)
    assert summary["case"] == {"title": "Pings <b>get_[2J lost", "ticket": "NET-17", "author": ""}
    assert (where / "verdict.txt").read_text().splitlines()[1] == "case     NET-17: Pings <b>get_[2J lost"
    page = (where / "report.html").read_text()
    assert "NET-17: Pings &lt;b&gt;get_[2J lost" in page


@pytest.mark.parametrize("damage", ["cut", "flipped", "no records", "no manifest"])
def test_a_damaged_bundle_costs_its_own_data_only(where: Any, damage: str) -> None:
    host_a().write(where)
    directory = host_b().write(where)
    records = os.path.join(directory, "records.bin")
    if damage == "cut":
        os.truncate(records, 3 * record.STRIDE + 5)
    elif damage == "flipped":
        with open(records, "r+b") as handle:
            handle.seek(500)
            handle.write(b"\x55\xaa")
    else:
        os.unlink(records if damage == "no records" else os.path.join(directory, "manifest.json"))
    summary = merged(where)
    assert summary["hosts"]["hv-a"]["status"] == "complete"
    assert summary["hosts"]["hv-b"]["status"] == ("partial" if damage == "cut" else "missing")
    assert summary["drops"] == (3 if damage == "cut" else 0)
    wanted = {"cut": "records.bin is cut off: 3 of 7 records are there", "flipped": "does not have the checksum",
              "no records": "it has no records.bin", "no manifest": "it has no manifest.json"}[damage]
    assert wanted in "\n".join(summary["doubts"])


def refused(*arguments: Any, status: int = 2) -> str:
    done = run(*arguments, status=status)
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_refusals(where: Any, tmp_path: Any) -> None:
    assert "does not exist" in refused(tmp_path / "nothing")
    assert "neither a run's directory" in refused(tmp_path)
    directory = host_b().write(where)
    assert "--output is missing" in refused(directory)
    assert "--output is missing" in refused(directory, directory)
    twin = host_b().write(tmp_path / "twin")
    assert "two bundles of the drop_monitor on hv-b" in refused(directory, twin, "--output", tmp_path / "out")
    other = Bundle("hv-c", run_id="another-run").write(tmp_path / "other")
    assert "different runs (%s, another-run)" % RUN_ID in refused(directory, other, "--output", tmp_path / "out")
    assert "cannot be read" in refused(where, "--expect", tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"hv-a": 5}')
    assert "host hv-a must be" in refused(where, "--expect", tmp_path / "bad.json")
    assert not (tmp_path / "out").exists()
    assert os.listdir(where) == ["hosts"]
    os.truncate(os.path.join(directory, "manifest.json"), 20)
    assert "not JSON" in refused(where)


def test_the_only_bundle_is_damaged(where: Any) -> None:
    directory = host_b().write(where)
    with open(os.path.join(directory, "records.bin"), "r+b") as handle:
        handle.write(b"12345678901234567890")
    assert "does not have the checksum" in refused(where, status=1)
    assert os.listdir(where) == ["hosts"]


def test_a_stray_bundle_of_another_run_is_left_out(where: Any) -> None:
    host_a().write(where)
    stray = Bundle("hv-c", run_id="another-run")
    stray.event(0, "dev.rx", 0, segment(1))
    stray.write(where)
    assert "it is of run another-run, not of %s" % RUN_ID in doubts(where)


def test_single_bundles_with_output(where: Any, tmp_path: Any) -> None:
    one, two = host_a().write(where), host_b().write(where)
    run("--output", tmp_path / "out" / "merged", one, two)
    assert json.loads((tmp_path / "out" / "merged" / "summary.json").read_text())["drops"] == 7
    assert sorted(os.listdir(tmp_path / "out")) == ["merged"]


def test_check_writes_nothing(where: Any) -> None:
    host_a().write(where)
    assert run("--check", where).stdout.startswith("1 bundles of run %s can be merged" % RUN_ID)
    assert os.listdir(where) == ["hosts"]


def test_latest_moves_on_and_spares_what_is_no_link(where: Any) -> None:
    host_a().write(where)
    os.symlink("an-older-run", where.parent / "latest")
    merged(where)
    assert os.readlink(where.parent / "latest") == RUN_ID
    os.unlink(where.parent / "latest")
    (where.parent / "latest").mkdir()
    merged(where)
    assert (where.parent / "latest").is_dir() and not (where.parent / "latest").is_symlink()


def test_no_record_at_all(where: Any) -> None:
    Bundle("hv-a").write(where)
    Bundle("hv-b").write(where)
    summary = merged(where)
    assert summary["verdict"] == ["No packet that matches the filter was seen on any host."]
    assert (where / "timeline.log").read_text() == ""
    assert duckdb.sql("SELECT count(*) FROM '%s'" % (where / "events.parquet")).fetchall() == [(0,)]


def test_arp_and_other_packets_have_flows(where: Any) -> None:
    bundle = Bundle("hv-a")
    bundle.event(0, "dev.rx", 0, ethernet(bytes(40), 0x88CC))
    bundle.event(1, "dev.rx", 0, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2))))
    bundle.write(where)
    summary = merged(where)
    assert [flow["key"] for flow in summary["flows"]] == ["10.0.0.1:1 > 10.0.0.2:2 udp"]
    assert [flow["key"] for flow in summary["flows_not_followed"]] == ["ethertype 0x88cc"]
