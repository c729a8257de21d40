# SPDX-License-Identifier: Apache-2.0
"""Flows, steps and paths with names."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..clock.host import HostClock
from ..journey.found import DROPPED, FLOWS, NAMES, OF_PACKET, VANISHED, Findings
from ..words import iso
from .losses import _FIELDS
from .names import Names
from .seen import Witnesses

_MORE = 4   # times as many flows as are listed are named, since several may have one name


def flows(findings: Findings, names: Names, lost: Sequence[dict[str, Any]],
          witnesses: Witnesses) -> list[dict[str, Any]]:
    """Return the flows with most packets and what became of them; witnesses: where flows were seen."""
    table = findings.flows
    chosen = table[np.argsort(-table["packets"], kind="stable")[:_MORE * FLOWS]]
    out: dict[tuple[str, str], dict[str, Any]] = {}
    hosts: dict[str, set[str]] = {}
    for row, where, trips in zip(chosen, witnesses.of(chosen["flow"]), _trips(findings.trips, chosen), strict=True):
        _add(out, names, row, trips)
        hosts.setdefault(names.flow(int(row["flow"])), set()).update(where)
    certain: dict[tuple[str, str, str], int] = {}
    for entry in lost:
        if entry["certainty"] == "certain" and entry["of"] == "packet":
            key = entry["kind"], entry["flow"], entry["network"]
            certain[key] = certain.get(key, 0) + entry["wire_packets"]
    listed = sorted(out.values(), key=lambda entry: (-entry["packets"], entry["key"], entry["network"]))[:FLOWS]
    for entry in listed:
        for kind, name in (("vanished", "vanished"), ("drop", "dropped")):
            sure = min(certain.get((kind, entry["key"], entry["network"]), 0), entry[name])
            entry["unknown"] += entry[name] - sure
            entry[name] = sure
        entry.update(hosts=sorted(hosts[entry["key"]]), first=iso(entry.pop("first_ns")),
                     last=iso(entry.pop("last_ns")), rtt_us=spread(entry.pop("_trips")))
    return listed


def spread(parts: Sequence[np.ndarray]) -> dict[str, float] | None:
    """Return the shortest, the median and the longest of times in ns, in us; None of none."""
    times = np.concatenate([np.zeros(0, "i8"), *parts]) / 1e3
    if not len(times):
        return None
    return {"min": float(times.min()), "p50": float(np.median(times)), "max": float(times.max())}


def _trips(trips: np.ndarray, flows: np.ndarray) -> list[np.ndarray]:
    """Return the round trips of each flow, ns."""
    known = np.ascontiguousarray(trips["flow"])
    ends = zip(np.searchsorted(known, flows["flow"]).tolist(), np.searchsorted(known, flows["flow"], "right").tolist(),
               flows["network"].tolist(), strict=True)
    return [trips["ns"][low:high][trips["network"][low:high] == network] for low, high, network in ends]


def _add(out: dict[tuple[str, str], dict[str, Any]], names: Names, row: np.void, trips: np.ndarray) -> None:
    text, network = names.flow(int(row["flow"])), names.network(int(row["network"]))
    became = {name: int(row["became"][number]) for number, name in enumerate(NAMES)}
    fresh = {"key": text, "network": network, "packets": int(row["packets"]), "skbs": int(row["skbs"]),
             "bytes": int(row["bytes"]), "first_ns": int(row["first"]), "last_ns": int(row["last"]), **became,
             "retransmitted": int(row["again"]), "keepalives": int(row["asks"]), "ambiguous": int(row["unsure"]),
             "_trips": [trips]}
    have = out.setdefault((text, network), fresh)
    if have is fresh:
        return
    for name, value in fresh.items():
        if name == "first_ns":
            have[name] = min(have[name], value)
        elif name == "last_ns":
            have[name] = max(have[name], value)
        elif isinstance(value, int | list):
            have[name] += value


def segments(findings: Findings, names: Names, clocks: Mapping[str, HostClock]) -> list[dict[str, Any]]:
    """Return the steps, in the order of their places; missing: packets that were lost between the two."""
    missing: dict[tuple[int, int], list[int]] = {}
    for kind, gone in findings.losses.items():
        loss = dict(zip(_FIELDS, kind, strict=True))
        between = loss["last"] >= 0 and loss["after"] >= 0 and loss["last"] != loss["after"]
        if loss["kind"] == OF_PACKET and between:
            sure = loss["outcome"] in (DROPPED, VANISHED)
            count = missing.setdefault((loss["last"], loss["after"]), [0, 0])
            count[0] += gone.packets * sure
            count[1] += gone.bytes * sure
    out = []
    for pair in sorted(set(findings.steps) | set(missing), key=lambda pair: [str(names.place(one)) for one in pair]):
        one, two = names.place(pair[0]), names.place(pair[1])
        step = findings.steps.get(pair)
        bound = 0.0 if one.host == two.host else clocks[one.host].bound_to(clocks[two.host])
        entry: dict[str, Any] = {
            "from": one.short(), "to": two.short(), "packets": step.packets if step else 0,
            "bytes": step.bytes if step else 0, "unsure": step.unsure if step else 0,
            "missing": missing.get(pair, [0, 0])[0], "missing_bytes": missing.get(pair, [0, 0])[1],
            "reordered": step.reordered if step else 0,
            "duplicated": findings.doubled.get(pair[1], 0) if one.host != two.host else 0,
            "changed": step.changed if step else {}, "latency_us": None,
            "jitter_us": step.differs / step.pairs / 1e3 if step and step.pairs else None}
        if step and step.times:
            p50, p99 = step.percentiles()
            entry["latency_us"] = {"min": step.least / 1e3, "p50": p50 / 1e3, "p99": p99 / 1e3,
                                   "max": step.most / 1e3, "bound": bound}
        out.append(entry)
    return out


def paths(findings: Findings, names: Names, most: int) -> list[dict[str, Any]]:
    """Return the ways that most packets went, by pair of addresses; where copies branched off, the tree of most."""
    out = []
    for path, packets in sorted(findings.paths.items(), key=lambda item: (-item[1], item[0]))[:most]:
        entry = {"addresses": names.ends(path[0]), "packets": packets,
                 "places": [names.place(code).short() for code in path[1:]]}
        nodes = findings.trees.get(path, (0, ()))[1]
        if nodes:
            entry["branches"] = [dict(names.place(place).short(), before=before if before >= 0 else None, own=bool(own))
                                 for before, place, own in nodes]
        out.append(entry)
    return out
