# SPDX-License-Identifier: Apache-2.0
"""Fields that were asked for by name: in the timeline, as columns, as changes on a host, and refused if they lie."""
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.bundles import Bundle
from support.fleet import ETH0, VNET0, Fleet, merged, segment, udp_packet

from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.errors import BundleError, MergeError
from fleetmerge.products import compare

MARK, STATE, ERROR, DEVICE = "sk_buff.mark", "sk_buff.sk->sk_state", "sk_buff.sk->sk_err", "sk_buff.dev"
FIELDS = {MARK: "unsigned", STATE: "unsigned", ERROR: "signed", DEVICE: "pointer"}
MARKED = 7


def fleet() -> Fleet:
    """40 datagrams; on hv-a the first seven get a mark between its two devices. hv-b was not asked for any field."""
    out = Fleet()
    out.a.ask_for(**FIELDS)
    out.talk()
    for number in range(40):
        second, packet = 1 + number * 1e-3, udp_packet(number)
        skb = {"skb": 0xFFFF888700000000 + 256 * number, "head": 0xFFFF888700000000 + 4096 * number}
        out.a.event(second, "dev.rx", VNET0, packet, len=len(packet) - 14, data_offset=78, network_offset=78, **skb,
                    asked={MARK: 0, ERROR: -113, DEVICE: 0xFFFF888800001000})
        out.a.event(second + 8e-6, "dev.tx", ETH0, packet, len=len(packet), **skb,
                    asked={MARK: 42 if number < MARKED else 0, STATE: 1, ERROR: -113, DEVICE: 0xFFFF888800002000})
        out.into(out.b, second + 58e-6, packet)
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    made = fleet().write(tmp_path_factory.mktemp("run"))
    return made, merged(made)


def test_changes_are_those_of_one_packet_on_one_host(run: tuple[Path, dict[str, Any]]) -> None:
    _path, summary = run
    there = segment(summary, "hv-a vnet0 dev.rx", "hv-a eth0 dev.tx")["changed"]
    assert there[MARK] == MARKED
    assert there[DEVICE] == 40
    assert STATE not in there and ERROR not in there  # what was not there before has not changed
    assert MARK not in segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["changed"]
    assert any("%s of 7 packets" % MARK in sentence for sentence in summary["verdict"] + summary.get("notes", []))


def test_a_file_that_ends_within_a_record_keeps_those_before_it(tmp_path: Path) -> None:
    made = fleet().write(tmp_path)
    spool = made / "hosts" / "hv-a" / "datapath_tracing" / "records.bin"
    with spool.open("r+b") as handle:
        handle.truncate(spool.stat().st_size - 100)
    summary = merged(made)
    assert segment(summary, "hv-a vnet0 dev.rx", "hv-a eth0 dev.tx")["changed"][MARK] == MARKED
    assert (summary["hosts"]["hv-a"]["status"], summary["hosts"]["hv-b"]["status"]) == ("partial", "complete")


def test_each_field_is_a_column(run: tuple[Path, dict[str, Any]]) -> None:
    path, _summary = run
    rows = duckdb.sql("""SELECT host, point, "%s", "%s", "%s", "%s", count(*) FROM '%s' WHERE dst_port = 5001 AND
                         src = '192.168.32.10' GROUP BY ALL ORDER BY ALL""" % (
                             *FIELDS, path / "events.parquet")).fetchall()
    assert rows == [("hv-a", "dev.rx", 0, None, -113, 0xFFFF888800001000, 40),
                    ("hv-a", "dev.tx", 0, 1, -113, 0xFFFF888800002000, 40 - MARKED),
                    ("hv-a", "dev.tx", 42, 1, -113, 0xFFFF888800002000, MARKED),
                    ("hv-b", "dev.rx", None, None, None, None, 40), ("hv-b", "dev.tx", None, None, None, None, 40)]


def test_the_timeline_has_them_as_the_live_text(run: tuple[Path, dict[str, Any]]) -> None:
    path, _summary = run
    lines = [line for line in (path / "timeline.log").read_text().splitlines() if ":5001 udp" in line]
    assert sum(" sk_buff.mark=42 sk_buff.sk->sk_state=1 sk_buff.sk->sk_err=-113 sk_buff.dev=0xffff888800002000 " in line
               for line in lines) == MARKED
    assert sum(" sk_buff.mark=0 sk_buff.sk->sk_state=- sk_buff.sk->sk_err=-113 sk_buff.dev=0xffff888800001000 " in line
               for line in lines) == 40
    assert not any("sk_buff" in line for line in lines if " hv-b " in line)


def test_a_packet_s_table_over_all_hosts(run: tuple[Path, dict[str, Any]]) -> None:
    path, _summary = run
    (journey,) = duckdb.sql("""SELECT DISTINCT journey FROM '%s' WHERE ip_id = 1 AND src = '192.168.32.10' AND
                               dst_port = 5001""" % (path / "events.parquet")).fetchall()[0]
    lines = compare.table(str(path / "events.parquet"), journey).splitlines()
    assert [line.split() for line in lines] == [
        ["µs", "host", "device", "point", "len", MARK, DEVICE],
        ["+0.0", "hv-a", "vnet0", "dev.rx", "92", "0", str(0xFFFF888800001000)],
        ["+8.0", "hv-a", "eth0", "dev.tx", "106*", "42*", str(0xFFFF888800002000) + "*"],
        ["+58.0", "hv-b", "eth0", "dev.rx", "92", "-", "-"], ["+65.0", "hv-b", "vnet0", "dev.tx", "106*", "-", "-"]]


def test_what_cannot_be_compared_is_one_sentence(run: tuple[Path, dict[str, Any]]) -> None:
    path, _summary = run
    for events, why in ((path / "events.parquet", "has no record of journey 'x'"), (path / "no", "is not there"),
                        (path / "timeline.log", "cannot be read")):
        with pytest.raises(MergeError, match=why) as refused:
            compare.table(str(events), "x")
        assert "\n" not in str(refused.value)


LIES = {
    "names that are none": [{"name": "x; DROP TABLE", "kind": "unsigned"}],
    "a name of the products' own": [{"name": "host", "kind": "unsigned"}],
    "no kind": [{"name": MARK}],
    "no list of fields": ["sk_buff.mark"],
    "too many": [{"name": "sk_buff.f%d" % number, "kind": "unsigned"} for number in range(9)],
    "a name twice": [{"name": MARK, "kind": "unsigned"}] * 2,
    "more than there are numbers": [{"name": "sk_buff.f%d" % number, "kind": "unsigned"} for number in range(3)],
}


@pytest.mark.parametrize("listed", LIES.values(), ids=LIES)
def test_a_manifest_that_lies_about_its_fields_is_refused(tmp_path: Path, listed: list[Any]) -> None:
    bundle = Bundle("hv-a")
    bundle.ask_for(**{MARK: "unsigned", STATE: "unsigned"})
    bundle.manifest["fields"] = listed
    directory = bundle.write(tmp_path, bundle.records())
    with pytest.raises(BundleError, match="its manifest's fields|its records have no numbers for"):
        open_bundle(directory)


def test_a_bundle_without_fields_stays_readable(tmp_path: Path) -> None:
    bundle = Bundle("hv-a")
    assert "fields" not in json.dumps(bundle.manifest["record"]["fields"])
    assert open_bundle(bundle.write(tmp_path)).fields == []
