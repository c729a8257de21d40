# SPDX-License-Identifier: Apache-2.0
"""A host's clock is compared with the controller's, however slow the connection is."""
import pytest


@pytest.mark.parametrize(("stdout", "answer"), [
    ("0\n1795350544421166848\n", (0, 1795350544421166848)),
    ("1000\r\n1795350544421166848\r\n", (1000, 1795350544421166848)),
    ("Welcome, user 7\n1000\n1795350544421166848\n", (1000, 1795350544421166848)),
    ("1000\n1795350544%N\n", None),
    ("", None),
])
def test_an_answer_is_read_and_anything_else_is_not(reach, stdout, answer):
    assert reach.read_answer(stdout) == answer


def test_the_fastest_answer_counts(reach):
    slow, fast = (0, 9_000, 10_000), (20_000, 20_600, 21_000)
    assert reach.best([slow, fast]) == (100, 500)


@pytest.mark.parametrize("delays", [(10**7, 10**7), (3 * 10**9, 10**6), (10**6, 3 * 10**9)])
@pytest.mark.parametrize("offset", [0, 3600 * 10**9, -5 * 10**9])
def test_the_truth_is_within_the_error(reach, delays, offset):
    there, back = delays
    difference, error = reach.best([(0, there + offset, there + back)])
    assert abs(difference - offset) <= error
