# SPDX-License-Identifier: Apache-2.0
"""How sure a statement is, by what is missing."""
import pytest

from fleetmerge.journey.grounds import CERTAIN, GAPS, INCOMPLETE, LIKELY, UNKNOWN_, certainty


def test_each_gap_has_a_bit_of_its_own() -> None:
    assert sorted(gap.bit for gap in GAPS) == [1 << number for number in range(len(GAPS))]


def test_nothing_is_missing() -> None:
    assert certainty(0) == CERTAIN


@pytest.mark.parametrize("gap", GAPS)
def test_one_ground_is_missing(gap) -> None:
    assert gap.level in (LIKELY, UNKNOWN_)
    assert certainty(gap.bit) == gap.level


def test_the_worst_counts() -> None:
    for one in GAPS:
        for two in GAPS:
            worst = UNKNOWN_ if UNKNOWN_ in (one.level, two.level) else LIKELY
            assert certainty(one.bit | two.bit) == worst


def test_without_a_complete_host_nothing_is_known() -> None:
    assert {gap.level for gap in GAPS if gap.bit & INCOMPLETE} == {UNKNOWN_}
    assert INCOMPLETE.bit_count() == 7
