# SPDX-License-Identifier: Apache-2.0
"""Each fuzzer on a few values, always the same ones; `make fuzz` tries others."""
import pytest
from fuzz.targets import TARGETS
from fuzz.trial import run

FEW = {"run": 3, "manifest": 8}


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_up_is_taken_or_refused(name: str) -> None:
    run(TARGETS[name], 1, FEW.get(name, 25))
