# SPDX-License-Identifier: Apache-2.0
"""The host side's folders are stages of the data's way: each imports only those before it, and what all share."""
import ast
from pathlib import Path

import pytest

import skbtrace

_FOLDERS = ("kernel", "host", "programs", "capture", "show")
_SHARED = ("", "errors", "foreign")  # "": the package itself, for its version
_ROOT = Path(skbtrace.__file__).parent


def _imported(path: Path) -> set[str]:
    """Return what a file of a folder imports from outside of it: folders and modules of the package."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert all(node.level != 0 or not (node.module or "").startswith("skbtrace") for node in nodes)
    outside = [node for node in nodes if node.level == 2]
    plain = {alias.name if alias.name.islower() else "" for node in outside if not node.module for alias in node.names}
    return plain | {(node.module or "").split(".")[0] for node in outside if node.module}


@pytest.mark.parametrize("folder", _FOLDERS)
def test_a_folder_imports_only_those_before_it(folder: str) -> None:
    allowed = {*_FOLDERS[:_FOLDERS.index(folder)], *_SHARED}
    found = {path.name: _imported(path) - allowed for path in sorted((_ROOT / folder).glob("*.py"))}
    assert found
    assert {name: late for name, late in found.items() if late} == {}


def test_every_folder_has_its_place() -> None:
    assert {path.parent.name for path in _ROOT.glob("*/__init__.py")} == set(_FOLDERS)


def test_what_all_share_imports_no_folder() -> None:
    for name in ("__init__", "errors", "foreign"):
        nodes = ast.walk(ast.parse((_ROOT / (name + ".py")).read_text()))
        assert [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level] == []
