# SPDX-License-Identifier: Apache-2.0
"""Put summary.json together."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..bundle.find import Expected, Inputs
from ..bundle.labels import DROP_POINT
from ..excerpt.asked import Excerpt
from ..findings import thinned, topology
from ..findings.devices import device_table
from ..findings.flows import flows, paths, segments
from ..findings.hosts import Host, apart, one_value
from ..findings.losses import losses, note_holes
from ..findings.names import Names
from ..findings.paths import path_changes
from ..findings.seen import Witnesses
from ..findings.sums import against_counters, disagreements
from ..findings.unanswered import unanswered
from ..journey.found import NAMES, Findings
from ..journey.grounds import Trust
from ..packet.sample import Sample
from ..words import iso
from . import excerpt, verdict
from .alike import folded
from .bridged import stale_entries
from .cached import cached_routes
from .causes import add_causes, add_full_queues, add_unseen, known_of
from .excerpt import Cut
from .not_followed import drops_not_followed
from .numbers import flows as not_followed
from .numbers import host_entry, window
from .offloaded import add_offloaded
from .queues import Queues, add_queues
from .redirected import add_redirects
from .result import result
from .store import Store
from .switched import add_decisions, stale_flows
from .tunnelled import unknown_networks

FORMAT = "skbfleet-summary/1"
LOSSES = 10_000  # that are listed one by one
UNANSWERED = 1000
PATHS = 100


@dataclass
class Request:
    """What to merge and what is known about the run besides."""

    inputs: Inputs
    expected: Mapping[str, Expected] = field(default_factory=dict)
    homes: topology.Homes = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)   # goes into the summary as it is: reproduce, …
    packets: bool = True                                  # whether capture.pcapng is made
    report: bool = True                                   # whether report.html is made
    trace: bool = True                                    # whether journeys.perfetto-trace is made
    excerpt: Excerpt | None = None                        # what is asked for; None: everything


def summarise(request: Request, hosts: Sequence[Host], store: Store, findings: Findings, names: Names,
              trusts: Mapping[str, Trust], places: list[dict[str, Any]], witnesses: Witnesses,
              sample: Sample | None, queues: Queues, cut: Cut | None = None) -> dict[str, Any]:
    """Return the content of summary.json. places, witnesses: what was seen where, of all records and of each flow;
    sample: which packets were taken, None for all; cut: what was taken out of the run for request.excerpt."""
    note_holes(findings, names.atlas.hosts, trusts)
    followed, copies = losses(findings, names, trusts)
    clocks = {host.name: host.bundles[0][2] for host in hosts if host.bundles}
    add_queues(followed + copies, queues.before_drops())
    devices = device_table(hosts)
    lost = followed + drops_not_followed(store)
    known = known_of(hosts)
    add_causes(lost + copies, store, known, devices, _all_drops(places) if cut else {})
    add_unseen(lost + copies, known)
    add_decisions(lost, store, known)
    add_redirects(lost, store, known)
    add_offloaded(lost, store, known)
    asked = unanswered(findings, names, hosts, UNANSWERED)
    add_full_queues(asked, known)
    records = sum(host.records for host in hosts)
    if cut:
        places, records = excerpt.seen(store), excerpt.records(store)
    became = findings.flows["became"].sum(axis=0).tolist() if len(findings.flows) else [0] * len(NAMES)
    summary = {
        "format": FORMAT, "run_id": request.inputs.run_id, "window": window(hosts),
        "filter": one_value(hosts, "filter") or {},
        "tracers": sorted({bundle.tracer for host in hosts for bundle, _, _ in host.bundles}),
        "records": records,
        # over all flows, of which only those with most packets are listed
        "packets": int(findings.flows["packets"].sum()),
        "lost": _total(followed, "certain"),
        "likely": _total(followed, "likely"),
        "unknown": _total(followed, "likely", "unknown"),
        "harmless": {level: _total([loss for loss in followed if loss.get("harmless")], level)
                     for level in ("certain", "likely", "unknown")},
        "became": dict(zip(NAMES, became, strict=True)),
        "retransmitted": int(findings.flows["again"].sum()), "keepalives": int(findings.flows["asks"].sum()),
        **request.facts,
        "hosts": {host.name: dict(host_entry(host), **({"evidence": known.entries[host.name]}
                                                       if host.name in known.entries else {})) for host in hosts},
        "flows": flows(findings, names, lost, witnesses), "flows_total": len(findings.flows),
        "flows_not_followed": not_followed(store),
        "paths": paths(findings, names, PATHS),
        "path_changes": path_changes(findings, names, trusts, PATHS),
        "segments": segments(findings, names, clocks),
        "loops": [dict(names.place(place).short(), packets=count) for place, count in sorted(findings.loops.items())],
        "losses": [_shown(loss) for loss in lost[:LOSSES]], "losses_total": len(lost),
        "drops": sum(loss["packets"] for loss in lost if loss["kind"] == "drop"),
        "copies": [_shown(loss) for loss in copies[:LOSSES]],
        "copies_dropped": sum(loss["wire_packets"] for loss in copies),
        "unanswered": asked,
        "stale_flows": stale_flows(known),
        "stale_entries": stale_entries(store, known, devices),
        "unknown_networks": unknown_networks(store, known, devices),
        "cached_routes": cached_routes(store, known),
        "queues": queues.table(),
        "seen": places,
        "devices": [dict({"host": host, "netns": netns, "device": name}, **entry)
                    for (host, netns, name), entry in sorted(devices.items())],
    }
    if sample and sample.agreed:
        summary["sample"] = thinned.sample_entry(sample, findings, followed)
    if request.excerpt and cut:
        summary["excerpt"] = excerpt.excerpt_entry(request.excerpt, cut, hosts, findings)
    summary["result"] = result(summary, lost)
    sentences = verdict.sentences(hosts, summary, lost, devices)
    summary["verdict"] = [sentence.text for sentence in sentences]
    summary["basis"] = [sentence.basis() for sentence in sentences]
    lossy = {name: trust.lossy for name, trust in trusts.items() if trust.lossy}
    summary["doubts"] = verdict.doubts(hosts, request.inputs.foreign, summary, lossy) + apart(trusts)
    summary["doubts"] += known.doubts
    summary["doubts"] += disagreements(findings, followed + copies, summary, names)
    summary["doubts"] += against_counters(hosts, places, devices)
    summary["doubts"] += thinned.doubts(sample, hosts, findings) if sample else []
    summary["doubts"] += excerpt.doubts(summary["excerpt"]) if cut else []
    summary["doubts"] += [_more_counted(trust) for trust in trusts.values() if trust.counted]
    summary["doubts"] = folded(summary["doubts"], {host.name for host in hosts})
    return summary


def _all_drops(places: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], int]:
    """Return how many packets the whole run saw dropped at each device."""
    return {(place["host"], place["netns"], place["device"]): place["packets"] for place in places
            if place["point"] == DROP_POINT}


def _total(losses: Sequence[Mapping[str, Any]], *levels: str) -> int:
    return sum(loss["wire_packets"] for loss in losses if loss["certainty"] in levels)


def _more_counted(trust: Trust) -> str:
    other = trust.late or trust.early or trust.lossy     # that is said elsewhere
    return "By its own counter %s%s." % (
        trust.counted, "" if other else ": hardware may have switched the others past the kernel")


def _shown(loss: Mapping[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in loss.items() if name not in ("first_ns", "last_ns", "squares", "largest")}
    return dict(out, first=iso(loss["first_ns"]), last=iso(loss["last_ns"]))
