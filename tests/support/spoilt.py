# SPDX-License-Identifier: Apache-2.0
"""What hosts print, spoilt."""
import random
from typing import Any

JUNK = (None, True, -1, 10 ** 30, "", "x" * 50, "@", "%s", "10.0.0.0/8", [], {}, [[]], [None], {"a": {}}, [{"set": 3}])


def spoilt(value: Any, chance: random.Random) -> Any:
    """What a host might say that wants the merger to stumble: the right shape, here and there with something else."""
    if chance.random() < 0.08:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {name: spoilt(one, chance) for name, one in value.items() if chance.random() > 0.05}
    return [spoilt(one, chance) for one in value] if isinstance(value, list) else value
