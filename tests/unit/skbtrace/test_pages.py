# SPDX-License-Identifier: Apache-2.0
"""Where the kernel maps its memory is found from a page of our own."""
import os

import pytest

from skbtrace.kernel import btf
from skbtrace.programs import loader, memory, pages

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="asking the kernel for its memory needs root")


@needs_root
def test_another_page_is_found_where_the_constants_say() -> None:
    types = btf.read_kernel(pages.STRUCTS)
    found = pages.constants(types)
    base, size = int(found["DIRECT_MAP"].rstrip("ul"), 16), int(found["PAGE_STRUCT_SIZE"])
    assert size == types.struct_size("page")
    with memory.opened() as kernel, pages._page(b"eight by") as (_descriptor, frame):
        word = kernel.word(base + frame * int(found["PAGE_BYTES"]))
    assert word.to_bytes(8, "little") == b"eight by"


def test_a_kernel_that_does_not_answer_costs_the_fragments_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(loader, "load", refuse)
    assert pages.constants(btf.read_kernel(pages.STRUCTS)) == {}
    assert pages.constants(None) == {}
