# SPDX-License-Identifier: Apache-2.0
"""Put summary.json together."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..bundle.find import Inputs
from ..findings import story, topology
from ..findings.devices import device_table
from ..findings.hosts import Expected, Host, apart, one_value
from ..findings.not_followed import drops_not_followed
from ..journey.follow import Findings
from ..words import iso
from . import verdict
from .numbers import FLOWS, flows, host_entry, hosts_of, seen, window
from .store import Store

FORMAT = "skbfleet-summary/1"
LOSSES = 10_000  # that are listed one by one
PATHS = 100


@dataclass
class Request:
    """What to merge and what is known about the run besides."""

    inputs: Inputs
    expected: Mapping[str, Expected] = field(default_factory=dict)
    homes: topology.Homes = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)   # goes into the summary as it is: reproduce, …


def summarise(request: Request, hosts: Sequence[Host], store: Store, findings: Findings,
              names: story.Names) -> dict[str, Any]:
    """Return the content of summary.json."""
    lossy = story.lossy_hosts(hosts, findings)
    followed = story.losses(findings, names, lossy)
    losses = followed + drops_not_followed(store)
    bounds = {host.name: 0.0 if host.bundles[0][2].reference else host.bundles[0][2].bound_us
              for host in hosts if host.bundles}
    devices = device_table(hosts)
    places = seen(store)
    summary = {
        "format": FORMAT, "run_id": request.inputs.run_id, "window": window(hosts),
        "filter": one_value(hosts, "filter") or {},
        "tracers": sorted({bundle.tracer for host in hosts for bundle, _, _ in host.bundles}),
        "records": sum(host.records for host in hosts),
        # over all flows, of which only those with most packets are listed
        "packets": sum(flow.packets for flow in findings.flows.values()),
        "lost": sum(loss["wire_packets"] for loss in followed if loss["certainty"] == "certain"),
        "unknown": sum(loss["wire_packets"] for loss in followed if loss["certainty"] == "unknown"),
        **request.facts,
        "hosts": {host.name: host_entry(host) for host in hosts},
        "flows": story.flows(findings, names, losses, hosts_of(store), FLOWS), "flows_total": len(findings.flows),
        "flows_not_followed": flows(store),
        "paths": story.paths(findings, names, PATHS),
        "segments": story.segments(findings, names, losses, bounds),
        "losses": [_shown(loss) for loss in losses[:LOSSES]], "losses_total": len(losses),
        "drops": sum(loss["packets"] for loss in losses if loss["kind"] == "drop"),
        "copies_dropped": sum(findings.copies.values()),
        "seen": places,
        "devices": [dict({"host": host, "netns": netns, "device": name}, **entry)
                    for (host, netns, name), entry in sorted(devices.items())],
    }
    summary["verdict"] = verdict.sentences(hosts, summary, losses, devices)
    summary["doubts"] = verdict.doubts(hosts, request.inputs.foreign, summary, lossy) + apart(names.setting.trust)
    return summary


def _shown(loss: Mapping[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in loss.items() if name not in ("first_ns", "last_ns")}
    return dict(out, first=iso(loss["first_ns"]), last=iso(loss["last_ns"]))
