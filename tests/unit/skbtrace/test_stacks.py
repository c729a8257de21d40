# SPDX-License-Identifier: Apache-2.0
"""Call stacks are written as they appear, each once, and read up to where writing was cut off."""
import ctypes
import types

import pytest

from skbtrace.capture import stacks
from skbtrace.kernel import symbols as kernel_symbols
from skbtrace.kernel.symbols import Symbols, without_own


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


OWN = ["bpf_prog_1_tcp+0x1", "bpf_trampoline_9+0x2"]


@pytest.mark.parametrize(("machine", "names", "left"), [
    ("x86_64", ["ip_rcv+0x0", "caller+0x4"], [0, 1]), ("aarch64", ["ip_rcv+0x0", "caller+0x4"], [0, None, 1]),
    ("aarch64", ["tun_net_xmit+0x0 [tun]"], [0, None]), ("aarch64", ["ip_rcv+0x04", "caller+0x4"], [0, 1]),
    ("aarch64", [*OWN, "ip_rcv+0xc", "caller+0x4"], [2, 3]), ("x86_64", OWN, []), ("aarch64", [], [])])
def test_a_stack_is_without_the_tracer_and_tells_whom_it_lacks(monkeypatch, machine, names, left):
    monkeypatch.setattr(kernel_symbols.platform, "machine", lambda: machine)
    frames = [0xffffffff81000000 + depth for depth in range(len(names))]
    assert without_own(frames, names) == [0 if depth is None else frames[depth] for depth in left]
    assert Symbols({}).name(0) == "(its caller is not on the stack)"
