# SPDX-License-Identifier: Apache-2.0
"""Call stacks are written as they appear, each once, and read up to where writing was cut off."""
import ctypes
import types

import pytest

from skbtrace.capture import stacks
from skbtrace.kernel.symbols import Symbols


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A map of stacks, which can be added to."""
    monkeypatch.chdir(tmp_path)
    return {}


class Map(dict):
    """A map as bcc gives access to it."""

    def __iter__(self):
        return map(ctypes.c_int, super().__iter__())

    def __getitem__(self, key):
        return types.SimpleNamespace(ip=[*super().__getitem__(key.value), 0, 0])


def symbols(table) -> Symbols:
    return Symbols({"stacks": Map(table)})


def test_each_is_written_once(table):
    kept = stacks.Stacks()
    assert stacks.read() == {}
    table[7] = [0xffffffff81000001, 0xffffffff81000002]
    kept.look(symbols(table))
    table[9] = [0xffffffff81000003]
    for _ in range(2):
        kept.look(symbols(table))
    assert stacks.read() == table
    assert len(open(stacks.NAME).readlines()) == 2


def test_what_follows_a_line_that_is_not_whole_is_not_believed(table):
    for text, read in (("7 a b\n9 c", {7: [10, 11]}), ("7 a\n9 c 11 d x\n12 e\n", {7: [10]}), ("\0\0", {}), ("\n", {})):
        open(stacks.NAME, "w").write(text)
        assert stacks.read() == read


def test_there_is_an_end_to_it(table, monkeypatch):
    monkeypatch.setattr(stacks, "_MOST", 2)
    kept = stacks.Stacks()
    for number in range(1, 5):
        table.update({number: [1], -number: [2]})
        kept.look(symbols(table))
    assert sorted(stacks.read()) == [-1, 1]
    stacks.Stacks().look(symbols(table))
    assert len(stacks.read()) == 2
