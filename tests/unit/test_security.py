# SPDX-License-Identifier: Apache-2.0
"""Every statement of the threat model names tests that are there."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "tests").rglob("test_*.py"))


def test_the_threat_model_names_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text()
    files, tests = set(re.findall(r"\b(test_\w+\.py)", text)), set(re.findall(r"`(test_\w+)`", text))
    assert files <= {path.name for path in SOURCES}
    assert len(tests) > 20
    known = set(re.findall(r"^def (test_\w+)", "\n".join(path.read_text() for path in SOURCES), re.MULTILINE))
    assert tests - known == set()


def test_every_statement_has_a_test():
    rows = [row for row in (ROOT / "SECURITY.md").read_text().splitlines() if row.startswith("| ")]
    cells = [row.strip("| ").split(" | ") for row in rows if not row.startswith(("| it cannot |", "| he cannot |",
                                                                                "| what |"))]
    assert [cell[0] for cell in cells if len(cell) != 3 or "test" not in cell[2] and cell[2] != "the same"] == []
