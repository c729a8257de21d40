# SPDX-License-Identifier: Apache-2.0
"""Files of a run directory: for their owner alone, and never seen half-written."""
import json
import os
from typing import Any

MODE = 0o600


def open_new(path: str) -> Any:
    """Create (or empty) a file that only its owner can read, and return it opened unbuffered for bytes."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, MODE)
    os.fchmod(descriptor, MODE)  # a file that was there keeps its mode otherwise
    return os.fdopen(descriptor, "wb", 0)


def write_json(path: str, content: Any) -> None:
    """Write a file in one step: readers see the old one or the new one, never a part; raises OSError."""
    temporary = path + ".new"
    with open_new(temporary) as handle:
        handle.write(json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
    os.rename(temporary, path)
