# SPDX-License-Identifier: Apache-2.0
"""Ways: packets of one shape whose branch is the same, as those see them who only read them."""
from typing import Protocol

import numpy as np

from .shapes import Shape
from .tree import Leaf


class Way(Protocol):
    """Packets of one shape, and the branch that is the packet."""

    shape: Shape
    leaf: Leaf

    @property
    def packets(self) -> np.ndarray:
        """Return their numbers."""
