# SPDX-License-Identifier: Apache-2.0
"""A run of which a sample was taken: what is said of all packets, and what makes that doubtful."""
from collections.abc import Mapping, Sequence
from typing import Any

from ..bundle.labels import DROP_POINTS
from ..bundle.manifest import Bundle
from ..journey.found import Findings
from ..packet.sample import Sample
from .estimate import estimate, words
from .hosts import Host

_ENOUGH = 30    # packets that should have been taken: of fewer, a share says little
_FAR = 3        # times more or less than one in N


def sample_entry(sample: Sample, findings: Findings, losses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what summary.json says of the sample. losses: all entries, of packets that were taken and of drops."""
    drawn = findings.drawn
    gone = [loss for loss in losses if loss["kind"] == "vanished" or sample.drops]
    by_level = {level: [loss for loss in gone if loss["certainty"] == level]
                for level in ("certain", "likely", "unknown")}
    return {"one_in": sample.one_in, "drops": "sampled" if sample.drops else "all",
            "packets": estimate(drawn.packets, drawn.squares, drawn.largest, sample.one_in),
            "dropped_beside": int(findings.flows["beside"].sum()),
            **{"lost" if level == "certain" else level: _sum(same, sample, drawn.largest)
               for level, same in by_level.items()}}


def _sum(losses: Sequence[Mapping[str, Any]], sample: Sample, largest: int) -> dict[str, int]:
    # where nothing was lost of what was taken, what was not may have been lost in clusters like the others
    return estimate(sum(loss["wire_packets"] for loss in losses), sum(loss["squares"] for loss in losses),
                    max((loss["largest"] for loss in losses), default=largest), sample.one_in)


def sentences(entry: Mapping[str, Any], drops: int) -> list[str]:
    """Return the verdict's first sentences. drops: all that were recorded."""
    sampled = entry["drops"] == "sampled"
    text = "One packet in %d was taken, the same ones on all hosts%s: counts are of those." % (
        entry["one_in"], ", and of drops, too" if sampled else ", and every drop")
    if not entry["packets"]["taken"]:
        return [text]
    what = "lost" if sampled else "vanished"
    lost, likely, unknown = entry["lost"], entry["likely"], entry["unknown"]
    parts = []
    if lost["taken"]:
        parts.append("%s %s" % (words(lost), what))
    else:
        parts.append("none of those taken %s (so at most %d of all, 95 %%)" % (
            "was lost" if sampled else "vanished", lost["high"]))
    if likely["taken"]:
        parts.append("%s probably" % words(likely))
    if unknown["taken"]:
        parts.append("of %s nobody can tell" % words(unknown))
    if not sampled:
        parts.append("and %s dropped%s" % (
            "none was" if not drops else "1 was" if drops == 1 else "%d were" % drops,
            ", which is a count of all" if drops else ""))
    return ["%s A%s packets passed; %s." % (text, words(entry["packets"])[1:], ", ".join(parts))]


def doubts(sample: Sample, hosts: Sequence[Host], findings: Findings) -> list[str]:
    """Return what limits trust in the sample."""
    if sample.agreed:
        out = ["What was not taken is estimated. TCP's bytes are taken in blocks of 64 KiB, so that of a short "
               "connection all is taken or nothing; and what befalls few packets may not show at all."]
    else:
        out = ["The hosts did not take the same packets (%s): how many packets there were cannot be estimated." % (
            ", ".join("%s: %s" % (host.name, host.wanted().get("sample", "all")) for host in hosts if host.bundles))]
    out += [sentence for host in hosts for bundle, _, _ in host.bundles
           for sentence in _shares(host.name, bundle, sample)]
    if findings.drawn.hidden:
        out.append("%d UDP packets were seen joined with others (GSO, GRO), without IP ids to tell which of them were "
                   "taken: there, they were not followed." % findings.drawn.hidden)
    return out


def _shares(name: str, bundle: Bundle, sample: Sample) -> list[str]:
    """Return a sentence if what a tracer took is far from one in N."""
    own = int(bundle.manifest["sample"].get("one_in") or 1)
    points = {point: row for point, row in bundle.manifest["per_point"].items()
              if isinstance(row, dict) and (sample.drops or point not in DROP_POINTS)}
    matched, out = (sum(int(row.get(counter) or 0) for row in points.values()) for counter in ("matched",
                                                                                             "sampled_out"))
    expected, taken = matched / own, matched - out
    if own == 1 or expected < _ENOUGH or expected / _FAR < taken < expected * _FAR:
        return []
    return ["The %s on %s took %d of %d sightings, where about %d were to be expected: many packets are alike in what "
            "they are chosen by, and were taken together or not at all (or there are few long TCP segments)." % (
                bundle.tracer, name, taken, matched, expected)]
