#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Python for a tracer whose wall clock is stepped by as many ns as the file STEP says; nobody else's is touched.

usage: stepping.py PROGRAM ARGUMENT…
"""
import os
import pathlib
import runpy
import sys

STEP = pathlib.Path("/tmp/step")

sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])

from skbtrace.host import clock  # noqa: E402

read = clock._read


def stepped(which: int) -> int:
    """Read a clock."""
    return read(which) + (int(STEP.read_text()) if which == clock._REALTIME else 0)


clock._read = stepped
runpy.run_path(sys.argv[0], run_name="__main__")
