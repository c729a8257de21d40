# SPDX-License-Identifier: Apache-2.0
"""A kprobe dies with its module: points that went blind are found at the end, and said."""
import pathlib

import pytest

from skbtrace.capture.tracer import Tracer
from skbtrace.kernel import lookup
from skbtrace.programs.program import Program


def test_a_module_that_went_or_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"vxlan": 7, "geneve": 0, "tun": 12}
    monkeypatch.setattr(lookup, "loading_of", now.get)
    program = Program.__new__(Program)
    program._homes = {"vxlan.tx": ("vxlan", 7), "geneve.tx": ("geneve", 8), "geneve.rx": ("geneve", 8),
                      "tun.xmit": ("tun", 9)}
    tracer = Tracer.__new__(Tracer)
    tracer.unloaded = program.unloaded()
    assert tracer.went_blind() == [
        "the kernel's module geneve was unloaded: from then on nothing was seen at geneve.rx, geneve.tx",
        "the kernel's module tun was unloaded: from then on nothing was seen at tun.xmit"]


def test_a_loading_is_told_by_its_directory() -> None:
    assert lookup.loading_of("no_such_module") == 0
    for path in pathlib.Path("/sys/module").iterdir():
        assert lookup.loading_of(path.name) == path.stat().st_ino
