# SPDX-License-Identifier: Apache-2.0
"""From findings to summary.json: flows, segments and losses with names, each loss with how sure it is, and why."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bundle.labels import Labels
from ..journey.follow import Findings, Setting
from ..journey.outcomes import ALIKE, CLOCKS, DROPPED, EARLY, LATE, NAMES, UNKNOWN, VANISHED
from ..packet.flowtext import flow_of
from ..packet.places import Place
from ..words import iso
from .hosts import Host

# net/core/skbuff.c: frees a list of packets, as those that a qdisc threw away
_HELPERS = ("kfree_skb_list", "kfree_skb_list_reason", "kfree_skb_reason", "sk_skb_reason_drop", "kfree_skb")


@dataclass
class Names:
    """What numbers in findings stand for."""

    setting: Setting
    labels: Sequence[Labels]

    def place(self, number: int) -> Place:
        """Return a place."""
        return self.setting.atlas.places[number]

    def flow(self, flow: int) -> str:
        """Return the words for a flow."""
        table = self.setting.flows
        place = int(np.searchsorted(table["flow"], np.uint64(flow)))
        return flow_of(table[place]) if place < len(table) and table["flow"][place] == flow else "unknown flow"

    def target(self, place: Place, drop: int) -> str:
        """Return the function that a place's point is at."""
        return self.labels[self.setting.atlas.drops[drop][0]].target(place.point)

    def drop(self, number: int) -> dict[str, Any]:
        """Return function, reason and stack of a drop."""
        bundle, reason, location, stack = self.setting.atlas.drops[number]
        names = self.labels[bundle]
        at, frames = names.symbol(location), names.stack(stack)
        return {"function": _who(at, frames) if at else None, "at": at,
                "reason": names.reason(reason) if reason else None, "stack": frames}


def _who(at: str, frames: Sequence[str]) -> str:
    """Return the function that dropped a packet: not the kernel's helper that frees for others, but who called it."""
    functions = [frame.split("+")[0] for frame in (at, *frames)]
    return next((function for function in functions if function not in _HELPERS), functions[0])


def lossy_hosts(hosts: Sequence[Host], findings: Findings) -> dict[str, str]:
    """Return the hosts that may not have recorded every packet that they saw, with why."""
    out = {}
    for host in hosts:
        if host.bundles and host.lost:
            out[host.name] = "%s lost %d records" % (host.name, host.lost)
        elif any(bundle.truncated for bundle, _, _ in host.bundles):
            out[host.name] = "records of %s were cut off" % host.name
        elif host.bundles and findings.holes.get(host.name):
            out[host.name] = "%s did not record %d packets that it must have seen" % (host.name,
                                                                                     findings.holes[host.name])
    return out


def losses(findings: Findings, names: Names, lossy: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return every loss: drops and packets that vanished, one entry for each flow and place, most packets first."""
    out: dict[tuple[Any, ...], dict[str, Any]] = {}
    for kind, lost in findings.losses.items():
        outcome, why, last, at, drop, after, flow = kind
        entry: dict[str, Any] = {"kind": "drop" if outcome == DROPPED else "vanished", "flow": names.flow(flow)}
        if outcome == DROPPED:
            place = names.place(at)
            entry.update(certainty="certain", why="the kernel freed the packet as a drop", host=place.host,
                         netns=place.netns, device=place.device, point=place.point, **names.drop(drop))
            if not entry["function"]:   # the point itself is where it happened
                entry["function"] = names.target(place, drop)
            if last >= 0:
                entry["last_seen"] = names.place(last).short()
        else:
            entry.update(_vanished(names.place(last), names.place(after), outcome, why, lossy))
        entry.update(packets=lost.skbs if outcome == DROPPED else lost.packets, wire_packets=lost.packets,
                     bytes=lost.bytes, first_ns=lost.first, last_ns=lost.last)
        _merge(out, entry)
    return sorted(out.values(), key=lambda entry: (-entry["packets"], entry["flow"]))


def _vanished(last: Place, after: Place, outcome: int, why: int, lossy: Mapping[str, str]) -> dict[str, Any]:
    reasons = [lossy[host] for host in dict.fromkeys((last.host, after.host)) if host in lossy]
    if outcome == UNKNOWN:
        reasons.append({ALIKE: "other packets look the same", EARLY: "%s stopped recording before" % after.host,
                        LATE: "%s had not begun to record" % after.host,
                        CLOCKS: "the clocks of %s and %s cannot be compared so well that %s was recording for sure"
                                % (last.host, after.host, after.host)}[why])
    if last.asks:
        certain = ("Open vSwitch had no flow for it in the kernel and gave it to its daemon, which sent nothing on, "
                   "though %s lost no record" % after.host)
    elif last.host == after.host:
        certain = "no record behind it, and no drop, though %s lost no record" % after.host
    else:
        certain = ("%s, which was recording and lost no record, never saw what %s had sent" % (after.host, last.host))
    text = "; ".join(reasons) or certain
    return {"certainty": "unknown" if reasons else "certain", "why": text, "between": [last.short(), after.short()],
            "host": last.host, "device": last.device, "point": last.point}


def _merge(out: dict[tuple[Any, ...], dict[str, Any]], entry: dict[str, Any]) -> None:
    """Add an entry to the one that differs in nothing but the stack, or the last place before the drop."""
    key = (entry["kind"], entry["flow"], entry["certainty"], entry["why"], entry["host"], entry.get("netns"),
           entry["device"], entry["point"], entry.get("function"), entry.get("reason"),
           str(entry.get("between")))
    same = out.setdefault(key, entry)
    if same is entry:
        return
    if entry["packets"] > same["packets"]:
        same.update({name: entry[name] for name in ("stack", "at", "last_seen") if name in entry})
    for name in ("packets", "wire_packets", "bytes"):
        same[name] += entry[name]
    same["first_ns"], same["last_ns"] = min(same["first_ns"], entry["first_ns"]), max(same["last_ns"], entry["last_ns"])


def flows(findings: Findings, names: Names, lost: Sequence[dict[str, Any]], hosts: Mapping[str, list[str]],
          most: int) -> list[dict[str, Any]]:
    """Return the flows with most packets and what became of them; hosts: by flow, where it was seen."""
    certain: dict[tuple[str, str], int] = {}
    for entry in lost:
        if entry["kind"] == "vanished":
            key = (entry["flow"], entry["certainty"])
            certain[key] = certain.get(key, 0) + entry["wire_packets"]
    out = []
    for flow, found in sorted(findings.flows.items(), key=lambda item: -item[1].packets)[:most]:
        text = names.flow(flow)
        became = {name: int(found.outcomes[number]) for number, name in enumerate(NAMES)}
        became.update(vanished=certain.get((text, "certain"), 0), unknown=certain.get((text, "unknown"), 0))
        out.append({"key": text, "packets": found.packets, "skbs": found.skbs, "bytes": found.bytes,
                    "hosts": hosts.get(text, []), "first": iso(found.first), "last": iso(found.last), **became,
                    "retransmitted": found.retransmitted, "ambiguous": found.unsure})
    return out


def segments(findings: Findings, names: Names, lost: Sequence[dict[str, Any]],
             bounds: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return the segments, in the order of their places."""
    missing: dict[tuple[int, int], list[int]] = {}
    for kind, gone in findings.losses.items():
        outcome, _, last, _, _, after, _ = kind
        if outcome in (DROPPED, VANISHED) and last >= 0 and after >= 0 and last != after:
            count = missing.setdefault((last, after), [0, 0])
            count[0] += gone.packets
            count[1] += gone.bytes
    out = []
    for pair in sorted(set(findings.segments) | set(missing), key=lambda pair: [str(names.place(one)) for one in pair]):
        one, two = names.place(pair[0]), names.place(pair[1])
        segment = findings.segments.get(pair)
        bound = 0.0 if one.host == two.host else _sum(bounds.get(one.host), bounds.get(two.host))
        entry: dict[str, Any] = {
            "from": one.short(), "to": two.short(), "packets": segment.packets if segment else 0,
            "bytes": segment.bytes if segment else 0, "missing": missing.get(pair, [0, 0])[0],
            "missing_bytes": missing.get(pair, [0, 0])[1], "reordered": segment.reordered if segment else 0,
            "duplicated": findings.duplicated.get(pair[1], 0) if one.host != two.host else 0,
            "changed": segment.changed if segment else {}, "latency_us": None}
        if segment and segment.times:
            p50, p99 = segment.percentiles()
            entry["latency_us"] = {"min": segment.least / 1e3, "p50": p50 / 1e3, "p99": p99 / 1e3,
                                   "max": segment.most / 1e3, "bound": bound}
        out.append(entry)
    return out


def _sum(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else one + two


def paths(findings: Findings, names: Names, most: int) -> list[dict[str, Any]]:
    """Return the ways that most packets went, by pair of addresses."""
    table = names.setting.flows
    example = dict(zip(table["group"].tolist(), range(len(table)), strict=True))
    out = []
    for (group, *codes), packets in sorted(findings.paths.items(), key=lambda item: (-item[1], item[0]))[:most]:
        row = table[example[group]] if group in example else None
        ends = flow_of(row).rsplit(" ", 1)[0] if row is not None else "unknown"
        out.append({"addresses": _without_ports(ends), "packets": packets,
                    "places": [names.place(code).short() for code in codes]})
    return out


def _without_ports(text: str) -> str:
    ends = [end[1:].split("]")[0] if end.startswith("[") else end.split(":")[0] if end.count(":") == 1 else end
            for end in text.split(" > ")]
    return " > ".join(ends)
