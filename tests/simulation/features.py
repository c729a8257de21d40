# SPDX-License-Identifier: Apache-2.0
"""What a fleet may have, and the dice of a seed."""
import zlib
from collections.abc import Iterable

import numpy as np

PLAIN = ["udp", "tcp", "gso", "icmp", "drop", "wire", "clock", "daemon", "two", "ends", "edges"]
MORE = ["noid", "identical", "quic", "arp", "frag", "ipv6", "ecmp", "flood", "mirror", "tunnel", "nat", "hairpin",
        "router", "untraced", "migrate", "reorder", "dup", "silent", "points", "morepoints", "recordloss", "missing",
        "partial", "filter", "short", "nonlinear", "topology", "fixedid", "cut"]
PROFILES = {"plain": PLAIN, "full": PLAIN + MORE}


def features_of(text: str) -> list[str]:
    """Return the features of a list of names and profiles; -name takes one away, +name is there in every seed."""
    out: list[str] = []
    for name in text.split(","):
        plain = name.lstrip("+-")
        if plain not in PROFILES and plain not in PROFILES["full"]:
            raise ValueError("%r is no feature: %s" % (name, ", ".join([*PROFILES, *PROFILES["full"]])))
        named = PROFILES.get(plain, [plain])
        out = [one for one in out if one.lstrip("+") not in named]
        if not name.startswith("-"):
            out += ["+" + one for one in named] if name.startswith("+") else named
    return out


class Dice:
    """The dice of one seed: a stream for each aspect, so that features do not change each other's."""

    def __init__(self, seed: int, features: Iterable[str]) -> None:
        """features: those with a + are there in every seed."""
        self.seed = seed
        self.forced = {name[1:] for name in features if name.startswith("+")}
        self.features = {name.lstrip("+") for name in features}

    def stream(self, name: str) -> np.random.Generator:
        """Return the stream of an aspect, from its start."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def may(self, feature: str) -> bool:
        """Whether a feature may be there."""
        return feature in self.features

    def on(self, feature: str, chance: float) -> bool:
        """Whether a feature is there in this seed."""
        return feature in self.forced or (self.may(feature) and self.stream("on " + feature).random() < chance)
