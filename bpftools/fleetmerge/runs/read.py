# SPDX-License-Identifier: Apache-2.0
"""A merged run, as its summary.json has it, in the shares that can be compared with another run's."""
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import MergeError
from ..products.summary import FORMAT, LOSSES, PATHS

_LARGEST = 256 << 20    # bytes of a summary


@dataclass
class Share:
    """So many packets of so many."""

    part: int
    whole: int


@dataclass
class Run:
    """One run. Keys are what a difference is told by: they mean the same in both runs."""

    name: str
    packets: int
    seconds: float | None
    asked: Mapping[str, Any]                                # filter, tracers, sample
    points: dict[str, set[str]]                             # host -> points that were attached
    gaps: list[str]                                         # what this run does not know
    losses: dict[str, Share] = field(default_factory=dict)
    flows: dict[str, Share] = field(default_factory=dict)   # sent again, keep-alives
    ways: dict[tuple[str, str], Share] = field(default_factory=dict)      # addresses, places
    changes: dict[tuple[str, str], Share] = field(default_factory=dict)   # step, field
    steps: dict[str, Mapping[str, float]] = field(default_factory=dict)   # step -> packets, p50, p99, bound (µs)
    queues: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def read(directory: str) -> Run:
    """Read a run. Raises MergeError if it has no summary that can be read."""
    path = os.path.join(directory, "summary.json")
    try:
        if os.path.getsize(path) > _LARGEST:
            raise MergeError("%s has more than %d MiB" % (path, _LARGEST >> 20))
        with open(path, encoding="utf-8") as handle:
            summary = json.load(handle)
        if summary["format"] != FORMAT:
            raise MergeError("%s is of the format %.40r, not %s" % (path, summary["format"], FORMAT))
        return _run(summary)
    except OSError as error:
        raise MergeError("%s: %s; merge the run first" % (path, error.strerror)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MergeError("%s is no summary of a run: %s: %.100s" % (path, type(error).__name__, error)) from None


def _run(summary: Mapping[str, Any]) -> Run:
    packets = int(summary["packets"])
    seconds = summary["window"]["seconds"]
    run = Run(str(summary["run_id"]), packets, None if seconds is None else float(seconds),
              {"filter": summary["filter"], "tracers": summary["tracers"],
               "sample": summary.get("sample", {}).get("one_in")},
              {host: set(one["points"]["attached"]) for host, one in summary["hosts"].items()}, list(_gaps(summary)))
    run.flows = {"Segments that TCP sent again": Share(int(summary["retransmitted"]), packets),
                 "Keep-alives": Share(int(summary["keepalives"]), packets)}
    for loss in summary["losses"]:
        share = run.losses.setdefault(_loss(loss), Share(0, packets))
        share.part += int(loss["wire_packets"])
    _read_ways(run, summary["paths"])
    for segment in summary["segments"]:
        _read_step(run, segment)
    run.queues = {"%s %s queue %s (%s)" % (one["host"], one["device"], one["queue"], one["kind"]): {
        "full": int(one["full"]["records"]), "records": int(one["records"]), "max": int(one["max"]),
        "unit": str(one["unit"])} for one in summary["queues"]}
    return run


def _gaps(summary: Mapping[str, Any]) -> Iterator[str]:
    for host, one in summary["hosts"].items():
        if one["status"] != "complete":
            yield "%s is %s" % (host, one["status"])
        gone = one["lost"] + one["shed"]
        if gone:
            yield "%s lost or shed %d records" % (host, gone)
    for name, listed in (("losses", LOSSES), ("paths", PATHS)):
        if len(summary[name]) >= listed:
            yield "summary.json lists %d %s and no more" % (listed, name)


def _loss(loss: Mapping[str, Any]) -> str:
    """Return where, how and why packets were lost."""
    if loss["kind"] == "drop":
        where = "%s at %s" % (loss["host"], loss["device"])
        inside = " in %s" % loss["function"] if loss["function"] else ""
        text = "dropped on %s%s%s" % (where, inside, " (%s)" % loss["reason"] if loss["reason"] else "")
    else:
        text = "vanished between %s" % " and ".join(_place(place) for place in loss["between"])
    return "Packets %s%s" % (text, {"certain": "", "likely": ", probably"}.get(loss["certainty"], ", perhaps"))


def _place(place: Mapping[str, Any]) -> str:
    return "%s %s (%s)" % (place["host"], place["device"], place["point"])


def _read_ways(run: Run, paths: Sequence[Mapping[str, Any]]) -> None:
    whole: dict[str, int] = {}
    for path in paths:
        whole[path["addresses"]] = whole.get(path["addresses"], 0) + int(path["packets"])
    for path in paths:
        nodes = path["branches"] if "branches" in path else path["places"]
        way = " > ".join("%s%s %s %s" % ("" if one.get("own", True) else "copy: ", one["host"], one["device"],
                                         one["point"]) for one in nodes)
        share = run.ways.setdefault((path["addresses"], way), Share(0, whole[path["addresses"]]))
        share.part += int(path["packets"])


def _read_step(run: Run, segment: Mapping[str, Any]) -> None:
    step, packets = "%s to %s" % (_place(segment["from"]), _place(segment["to"])), int(segment["packets"])
    for name, count in segment["changed"].items():
        run.changes[step, name] = Share(int(count), packets)
    took = segment["latency_us"]
    if took and took["bound"] is not None:
        run.steps[step] = {"packets": packets, **{name: float(took[name]) for name in ("p50", "p99", "bound")}}
