# SPDX-License-Identifier: Apache-2.0
"""The hosts of a run: what was asked for, what came, and everything that limits how far it can be trusted."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..bundle.find import Expected
from ..bundle.labels import DROP_POINT, DROP_POINTS
from ..bundle.manifest import Bundle
from ..clock.host import HostClock
from ..journey.grounds import Trust
from ..packet.survey import Index, window_of
from ..words import clean, settings
from . import counted, nearest

DROP_MONITOR = "drop_monitor"
NEVER = 1 << 62
NEEDED = ("dev.rx", "dev.tx", DROP_POINT)   # the points that a statement about what is not there needs
_LATE = 1_000_000       # ns that a start may be late without being worth a word
_EARLY = 5_000_000      # ns that an end may be early
_APART = 50_000_000     # ns that windows may differ between hosts


@dataclass
class Host:
    """One host of the run."""

    name: str
    expected: Expected | None = None
    bundles: list[tuple[Bundle, Index, HostClock]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)   # bundles that cannot be used: a sentence each

    @property
    def records(self) -> int:
        """Records that were merged."""
        return sum(bundle.records for bundle, _, _ in self.bundles)

    @property
    def lost(self) -> int:
        """Records that were lost on the host."""
        return sum(bundle.lost() for bundle, _, _ in self.bundles)

    @property
    def shed(self) -> int:
        """Records that its rate limit kept it from making."""
        return sum(bundle.shed() for bundle, _, _ in self.bundles)

    def trust(self) -> Trust:
        """Return from when to when its records are complete, on the one clock."""
        starts, ends = [], []
        for bundle, _, clock in self.bundles:
            low, high = window_of(bundle)
            ended = int(bundle.manifest["window"].get("ended_ns") or 0)
            high = min(high, ended) if ended else high
            starts.append(int(clock.to_wall(np.array([low + self.late_ns()]))[0]) if low else 0)
            ends.append(int(clock.to_wall(np.array([high]))[0]) if high < NEVER else NEVER)
        own = self.bundles[0][2]
        bound = 0.0 if own.reference else own.bound_us   # against the other hosts
        return Trust(max(starts), min(ends), np.inf if bound is None else bound * 1e3, self.late_ns() > _LATE,
                     self.early_ns() > _EARLY, self.lossy(), self.filtered(), self.blind(),
                     forgotten=self.forgotten())

    def lossy(self) -> str:
        """Return why records of packets that it saw may be missing; empty if none is."""
        if self.lost:
            return "%s lost %d records" % (self.name, self.lost)
        if self.shed:
            return "%s shed %d records to keep to its rate limit" % (self.name, self.shed)
        if any(bundle.truncated for bundle, _, _ in self.bundles):
            return "records of %s were cut off" % self.name
        counters = [bundle.manifest["counters"] for bundle, _, _ in self.bundles]
        for name, words in (("cut", "the limits of %s cut off %d records"),
                            ("unparsed", "%s could not parse %d packets, and did not record them")):
            count = max(int(counter.get(name) or 0) for counter in counters)
            if count:
                return words % (self.name, count)
        unreadable = sum(index.unreadable for _, index, _ in self.bundles)
        if unreadable:
            return "%s recorded %d packets with too few of their headers to recognise them" % (self.name, unreadable)
        return "" if self.status() == "complete" else "the data of %s is partial" % self.name

    def forgotten(self) -> str:
        """Return why packets may not have been followed to where they do not match; empty if all were."""
        count = max(int(bundle.manifest["counters"].get("forgotten") or 0) for bundle, _, _ in self.bundles)
        return "%s had no room to follow %d packets any further" % (self.name, count) if count else ""

    def _devices(self) -> list[str]:
        """Return the devices at which alone it looked; none if at all."""
        return sorted({clean(name) for bundle, _, _ in self.bundles
                       for name in _names(bundle.manifest["filter"].get("interfaces"))})

    def filtered(self) -> str:
        """Return at which devices it looked only; empty if at all."""
        names = self._devices()
        return "%s looked at %s only" % (self.name, ", ".join(names)) if names else ""

    def wanted(self) -> dict[str, Any]:
        """Return which packets it looked for, wherever; of a sample, which of them it took."""
        wanted = {name: value for bundle, _, _ in self.bundles for name, value in bundle.manifest["filter"].items()
                  if name not in ("interfaces", "netns") and value not in (None, "", [], {})}
        shares = {int(bundle.manifest["sample"].get("one_in") or 1) for bundle, _, _ in self.bundles}
        return dict(wanted, sample="one packet in %s" % " and ".join(map(str, sorted(shares)))
                    ) if shares - {1} else wanted

    def blind(self) -> str:
        """Return the points that nobody looked at, of those that tell where a packet went."""
        attached = set(self.attached())
        return ", ".join("%s on %s" % (point, self.name) for point in NEEDED if point not in attached)

    def unmatched(self) -> dict[str, int]:
        """Return the points that saw packets (how many), and none that fits the filter, though others did."""
        return {point: count for bundle, _, _ in self.bundles for point, count in counted.unmatched(bundle).items()}

    def nearest(self) -> dict[str, Any]:
        """Return what passed just after the window where nothing matched, as summary.json has it, if it was sampled."""
        return nearest.entry([bundle for bundle, _, _ in self.bundles])

    def drops_unrecorded(self) -> bool:
        """Return whether a packet that fits was dropped where the kernel does not say at which device."""
        return any(counted.dropped_unrecorded(bundle) for bundle, _, _ in self.bundles)

    def missing_tracers(self) -> list[str]:
        """Return the tracers that were asked for and sent nothing that can be used."""
        have = {bundle.tracer for bundle, _, _ in self.bundles}
        return [tracer for tracer in (self.expected.tracers if self.expected else []) if tracer not in have]

    def status(self) -> str:
        """Return complete, partial or missing."""
        if not self.bundles:
            return "missing"
        whole = not (self.broken or self.missing_tracers() or any(bundle.problems for bundle, _, _ in self.bundles))
        return "complete" if whole else "partial"

    def why(self) -> str:
        """Return why the host is not complete; empty if it is."""
        known = self.expected.why if self.expected else ""
        if not self.bundles:
            return "; ".join([*self.broken, *([known] if known else [])]) or "no bundle came from it"
        parts = list(self.broken)
        parts += ["%s: %s" % (bundle.tracer, problem) for bundle, _, _ in self.bundles for problem in bundle.problems]
        parts += ["nothing came from its %s%s" % (tracer, " (%s)" % known if known else "")
                  for tracer in self.missing_tracers() if not any(tracer in text for text in self.broken)]
        return "; ".join(parts)

    def attached(self) -> list[str]:
        """Return the names of the points that any tracer looked at, in order."""
        names = [name for bundle, _, _ in self.bundles for name in bundle.points().values()
                 if name not in bundle.only_followed()]
        return list(dict.fromkeys(names))

    def skipped(self) -> dict[str, str]:
        """Return the points that no tracer could look at, with the reason."""
        attached = set(self.attached())
        return {str(name): str(why) for bundle, _, _ in self.bundles
                for name, why in bundle.manifest["points"].get("skipped", {}).items() if name not in attached}

    def late_ns(self) -> int:
        """Return by how much it began after the window's start."""
        return max((int(bundle.manifest["window"].get("late_by_ns") or 0) for bundle, _, _ in self.bundles), default=0)

    def early_ns(self) -> int:
        """Return by how much it ended before the window's end."""
        gaps = [int(window["end_ns"]) - int(window["ended_ns"]) for bundle, _, _ in self.bundles
                for window in [bundle.manifest["window"]] if 0 < int(window.get("end_ns") or 0) < 1 << 63
                and window.get("ended_ns")]
        return max([0, *gaps])

    def closed(self) -> bool:
        """Return whether its window was closed before the time that was set first: when the command had ended that it
        was open for. Hosts are told so one after the other."""
        windows = [bundle.manifest["window"] for bundle, _, _ in self.bundles]
        spans = [[int(window.get(end) or 0) - int(window.get(start) or 0) for start, end in (
            ("start_ns", "end_ns"), ("start_realtime_ns", "end_realtime_ns"))] for window in windows]
        return bool(spans) and all(0 < own < planned - _EARLY for own, planned in spans)

    def never_open(self) -> bool:
        """Return whether someone closed its window before it opened."""
        windows = [bundle.manifest["window"] for bundle, _, _ in self.bundles]
        return any(0 < int(window.get("ended_ns") or 0) <= int(window.get("start_ns") or 0) for window in windows)

    def sees_drops(self) -> bool:
        """Return whether a tracer looked at drops."""
        return DROP_POINT in self.attached()

    def doubts(self) -> list[str]:
        """Return what limits the trust in this host's data, a sentence each."""
        out = []
        if self.status() != "complete":
            what = "Nothing came from %s: %s." if self.status() == "missing" else "The data of %s is partial: %s."
            out.append(what % (self.name, self.why()))
        for bundle, index, _ in self.bundles:
            out += _bundle_doubts(self.name, bundle, index)
        if self.late_ns() > _LATE:
            out.append("%s began %.3f s late: packets before that were not seen there." % (self.name,
                                                                                          self.late_ns() / 1e9))
        if self.never_open():
            out.append("The window of %s was closed before it opened: nothing could be recorded." % self.name)
        elif self.early_ns() > _EARLY:
            out.append("%s stopped %.3f s before the end of the window (%s): packets after that were not seen there."
                       % (self.name, self.early_ns() / 1e9, ", ".join(sorted({
                           str(bundle.manifest.get("ended_by") or "unknown") for bundle, _, _ in self.bundles}))))
        for point, why in self.skipped().items():
            out.append("%s could not look at %s: %s." % (self.name, point, why.rstrip(".")))
        if self.bundles and not self.sees_drops():
            out.append("No tracer looked at drops (%s) on %s." % (DROP_POINT, self.name))
        if self.bundles and not self.records:
            bundles = [bundle for bundle, _, _ in self.bundles]
            out += [counted.nothing_matched(self.name, bundles), *nearest.words(self.name, bundles)]
        return out


def _shared(guards: dict[str, Any]) -> str:
    """Say that a rate limit was divided, if it was."""
    if not guards.get("captures"):
        return ""
    return ", at times %s, for %s captures at once share it" % (guards.get("least_rate"), guards["captures"])


def _bundle_doubts(name: str, bundle: Bundle, index: Index) -> list[str]:
    out = []
    counters = bundle.manifest["counters"]
    if bundle.lost():
        out.append("%s lost %d records of its %s (%d were kept): its counts are minima." % (
            name, bundle.lost(), bundle.tracer, bundle.records))
    if bundle.shed():
        guards = bundle.manifest["guards"]
        out.append("%s shed %d records of its %s to keep to its limit of %s records a second%s (%d were kept): its "
                   "counts are minima. A narrower filter or fewer points make fewer records; the limit is "
                   "capture_max_rate." % (
                       name, bundle.shed(), bundle.tracer, guards.get("max_rate", "so many"), _shared(guards),
                       bundle.records))
    for limit in bundle.manifest["limits"]:
        out.append("The %s on %s hit its limit %s = %s%s." % (
            bundle.tracer, name, limit.get("limit"), limit.get("value"),
            ": %s" % limit["what"] if limit.get("what") else "") if isinstance(limit, dict) else str(limit))
    for counter, text in (("undecided", "%d later fragments on %s were not recorded by its %s: their ports are in the "
                                        "first fragment only."),
                          ("unparsed", "%d packets on %s could not be parsed by the filter of its %s."),
                          ("forgotten", "%d packets on %s were not followed any further by its %s, for there were too "
                                        "many at once: where they do not match the filter, they were not recorded."),
                          ("stacks_lost", "%d stacks could not be kept on %s by its %s."),
                          ("cut", "%d records on %s were cut off by the limits of its %s.")):
        if counters.get(counter):
            out.append(text % (counters[counter], name, bundle.tracer))
    out += counted.doubts(name, bundle)
    if index.outside:
        out.append("%d records of the %s on %s lie outside the window." % (index.outside, bundle.tracer, name))
    return out


def gather(usable: Sequence[tuple[Bundle, Index, HostClock]], broken: Mapping[str, list[str]],
           expected: Mapping[str, Expected]) -> list[Host]:
    """Return all hosts that were asked for or sent anything, by name."""
    names = {bundle.host for bundle, _, _ in usable} | set(broken) | set(expected)
    hosts = {name: Host(name, expected.get(name), broken=list(broken.get(name, []))) for name in sorted(names)}
    for item in usable:
        hosts[item[0].host].bundles.append(item)
    return list(hosts.values())


def _names(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def trust_of(hosts: Sequence[Host]) -> dict[str, Trust]:
    """Return from when to when each host's records are complete, and of what. Windows that were set by clocks that
    disagree are not the same window: a host whose window begins after another's is late."""
    out = {host.name: host.trust() for host in hosts if host.bundles}
    first, last = _reach(out)
    closed = {host.name for host in hosts if host.closed()}
    for name, trust in out.items():
        trust.late = trust.late or trust.start - first > _APART
        trust.early = trust.early or (last - trust.end > _APART and name not in closed)
    wanted = {host.name: host.wanted() for host in hosts if host.bundles}
    if any(one != two for one in wanted.values() for two in wanted.values()):
        for name, words in wanted.items():
            if words and not out[name].filtered:
                out[name].filtered = "%s looked for %s only" % (name, settings(words))
    return out


def _reach(trusts: Mapping[str, Trust]) -> tuple[float, float]:
    """Return when the first host began to record and the last one ended; windows without bounds do not count."""
    return (min((trust.start for trust in trusts.values() if trust.start > 0), default=np.inf),
            max((trust.end for trust in trusts.values() if trust.end < NEVER), default=0))


def apart(trusts: Mapping[str, Trust]) -> list[str]:
    """Return a sentence for each host whose window was, on the one clock, another than that of the others."""
    first, last = _reach(trusts)
    out = []
    for name, trust in sorted(trusts.items()):
        if trust.start - first > _APART:
            out.append("%s recorded from %.3f s after the first host on, by the one clock." % (
                name, (trust.start - first) / 1e9))
        if last - trust.end > _APART:
            out.append("%s stopped recording %.3f s before the last host, by the one clock." % (
                name, (last - trust.end) / 1e9))
    return out


def counting(bundles: Sequence[Bundle]) -> list[tuple[str, str, str]]:
    """Return (host, tracer, point): where two tracers looked at the same point, which of them counts. What is only
    followed is recorded by nobody else."""
    by_point: dict[tuple[str, str], list[str]] = {}
    out = []
    for bundle in bundles:
        for point in bundle.points().values():
            if point in bundle.only_followed():
                out.append((bundle.host, bundle.tracer, point))
            else:
                by_point.setdefault((bundle.host, point), []).append(bundle.tracer)
    for (host, point), tracers in by_point.items():
        drops_first = sorted(tracers, key=lambda tracer: tracer != DROP_MONITOR)
        out.append((host, drops_first[0] if point in DROP_POINTS else drops_first[-1], point))
    return out


def one_value(hosts: Sequence[Host], section: str) -> Any:
    """Return the manifests' section that all bundles share (filter); the first one's if they differ."""
    for host in hosts:
        for bundle, _, _ in host.bundles:
            return bundle.manifest.get(section)
    return None
