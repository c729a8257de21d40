# SPDX-License-Identifier: Apache-2.0
"""What a value in a manifest has to be."""
from typing import Any


def is_number(value: Any, most: int) -> bool:
    """Whether this is a whole number from 0 to below `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most
