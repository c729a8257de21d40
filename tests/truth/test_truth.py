# SPDX-License-Identifier: Apache-2.0
"""Each case: its bundles are made and merged, and what the merger says about them must be true."""
import importlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from jsonschema import Draft202012Validator
from truth.bundle import RUN_ID
from truth.merging import Merged, merge

SCHEMA_FILE = Path(__file__).parents[2] / "bpftools/fleetmerge/products/summary.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text())
CASES = sorted(path.stem for path in (Path(__file__).parent / "cases").glob("*.py"))


class Case(NamedTuple):
    """A situation, and what the merger made of it."""

    module: ModuleType
    merged: Merged


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A case, merged once for all that is asked about it."""
    module = importlib.import_module("truth.cases." + request.param)
    run_dir = tmp_path_factory.mktemp(request.param) / RUN_ID
    run_dir.mkdir()
    module.make(run_dir)
    yield Case(module, merge(run_dir))
    shutil.rmtree(run_dir)


def test_what_is_said_is_true(case: Case) -> None:
    """Nothing false is said, and nothing that can be known is missing."""
    assert not case.merged.failed
    if case.merged.refused:
        assert getattr(case.module, "MAY_REFUSE", False), case.merged.refused
        return
    false = case.module.check(case.merged.summary, case.merged.verdict)
    assert not false, "\n".join(false)


def test_the_sums_agree(case: Case) -> None:
    """What is counted in two ways is the same, for all of these situations."""
    assert not [doubt for doubt in (case.merged.summary or {}).get("doubts", []) if "The sums do not agree" in doubt]


def test_the_summary_has_its_form(case: Case) -> None:
    """It has what the schema says, for all of these situations."""
    errors = Draft202012Validator(SCHEMA).iter_errors(case.merged.summary) if case.merged.summary else []
    wrong = {"%s: %s" % (re.sub(r"\d+", "", error.json_path), error.message[:200]) for error in errors}
    assert not wrong, "\n".join(sorted(wrong))
