# SPDX-License-Identifier: Apache-2.0
"""Losses with their grounds: one entry for each flow and place, with how sure it is, on what that rests, and what is
missing."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..journey import branches, grounds
from ..journey.bursts import join_bursts, worst_bursts
from ..journey.found import DROPPED, LOSS, OF_BRANCH, OF_COPY, OF_PACKET, OF_RECEIVER, Findings, Lost
from ..journey.grounds import GAPS, LOSSY_HERE, LOSSY_NEXT, Trust
from ..packet.places import OWN, TAKEN, Place
from ..words import iso
from .meaning import meaning
from .names import Names
from .shares import Volumes, share

_WHOSE = {OF_PACKET: "packet", OF_RECEIVER: "receiver", OF_COPY: "copy", OF_BRANCH: "branch"}
_FIELDS = LOSS.names or ()
_BURSTS = 5    # of each loss that are listed


def note_holes(findings: Findings, hosts: Sequence[str], trusts: Mapping[str, Trust]) -> None:
    """Mistrust the hosts that did not record packets that they must have seen."""
    for host, count in findings.holes.items():
        trust = trusts.get(hosts[host])
        if trust and not trust.lossy and not trust.filtered and not trust.blind:
            trust.lossy = "%s did not record %d packets that it must have seen" % (hosts[host], count)


def losses(findings: Findings, names: Names, trusts: Mapping[str, Trust]) -> tuple[list[dict[str, Any]],
                                                                                list[dict[str, Any]]]:
    """Return (every loss, every drop of a copy): one entry for each flow and place, most packets first."""
    out: dict[tuple[Any, ...], dict[str, Any]] = {}
    kinds = [dict(zip(_FIELDS, values, strict=True)) for values in findings.losses]
    volumes = Volumes(findings, names.atlas).packets(np.array([kind["flow"] for kind in kinds], "u8"),
                                                     np.array([kind["network"] for kind in kinds], "u4")).tolist()
    for kind, lost, volume in zip(kinds, findings.losses.values(), volumes, strict=True):
        _merge(out, _entry(kind, lost, names, trusts), volume)
    for entry in out.values():
        entry["bursts"] = [{"first": iso(first), "last": iso(last), "packets": packets}
                           for first, last, packets in worst_bursts(entry["bursts"], _BURSTS)]
    ordered = sorted(out.values(), key=lambda entry: (-entry["packets"], entry["flow"], str(entry["host"])))
    return ([entry for entry in ordered if entry["of"] != "copy"],
            [entry for entry in ordered if entry["of"] == "copy"])


def _entry(kind: Mapping[str, int], lost: Lost, names: Names, trusts: Mapping[str, Trust]) -> dict[str, Any]:
    dropped = kind["outcome"] == DROPPED
    entry: dict[str, Any] = {"kind": "drop" if dropped else "vanished", "flow": names.flow(kind["flow"]),
                             "network": names.network(kind["network"]), "of": _WHOSE[kind["kind"]]}
    last = names.place(kind["last"]) if kind["last"] >= 0 else None
    if dropped:
        place = after = names.place(kind["at"])
        entry.update(host=place.host, netns=place.netns, device=place.device, point=place.point,
                     **names.drop(kind["drop"]))
        if not entry["function"]:   # the point itself is where it happened
            entry["function"] = names.target(place, kind["drop"])
        if last:
            entry["last_seen"] = last.short()
    else:
        place, after = names.place(kind["last"]), names.place(kind["after"])
        entry.update(between=[place.short(), after.short()], host=place.host, device=place.device, point=place.point)
    gaps = kind["gaps"] | (0 if dropped else _holes(place, after, trusts))
    entry["certainty"] = grounds.certainty(gaps)
    entry["missing_grounds"] = _missing(gaps, place, after, trusts)
    entry["grounds"] = _grounds(dropped, kind, gaps, place, after)
    entry["why"] = "; ".join(entry["missing_grounds"]) or entry["grounds"][0]
    if entry["of"] in ("copy", "branch"):
        entry["copies"] = True
    entry.update(packets=lost.skbs if dropped else lost.packets, wire_packets=lost.packets, bytes=lost.bytes,
                 squares=lost.squares, largest=lost.largest, first_ns=lost.first, last_ns=lost.last,
                 journeys=["%016x" % journey for journey in lost.journeys], bursts=lost.bursts)
    known = meaning(entry["function"], entry["reason"]) if dropped else None
    # a bridge hands what is for many to its host, too, which mostly has no use for it
    unused = known and known.harmless_to_many and entry["of"] == "receiver" and place.role in OWN
    if known and (known.harmless or unused):
        entry["harmless"] = True
    return entry


def _holes(last: Place, after: Place, trusts: Mapping[str, Trust]) -> int:
    """Return what is missing because a host turned out not to have recorded everything."""
    here, there = trusts.get(last.host), trusts.get(after.host)
    return ((LOSSY_HERE.bit if here and here.lossy else 0)
            | (LOSSY_NEXT.bit if there and there.lossy and there is not here else 0))


def _missing(gaps: int, here: Place, after: Place, trusts: Mapping[str, Trust]) -> list[str]:
    """Return the words for the grounds that are missing."""
    if not gaps:
        return []
    own, there = trusts.get(here.host), trusts.get(after.host)
    values = {"here": here.host, "next": after.host, "lossy_here": own.lossy if own else "",
              "lossy_next": there.lossy if there else "", "filtered": there.filtered if there else "",
              "forgotten": there.forgotten if there else "",
              "between": "; ".join(name + " recorded only in part" for name, one in sorted(trusts.items())
                                   if one.partly and name not in (here.host, after.host)),
              "blind": ", ".join(dict.fromkeys(one.blind for one in (own, there) if one and one.blind))}
    return [gap.words.format(**values) for gap in GAPS if gaps & gap.bit]


def _grounds(dropped: bool, kind: Mapping[str, int], gaps: int, here: Place, after: Place) -> list[str]:
    """Return the facts that the statement rests on."""
    if dropped:
        out = ["the kernel freed the packet as a drop"]
        if kind["kind"] == OF_RECEIVER:
            return [*out, "the packet was for many receivers, and this one did not get it"]
        return out if kind["kind"] == OF_COPY else [*out, *_branch(kind)]
    complete = "though %s lost no record" % after.host if not gaps & grounds.INCOMPLETE else ""
    if here == after:
        return [", ".join(filter(None, ["Open vSwitch had no flow for it in the kernel and gave it to its daemon, "
                                        "which sent nothing on", complete]))]
    if here.host == after.host:
        first = ", ".join(filter(None, ["no record behind it, and no drop", complete]))
    else:
        first = "%s%s never saw what %s" % (
            after.host, ", which was recording and lost no record," if complete else "",
            here.host + " had sent" if here.point in TAKEN else "had come to %s on %s" % (here.device, here.host))
    return [first, *_seen_there(gaps), *_branch(kind)]


def _seen_there(gaps: int) -> list[str]:
    """Return what of the same flow was seen where the packet should have come."""
    if gaps & (grounds.TOLD.bit | grounds.RESIDENT.bit):
        return []
    if gaps & grounds.NOT_BEFORE.bit:
        return ["packets of the same flow after it were seen there"]
    if gaps & grounds.NOT_AFTER.bit:
        return ["packets of the same flow before it were seen there"]
    return ["packets of the same flow before and after it, or its receiver's own, were seen there"]


def _branch(kind: Mapping[str, int]) -> list[str]:
    """Return how it is known that this branch was the packet."""
    return [] if kind["ground"] == branches.UNDECIDED else [branches.GROUNDS[kind["ground"]]]


def _merge(out: dict[tuple[Any, ...], dict[str, Any]], entry: dict[str, Any], volume: int) -> None:
    """Add an entry to the one that differs in nothing but the stack, or the last place before the drop. volume: packets
    of its flow."""
    key = (*(entry.get(name) for name in ("kind", "of", "flow", "network", "certainty", "why", "host", "netns",
                                          "device", "point", "function", "reason")), str(entry.get("between")))
    same = out.setdefault(key, entry)
    if same is entry:
        entry["share"] = share(entry["wire_packets"], volume)
        return
    if entry["packets"] > same["packets"]:
        same.update({name: entry[name] for name in ("stack", "at", "last_seen") if name in entry})
    for name in ("packets", "wire_packets", "bytes", "squares"):
        same[name] += entry[name]
    same["largest"] = max(same["largest"], entry["largest"])
    same["share"] = share(same["wire_packets"], volume)
    same["bursts"] = join_bursts([*same["bursts"], *entry["bursts"]])
    same["journeys"] = sorted([*same["journeys"], *entry["journeys"]])[:3]
    same["first_ns"], same["last_ns"] = min(same["first_ns"], entry["first_ns"]), max(same["last_ns"], entry["last_ns"])
