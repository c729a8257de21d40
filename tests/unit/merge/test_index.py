# SPDX-License-Identifier: Apache-2.0
"""Cutting time into ranges: every record in exactly one of them, whatever order the bundles are in."""
import os
from typing import Any

import numpy as np
import pytest
from support.bundles import Bundle, stride_dtype

from fleetmerge.bundle.manifest import Bundle as Opened
from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.clock.host import host_clock
from fleetmerge.packet.survey import survey_bundle
from fleetmerge.products.ranges import Index, plan, read_range

SHAPES = {
    "in order": lambda n, random: np.sort(random.integers(0, 10**10, n)),
    "nearly": lambda n, random: np.sort(random.integers(0, 10**10, n)) + random.integers(0, 10**6, n),
    "shuffled": lambda n, random: random.integers(0, 10**10, n),
    "all at once": lambda n, random: np.full(n, 5 * 10**9),
    "two bursts": lambda n, random: np.repeat([10**9, 9 * 10**9], [n // 2, n - n // 2]),
    "one": lambda n, random: np.array([10**9]),
    "none": lambda n, random: np.zeros(0, "i8"),
}


def opened(path: Any, shapes: list[str], records: int = 5000) -> list[Opened]:
    out = []
    for number, shape in enumerate(shapes):
        bundle = Bundle("hv-%d" % number, boot=1000 * (number + 1))
        times = SHAPES[shape](records, np.random.default_rng(number))
        array = np.zeros(len(times), stride_dtype())
        array["time_ns"] = times + int(bundle.boot * 1e9)
        array["mark"] = np.arange(len(times))
        out.append(open_bundle(bundle.write(path, array)))
    return out


def index_of(bundle: Opened) -> Index:
    return survey_bundle(bundle, os.path.join(bundle.directory, "rows")).index


@pytest.mark.parametrize("shapes", [[shape] for shape in SHAPES] + [list(SHAPES)])
def test_each_record_once_and_in_order(tmp_path: Any, shapes: list[str]) -> None:
    bundles = opened(tmp_path, shapes)
    clocks = [host_clock([bundle]) for bundle in bundles]
    ranges = plan(bundles, [index_of(bundle) for bundle in bundles], clocks, records=2000)
    seen = [[] for _ in bundles]
    last = 0
    for stretch in ranges:
        parts = read_range(bundles, clocks, stretch)
        walls = np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, "i8")
        if len(walls):
            assert walls.min() >= last
            last = walls.max()
        for number, raw, _, _ in parts:
            seen[number] += raw["mark"].tolist()
    assert [sorted(marks) for marks in seen] == [list(range(bundle.records)) for bundle in bundles]


def test_ranges_stay_small(tmp_path: Any) -> None:
    """A range reads about as many records as it was cut for: this is what keeps memory from growing."""
    bundles = opened(tmp_path, ["nearly"] * 4, records=40_000)
    clocks = [host_clock([bundle]) for bundle in bundles]
    ranges = plan(bundles, [index_of(bundle) for bundle in bundles], clocks, records=16_384)
    assert len(ranges) >= 9
    assert max(sum(piece.count for piece in stretch.pieces) for stretch in ranges) <= 16_384 + 3 * 1024 * len(bundles)


def test_checksum_and_window(tmp_path: Any) -> None:
    bundle = opened(tmp_path, ["in order"])[0]
    found = index_of(bundle)
    assert found.checksum_ok and found.outside == 0
    bundle.manifest["window"]["end_ns"] -= 5 * 10**9
    assert 0 < index_of(bundle).outside < bundle.records
    with open(bundle.path, "r+b") as handle:
        handle.seek(1000)
        handle.write(b"!")
    assert not index_of(bundle).checksum_ok
