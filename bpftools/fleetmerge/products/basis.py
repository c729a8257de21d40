# SPDX-License-Identifier: Apache-2.0
"""What a sentence of the verdict rests on."""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..findings.hosts import Host
from ..words import passed

_FLOWS = 5    # that are named
SAMPLES = 3  # journeys that are named
_HOSTS = 20   # that are named


@dataclass(frozen=True)
class Sentence:
    """A sentence of the verdict with its basis. certainty: empty where the sentence is a count of records."""

    text: str
    grounds: Sequence[str] = ()
    missing_grounds: Sequence[str] = ()
    certainty: str = ""
    journeys: Sequence[str] = field(default=())
    at: str = ""
    stack: Sequence[str] = ()
    about: Mapping[str, Any] | None = None

    def basis(self) -> dict[str, Any]:
        """Return what stands in summary.json beside the sentence."""
        return {"certainty": self.certainty, "grounds": list(self.grounds),
                "missing_grounds": list(self.missing_grounds), "journeys": list(self.journeys), "at": self.at,
                "stack": list(self.stack), "about": self.about}


def of_place(text: str, place: Mapping[str, Any]) -> Sentence:
    """Return a sentence about what was lost at one place; place: losses summed by verdict.by_place()."""
    return Sentence(text, place["grounds"], place["missing_grounds"], place["certainty"], place["journeys"],
                    place.get("at") or "", place.get("stack") or (), about(place))


def about(loss: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a loss one of those that a sentence is about."""
    return {name: loss.get(name) for name in ("kind", "host", "device", "function", "reason", "between", "certainty")}


def of_hosts(hosts: Sequence[Host]) -> list[str]:
    """Return what was looked at, and how much of it was kept."""
    rest = ["and %d more hosts" % (len(hosts) - _HOSTS)] if len(hosts) > _HOSTS else []
    return [_of_host(host) for host in hosts[:_HOSTS]] + rest


def _of_host(host: Host) -> str:
    gone = ", ".join("%d %s" % (count, name) for name, count in (("lost", host.lost), ("shed", host.shed)) if count)
    return "%s: %s, %d records, %s; it looked at %s" % (
        host.name, host.status(), host.records, gone or "none lost", ", ".join(host.attached()) or "nothing")


def of_balance(summary: Mapping[str, Any], hosts: Sequence[Host]) -> list[str]:
    """Return what became of all packets, and who looked."""
    became = ", ".join("%d %s" % (count, name.replace("_", " ")) for name, count in summary["became"].items() if count)
    return ["outcomes: %s" % became, *of_hosts(hosts)]


def of_flows(flows: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    """Return the flows that have most of something; name: what flows count."""
    most = sorted((flow for flow in flows if flow[name]), key=lambda flow: -flow[name])
    rest = ["%d more of the flows that are listed have some" % (len(most) - _FLOWS)] if len(most) > _FLOWS else []
    return ["%d of %s" % (flow[name], flow["key"]) for flow in most[:_FLOWS]] + rest


def place_words(place: Mapping[str, str]) -> str:
    """Return the words for a place."""
    return "%s %s (%s)" % (place["host"], place["device"], place["point"])


def of_step(segment: Mapping[str, Any]) -> str:
    """Return what was measured of a step."""
    took, bound = segment["latency_us"], segment["latency_us"] and segment["latency_us"]["bound"]
    text = "%s: %s packets" % (" to ".join(map(place_words, (segment["from"], segment["to"]))), passed(segment))
    if took:
        text += ", min %.1f, median %.1f, 99 %% %.1f, max %.1f µs%s" % (
            took["min"], took["p50"], took["p99"], took["max"],
            ", ± %.1f" % bound if bound is not None else "; the two clocks were not compared")
    return text


def of_way(change: Mapping[str, Any]) -> list[str]:
    """Return the two ways of a flow."""
    return ["%s, %d packets: %s" % (when, change["packets_" + when], " > ".join(
        "%s %s %s" % (place["host"], place["device"], place["point"]) for place in change[when]))
        for when in ("before", "after")]
