# SPDX-License-Identifier: Apache-2.0
"""The controller's commands, run by a Python without their packages."""
import subprocess
import sys

import pytest
from support.lab import ROOT

from fleetmerge.errors import packages_missing


@pytest.mark.parametrize("command", [["merge_captures.py", "run"], ["compare_captures.py", "good", "bad"]])
def test_a_python_without_packages(command: list[str]) -> None:
    # -S: without site-packages; the virtual environment's are not found then
    done = subprocess.run([sys.executable, "-S", str(ROOT / "bpftools" / command[0]), *command[1:]], text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and "has no package" in done.stderr


def test_a_module_of_ours_that_is_missing_is_a_defect() -> None:
    error = ModuleNotFoundError("no module", name="fleetmerge.nothing")
    with pytest.raises(ModuleNotFoundError):
        packages_missing(error)
