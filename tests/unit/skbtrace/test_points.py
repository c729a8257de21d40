# SPDX-License-Identifier: Apache-2.0
"""The table of points, and what is made of the counters of points."""
import pytest

from skbtrace.programs import points


def rows(**matched: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {name: {**dict.fromkeys(points.FITTED, 0), "seen": seen, "matched": count}
            for name, (seen, count) in matched.items()}


def test_points_that_saw_packets_and_none_that_fits() -> None:
    assert points.unmatched(rows(rx=(5, 1), tx=(7, 0), drop=(0, 0))) == {"tx": 7}


@pytest.mark.parametrize("counter", points.FITTED[1:])
def test_what_may_have_fitted_is_no_reason_to_wonder(counter: str) -> None:
    counters = rows(rx=(5, 1), tx=(7, 0))
    counters["tx"][counter] = 1
    assert points.unmatched(counters) == {}


def test_where_nothing_fitted_anywhere_no_point_is_to_blame() -> None:
    assert points.unmatched(rows(rx=(5, 0), tx=(7, 0))) == {}


def test_what_is_said_of_points_is_said_of_rows_of_the_table() -> None:
    for names in (points.IF_AMISS, points.ENDS, *points.PROFILES.values()):
        assert set(names) <= set(points.BY_NAME)
