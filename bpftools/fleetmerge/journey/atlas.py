# SPDX-License-Identifier: Apache-2.0
"""All places of all bundles under one numbering, and everything else that makes rows of several bundles comparable."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle.manifest import Bundle
from ..clock.host import HostClock
from ..packet.identity import FLOW, roots
from ..packet.places import Place, Places
from ..packet.survey import Survey


@dataclass
class Atlas:
    """What the numbers in the bundles' rows become."""

    places: list[Place]
    of_bundle: list[np.ndarray]        # a bundle's place -> place
    counts: list[np.ndarray]           # bool by a bundle's place: the bundle's records of this point count
    drops: list[tuple[int, int, int, int]]   # bundle, reason, location, stack; the first is none
    drop_of_bundle: list[np.ndarray]   # a bundle's drop -> drop
    clocks: Sequence[HostClock]
    surveys: Sequence[Survey]
    renamed: dict[int, int]            # flow -> its name before address translation
    group_of: dict[int, int]           # renamed flow -> group


def make_atlas(bundles: Sequence[Bundle], clocks: Sequence[HostClock], surveys: Sequence[Survey],
               places: Sequence[Places], counting: Sequence[tuple[str, str, str]],
               entrances: Iterable[Place] = ()) -> tuple[Atlas, np.ndarray]:
    """Return (the atlas, all flows sorted by their hash).

    counting: (host, tracer, point) whose records count; entrances: places that are there whether or not a packet came.
    """
    numbers: dict[Place, int] = {}
    chosen = set(counting)
    of_bundle, counts, drop_of_bundle = [], [], []
    drops: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]
    for bundle, here, survey in zip(bundles, places, surveys, strict=True):
        of_bundle.append(np.array([numbers.setdefault(place, len(numbers)) for place in here.entries] or [0], "u2"))
        counts.append(np.array([(bundle.host, bundle.tracer, place.point) in chosen for place in here.entries]
                               or [False]))
        drop_of_bundle.append(np.array([0, *range(len(drops), len(drops) + len(survey.tables.drops))], "u2"))
        drops += [(len(of_bundle) - 1, *drop) for drop in survey.tables.drops]
    for bundle in bundles:
        _expect_receivers(numbers, bundle)
    for place in entrances:
        numbers.setdefault(place, len(numbers))
    flows = [flow for survey in surveys for flow in survey.tables.flows.values()]
    table = np.array(flows, FLOW) if flows else np.zeros(0, FLOW)
    table = table[np.unique(table["flow"], return_index=True)[1]]
    renamed = roots({pair: count for survey in surveys for pair, count in survey.tables.aliases.items()})
    group = dict(zip(table["flow"].tolist(), table["group"].tolist(), strict=True))
    return Atlas(list(numbers), of_bundle, counts, drops, drop_of_bundle, clocks, surveys, renamed,
                 {flow: group[root] for flow, root in renamed.items()}), table


def _expect_receivers(numbers: dict[Place, int], bundle: Bundle) -> None:
    """A device that sent to other hosts may be where packets should have come in, though none ever did."""
    if "dev.rx" in bundle.points().values():
        for place in list(numbers):
            if place.host == bundle.host and place.point == "dev.tx" and place.uplink:
                receiver = Place(place.host, place.netns, place.device, "dev.rx", place.role, True)
                numbers.setdefault(receiver, len(numbers))


PART = np.dtype([("group", "<u8"), ("share", "<u4"), ("parts", "<u4")])


def partition_of(flows: np.ndarray, surveys: Sequence[Survey], most: int) -> tuple[np.ndarray, int]:
    """Return (how groups are dealt out to shares of about `most` packets, sorted by group; how many shares there are).

    Both directions of a group go to the same share. A group that is too large for one is cut into parts.
    """
    counts: dict[int, int] = {}
    for survey in surveys:
        for group, count in survey.tables.groups.items():
            counts[group] = counts.get(group, 0) + count
    groups, first = np.unique(flows["group"], return_index=True)
    both = np.minimum(groups, flows["back"][first])
    size: dict[int, int] = {}
    for group, pair in zip(groups.tolist(), both.tolist(), strict=True):
        size[pair] = size.get(pair, 0) + counts.get(group, 0)
    shares = max(1, -(-sum(size.values()) // most))
    filled = [0] * shares
    place = {}
    for pair in sorted(size, key=lambda pair: (-size[pair], pair)):
        parts = min(shares, -(-size[pair] // most) or 1)
        share = min(range(shares), key=lambda number: filled[number])
        place[pair] = (share, parts)
        for part in range(parts):
            filled[(share + part) % shares] += size[pair] // parts
    out = np.zeros(len(groups), PART)
    out["group"] = groups
    for row, pair in enumerate(both.tolist()):
        out["share"][row], out["parts"][row] = place[pair]
    return out, shares
