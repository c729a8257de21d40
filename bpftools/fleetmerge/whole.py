# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Open a file, its owner's alone, that takes the place of what is at this path once all of it is written; if that
    fails, nothing is left of it. Raises OSError."""
    handle, scratch = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(path) or ".")
    try:
        with open(handle, "wb") as out:
            yield out
        os.replace(scratch, path)
    finally:
        if os.path.exists(scratch):
            os.unlink(scratch)
