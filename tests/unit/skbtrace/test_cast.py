# SPDX-License-Identifier: Apache-2.0
"""A cast reads what is at an address, and nothing where nothing is."""
import os

import pytest

from skbtrace.kernel import btf
from skbtrace.programs import cast, loader, memory
from skbtrace.programs.bytecode import CALL, EXIT, LOAD_WORD, MOVE, instruction

NAMES = [cast.FUNCTION, "sk_buff", "net_device", "net", "pt_regs", "task_struct"]
OFFSET = 8   # of the word that is read

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="loading a program needs root")
needs_casts = pytest.mark.skipif("bpf_rdonly_cast" not in open("/proc/kallsyms").read(), reason="casts came with 6.2")


def _program(found: dict[str, int]) -> int:
    """A program that returns the lower half of the word behind the address that it is run with."""
    code = b"".join([instruction(LOAD_WORD, 1, 1), instruction(MOVE, 2, value=found["CAST_WORDS"]),
                     instruction(CALL, value=found["CAST_MARK"]), instruction(LOAD_WORD, 0, 0, OFFSET),
                     instruction(EXIT)])
    return loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "test", cast.apply(code, found))


@needs_root
@needs_casts
def test_a_cast_reads_the_kernels_memory_and_nothing_at_0() -> None:
    program = _program(cast.constants(btf.read_kernel(NAMES)))
    try:
        with memory.opened() as kernel:
            words = [(kernel.word(at) & 0xFFFFFFFF, loader.run_once(program, at - OFFSET))
                     for at in range(kernel.task, kernel.task + 1024, 8)]
        assert loader.run_once(program, 0) == 0
    finally:
        os.close(program)
    assert sum(read == word != 0 for word, read in words) > 20
    assert sum(read != word for word, read in words) < 10, "some change while they are read"


def test_only_the_mark_is_replaced() -> None:
    found = {"HAVE_CAST": 77, "CAST_MARK": cast._MARK}
    helper, mark = instruction(CALL, value=6), instruction(CALL, value=cast._MARK)
    number = instruction(MOVE, 1, value=cast._MARK)
    assert cast.apply(helper + mark + number, found) == helper + instruction(CALL, 0, 2, 0, 77) + number
    assert cast.apply(mark, {}) == mark


@needs_root
def test_a_kernel_that_refuses_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(loader, "load", refuse)
    assert cast.constants(btf.read_kernel(NAMES)) == {}
    assert cast.constants(btf.read_kernel(NAMES[1:])) == {}
    assert cast.constants(None) == {}
