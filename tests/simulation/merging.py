# SPDX-License-Identifier: Apache-2.0
"""Have a run merged: by the command, or by the command's code in this process, which saves its start."""
import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

COMMAND = Path(__file__).resolve().parents[2] / "bpftools" / "merge_captures.py"


class Failed(Exception):
    """The merge crashed, or did not end."""


class Merged(NamedTuple):
    """What a merge gave."""

    summary: dict[str, Any]
    verdict: str


def by_command(run_dir: Path, expected: Sequence[str], seconds: float) -> Merged:
    """Merge in a process of its own, which is ended after so many seconds."""
    process = subprocess.Popen([sys.executable, *_arguments(run_dir, expected)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed("took more than %g s" % seconds) from None
    if process.returncode or "Traceback" in error:
        raise Failed("exit %d: %s" % (process.returncode, (error.strip().splitlines() or ["?"])[-1]))
    return _products(run_dir)


def in_process(run_dir: Path, expected: Sequence[str]) -> Merged:
    """Merge in this process; who wants it ended ends the process."""
    error, arguments = io.StringIO(), sys.argv
    sys.argv = _arguments(run_dir, expected)
    try:
        with contextlib.redirect_stderr(error):
            status = _command().main()
    except SystemExit as end:
        status = end.code
    except Exception as crash:
        raise Failed("crashed: %s" % traceback.format_exception_only(crash)[-1].strip()) from crash
    finally:
        sys.argv = arguments
    if status:
        raise Failed("exit %s: %s" % (status, (error.getvalue().strip().splitlines() or ["?"])[-1]))
    return _products(run_dir)


def _arguments(run_dir: Path, expected: Sequence[str]) -> list[str]:
    return [str(COMMAND), "--quiet", *(word for host in expected for word in ("--expect-host", host)), str(run_dir)]


@cache
def _command() -> ModuleType:
    """Return the command as a module."""
    sys.path.insert(0, str(COMMAND.parent))
    spec = importlib.util.spec_from_file_location("merge_captures", COMMAND)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _products(run_dir: Path) -> Merged:
    return Merged(json.loads((run_dir / "summary.json").read_text()), (run_dir / "verdict.txt").read_text())
