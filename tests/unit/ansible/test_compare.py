# SPDX-License-Identifier: Apache-2.0
"""Where the comparison of two runs goes."""
import pytest

REPORT = "runs/BAD/compared-with-GOOD.html"


@pytest.mark.parametrize(("wanted", "report"), [
    (True, REPORT), ("yes", REPORT), ("false", ""), (False, "")])
def test_it_is_beside_the_second_run_s_report(runs, tmp_path, wanted, report):
    good, latest = tmp_path / "GOOD", tmp_path / "latest"
    good.mkdir()
    latest.symlink_to(good)
    assert runs.report_of(wanted, str(latest), "runs/BAD") == report


def test_what_is_neither_true_nor_false_is_refused(runs):
    with pytest.raises(runs.Refused) as refused:
        runs.report_of("maybe", "runs/GOOD", "runs/BAD")
    assert str(refused.value) == "compare_report is 'maybe': it must be true or false"
