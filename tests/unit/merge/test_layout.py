# SPDX-License-Identifier: Apache-2.0
"""The merger's folders are its stages: each imports only those before it."""
import ast
from pathlib import Path

import pytest

import fleetmerge

_STAGES = ("bundle", "packet", "clock", "journey", "findings", "products", "runs")
_ROOT = Path(fleetmerge.__file__).parent


@pytest.mark.parametrize("stage", _STAGES)
def test_a_stage_imports_only_those_before_it(stage: str) -> None:
    later = _STAGES[_STAGES.index(stage) + 1:]
    found = [(path.name, node.module) for path in sorted((_ROOT / stage).glob("*.py"))
             for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.level == 2
             and (node.module or "").split(".")[0] in later]
    assert found == []
