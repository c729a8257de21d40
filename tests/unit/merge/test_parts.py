# SPDX-License-Identifier: Apache-2.0
"""The parts of a merge: done by whomever, done again if a worker died of them, and joined."""
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import dying, products, traffic

from fleetmerge.bundle import find
from fleetmerge.errors import MergeError
from fleetmerge.executors import Here, Processes
from fleetmerge.merge import merge
from fleetmerge.packet.identity import FLOW
from fleetmerge.products.pieces import JoinedParquet, JoinedText, write_table
from fleetmerge.products.summary import Request
from fleetmerge.told import keep, known_to, mapped, tell
from fleetmerge.work import Workers

PARTS = {"_survey", "_chain", "_split", "_explore", "_write"}


@pytest.fixture
def several_parts(monkeypatch: Any) -> None:
    monkeypatch.setattr("fleetmerge.journey.prepare.PART_UNITS", 20_000)


def merged(bundles: Path, output: Path, *how: Any) -> None:
    found = find.find([str(path) for path in sorted(bundles.glob("hosts/*/*"))], str(output))
    merge(Request(found), *how)


@pytest.mark.usefixtures("several_parts")
def test_a_worker_that_dies_costs_its_part_only(tmp_path: Path) -> None:
    traffic.make_pairs(tmp_path / "run", 2, 60_000)
    merged(tmp_path / "run", tmp_path / "here", Here(), 1)
    marks = tmp_path / "marks"
    marks.mkdir()
    with Processes(2) as workers:
        merged(tmp_path / "run", tmp_path / "there", dying.Clumsy(workers, marks, PARTS), 2)
    assert {mark.name for mark in marks.iterdir()} == PARTS
    products.assert_equal(tmp_path / "here", tmp_path / "there")
    assert not list((tmp_path / "there").glob(".merge-*"))


def test_a_part_that_no_worker_survives_ends_the_merge(tmp_path: Path) -> None:
    with Processes(2) as executor, Workers(str(tmp_path), 0, executor, 2) as workers:
        assert list(workers.run(dying.double, range(9))) == list(range(0, 18, 2))
        with pytest.raises(MergeError, match="workers died 3 times of the same part"):
            list(workers.run(dying.die, [0]))
        assert list(workers.run(dying.double, [21])) == [42]


def piece(number: int, rows: int) -> pa.Table:
    names = [None if row % 7 == 0 else "flow %d" % (row % 5 + number) for row in range(rows)]
    return pa.table({"time": pa.array(np.arange(rows) + number * 10**6).view(pa.timestamp("ns", "UTC")),
                     "flow": pa.array(names, pa.string()).dictionary_encode(),
                     "odd": pa.array(np.arange(rows) % 2 == 1),
                     "long": pa.array(np.arange(rows, dtype="u8") << np.uint64(40))})


def test_pieces_of_a_table_are_joined_in_their_order(tmp_path: Path) -> None:
    pieces = [piece(number, rows) for number, rows in enumerate((100, 0, 70_000, 5))]
    path = tmp_path / "joined.parquet"
    with JoinedParquet(str(path)) as joined:
        for number, rows in enumerate(pieces):
            write_table(rows, str(tmp_path / str(number)))
            joined.add(str(tmp_path / str(number)))
    assert [one.name for one in tmp_path.iterdir()] == ["joined.parquet"]
    table = pq.read_table(path)
    assert table.schema == pieces[0].schema
    for name in table.column_names:
        # as text: dictionaries may be numbered otherwise
        have, want = (one.column(name).cast(pa.string()).to_pylist() for one in (table, pa.concat_tables(pieces)))
        assert have == want
    about = pq.read_metadata(path)
    assert [about.row_group(number).num_rows for number in range(about.num_row_groups)][-1] == 5
    assert duckdb.sql("SELECT count(*), max(long) FROM '%s' WHERE flow = 'flow 7'" % path).fetchall() == [
        (sum(one.column("flow").to_pylist().count("flow 7") for one in pieces), 4 << 40)]


def test_pieces_of_a_text_are_joined_in_their_order(tmp_path: Path) -> None:
    with JoinedText(str(tmp_path / "all")) as joined:
        for number, text in enumerate(("a\n", "", "b\nc\n")):
            (tmp_path / str(number)).write_text(text)
            joined.add(str(tmp_path / str(number)))
    assert (tmp_path / "all").read_text() == "a\nb\nc\n"


def test_large_arrays_are_mapped(tmp_path: Path) -> None:
    large, small = np.arange(100_000), np.arange(3)
    known = known_to(tell(str(tmp_path / "told"), {"large": large, "again": [large], "small": small}))
    assert (known["large"] == large).all() and (known["again"][0] == large).all() and (known["small"] == small).all()
    assert not known["large"].flags.writeable
    assert (tmp_path / "told").stat().st_size < 10_000


def test_no_array_is_too_small_to_be_mapped(tmp_path: Path) -> None:
    for rows in (np.zeros(0, FLOW), np.ones(3, FLOW)):
        found = mapped(keep(str(tmp_path / "rows.npy"), rows))
        assert found.dtype == FLOW and not found.flags.writeable and (found == rows).all()


def test_what_was_told_before_is_forgotten(tmp_path: Path) -> None:
    before, now = (tell(str(tmp_path / name), [name]) for name in ("before", "now"))
    known = known_to(before)
    assert known_to(before) is known and known_to(now) == ["now"]
    assert known_to(before) == known and known_to(before) is not known
