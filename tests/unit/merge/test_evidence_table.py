# SPDX-License-Identifier: Apache-2.0
"""evidence.parquet: what hosts read, a value in each row."""
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.bundles import NETNS
from support.fleet import Fleet, add_evidence, merged, talking
from support.readme import sql

STATISTICS = "/proc/net/netstat"


def namespace(overflows: int, drops: int) -> dict[str, Any]:
    lines = ["TcpExt: SyncookiesSent ListenOverflows", "TcpExt: 0 %d" % overflows, "IpExt: InOctets", "IpExt: 700"]
    return {"statistics-more": {"value": {STATISTICS: lines}, "seconds": 0.0},
            "qdiscs": {"value": [{"kind": "tbf", "dev": "eth0", "drops": drops, "options": {"rate": 250000}}],
                       "seconds": 0.1},
            "nftables": {"why": "nft is not installed"}}


def content(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    host = {"softnet": {"value": {"/proc/net/softnet_stat": ["0000002a 00000000"]}, "seconds": 0.0}}
    return {"format": "skbfleet-evidence/1", **{when: {
        "began_ns": 1, "ended_ns": 2, "host": host, "namespaces": {str(NETNS): one}}
        for when, one in (("before", before), ("after", after))}, **more}


def looks(fleet: Fleet) -> dict[str, Any]:
    task = {"tid": 2212, "comm": "CPU 0/KVM", "vhost": False, "states": "RS", "ran": [5, 9], "waited": [0, 3]}
    return {"times": [fleet.b.monotonic(1.0), fleet.b.monotonic(1.5)], "cpus": {"1": [[100, 0, 2], [150, 7, 2]]},
            "holders": [{"pid": 2211, "comm": "qemu-kvm", "taps": [], "sockets": [], "tasks": [task]}],
            "memory_us": [0, 40], "left_out": 0, "unread": 0, "whole": True, "everybody": True}


def asked(run: Path, query: str) -> list[tuple[Any, ...]]:
    return duckdb.sql(query.replace("EVIDENCE", "'%s'" % (run / "evidence.parquet"))).fetchall()


def made(tmp_path: Path, damage: bytes = b"") -> tuple[Path, dict[str, Any]]:
    fleet = talking()
    run = fleet.write(tmp_path)
    add_evidence(run, "hv-b", content(namespace(3, 10), namespace(32, 14), during=looks(fleet)), damage)
    return run, merged(run)


def test_a_value_in_each_row(tmp_path: Path) -> None:
    run, _ = made(tmp_path)
    assert asked(run, "SELECT host, moment, reading, item, value, number FROM EVIDENCE WHERE netns IS NOT NULL AND "
                      "moment = 'before' ORDER BY reading, item") == [
        ("hv-b", "before", "qdiscs", "0:eth0.dev", "eth0", None),
        ("hv-b", "before", "qdiscs", "0:eth0.drops", "10", 10.0),
        ("hv-b", "before", "qdiscs", "0:eth0.kind", "tbf", None),
        ("hv-b", "before", "qdiscs", "0:eth0.options.rate", "250000", 250000.0),
        ("hv-b", "before", "statistics-more", "IpExt.InOctets", "700", 700.0),
        ("hv-b", "before", "statistics-more", "TcpExt.ListenOverflows", "3", 3.0),
        ("hv-b", "before", "statistics-more", "TcpExt.SyncookiesSent", "0", 0.0)]
    assert asked(run, "SELECT item, value FROM EVIDENCE WHERE netns IS NULL AND moment = 'after'") == [
        ("/proc/net/softnet_stat.0", "0000002a 00000000")]


def test_what_was_seen_meanwhile(tmp_path: Path) -> None:
    run, summary = made(tmp_path)
    assert asked(run, "SELECT item, list(value ORDER BY time) FROM EVIDENCE WHERE moment = 'during' "
                      "GROUP BY item ORDER BY item") == [
        ("1.softirq", ["2", "2"]), ("1.steal", ["0", "7"]), ("1.total", ["100", "150"]),
        ("2211.2212.CPU 0/KVM.ran_ns", ["5", "9"]), ("2211.2212.CPU 0/KVM.state", ["R", "S"]),
        ("2211.2212.CPU 0/KVM.waited_ns", ["0", "3"]), ("stalled_us", ["0", "40"])]
    ((first, last, opened),) = asked(run, "SELECT epoch_ns(min(time)), epoch_ns(max(time)), epoch_ns(TIMESTAMPTZ '%s') "
                                          "FROM EVIDENCE" % summary["window"]["start"])
    assert [round((when - opened) / 1e6) for when in (first, last)] == [1000, 1500]


def test_which_counters_rose(tmp_path: Path) -> None:
    """The query of the README, as it stands there."""
    run, _ = made(tmp_path)
    assert asked(run, "SELECT host, reading, item, rose FROM (%s)" % sql("evidence.parquet", run)) == [
        ("hv-b", "statistics-more", "TcpExt.ListenOverflows", 29.0), ("hv-b", "qdiscs", "0:eth0.drops", 4.0)]


def test_evidence_that_cannot_be_used(tmp_path: Path) -> None:
    run, summary = made(tmp_path, damage=b" ")
    assert asked(run, "SELECT count(*) FROM EVIDENCE") == [(0,)]
    assert any("evidence.json does not have the checksum" in doubt for doubt in summary["doubts"])


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    run, _ = made(tmp_path)
    assert (run / "evidence.parquet").stat().st_mode & 0o777 == 0o600


def nested(levels: int, name: str, value: Any) -> Any:
    for _ in range(levels):
        value = {name: value}
    return value


@pytest.mark.parametrize(("entries", "items", "values"), [
    ({"qdiscs": nested(400, "k", 1)}, {".".join("k" * 32)}, {"…"}),
    ({"qdiscs": nested(20, "k" * 4000, [7] * 1000)}, {"k" * 499 + "…"}, {"7"}),
    ({"statistics": {"": ["", "", "Ip: a", "", "Udp: b", "Udp: \u0663"]}}, {"Udp.b"}, {"\u0663"}),
    ({"qdiscs": "\ud800\x1b[2J"}, {""}, {"__[2J"})])
def test_what_no_command_prints(tmp_path: Path, entries: dict[str, Any], items: set[str], values: set[str]) -> None:
    """Levels without end, names of which together no memory has room, lines without their names, control sequences."""
    run = talking().write(tmp_path)
    space = {name: {"value": value, "seconds": 0.0} for name, value in entries.items()}
    add_evidence(run, "hv-b", content(space, {}))
    merged(run)
    found = asked(run, "SELECT DISTINCT item, value FROM EVIDENCE WHERE netns IS NOT NULL")
    assert ({item for item, _ in found}, {value for _, value in found}) == (items, values)


def test_a_network_namespace_that_is_no_number(tmp_path: Path) -> None:
    run = talking().write(tmp_path)
    given = content(namespace(3, 10), namespace(32, 14))
    for when in ("before", "after"):
        given[when]["namespaces"]["\u00b2"] = namespace(1, 1)
    add_evidence(run, "hv-b", given)
    merged(run)
    assert asked(run, "SELECT count(DISTINCT netns) FROM EVIDENCE") == [(1,)]
