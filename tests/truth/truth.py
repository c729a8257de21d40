# SPDX-License-Identifier: Apache-2.0
"""Compare a summary with the truth. Each function returns the false or missing statements that it finds.

What a summary claims for certain: `lost`, the losses of kind `drop` and `vanished` whose certainty is `certain`, and
the counts of its flows and segments. Other kinds of losses, and other certainties, are never false by themselves.
A place is "HOST DEVICE", or "HOST DEVICE > HOST DEVICE" between two.
"""
from collections.abc import Collection, Mapping
from typing import Any

Summary = Mapping[str, Any]
WIRE = "hv-a eth0 > hv-b eth0"


def flows(summary: Summary, words: str) -> list[Mapping[str, Any]]:
    """Return the flows, followed or not, in whose key these words are."""
    return [flow for flow in [*summary["flows"], *summary.get("flows_not_followed", [])] if words in flow["key"]]


def total(entries: Collection[Mapping[str, Any]], name: str) -> int:
    """Add up one count."""
    return sum(int(entry.get(name) or 0) for entry in entries)


def place_of(loss: Mapping[str, Any]) -> str:
    """Return where a loss is said to have been."""
    ends = loss.get("between") or [loss]
    return " > ".join("%s %s" % (end.get("host"), end.get("device")) for end in ends)


def packets_of(loss: Mapping[str, Any]) -> int:
    """Return how many packets on the wire a loss is."""
    return int(loss["wire_packets"] if loss.get("wire_packets") is not None else loss["packets"])


def is_certain(loss: Mapping[str, Any]) -> bool:
    """Whether a loss is claimed for certain."""
    return loss["certainty"] == "certain"


def is_of_packets(loss: Mapping[str, Any]) -> bool:
    """Whether a loss is said to be of packets, not of copies of them."""
    return loss["kind"] in ("drop", "vanished") and not any("cop" in name and loss[name] for name in loss)


def losses(summary: Summary, words: str = "") -> list[Mapping[str, Any]]:
    """Return the losses of the flows with these words."""
    return [loss for loss in summary["losses"] if words in str(loss.get("flow"))]


def lost_nothing(summary: Summary, words: str = "") -> list[str]:
    """No packet was lost, or nobody can know: no loss may be certain. words: of the flows that this is about."""
    gone = max(total(flows(summary, words), "dropped") + total(flows(summary, words), "vanished"),
               int(summary["lost"]))
    if not gone:
        return []
    where: dict[str, int] = {}
    for loss in losses(summary, words):
        if is_certain(loss) and is_of_packets(loss):
            where[place_of(loss)] = where.get(place_of(loss), 0) + packets_of(loss)
    return ["%d packets are said to be lost for certain; none was, as far as can be known (%s)" % (
        gone, ", ".join("%s: %d" % item for item in sorted(where.items())))]


def lost_at(summary: Summary, count: int, *places: str, words: str = "", doubtful: bool = False,
            least: int | None = None) -> list[str]:
    """Exactly `count` packets were lost in all, those of these flows at one of these places.

    least: fewer may be named, but not fewer than this.

    doubtful: it cannot be decided, or only with knowledge that not every merger has: what is not said for certain
    must then be said as unknown, or in another way that is no certainty.
    """
    out = []
    needed = count if least is None else least
    mine = losses(summary, words)
    for loss in mine:
        if is_certain(loss) and is_of_packets(loss) and place_of(loss) not in places:
            out.append("%d packets are said to be lost for certain at %s; they were not lost there" % (
                packets_of(loss), place_of(loss)))
    here = [loss for loss in mine if place_of(loss) in places]
    sure = sum(packets_of(loss) for loss in here if is_certain(loss))
    maybe = sum(packets_of(loss) for loss in mine if not is_certain(loss))
    at = " or ".join(places)
    if sure > count:
        out.append("%d packets are said to be lost for certain at %s; it was %d" % (sure, at, count))
    elif doubtful and sure + maybe < needed:
        out.append("%d packets were lost at %s; only %d are named, certain or not" % (needed, at, sure + maybe))
    elif not doubtful and sure < needed:
        out.append("%d packets were lost at %s; %d are said to be" % (needed, at, sure))
    if int(summary["lost"]) > count and not out:
        out.append("%d packets are said to be lost in all; it was %d" % (summary["lost"], count))
    return out


def stated_at(summary: Summary, count: int, place: str, words: str = "") -> list[str]:
    """`count` packets, or copies, were dropped at this place: some certain entry, of whatever kind, must say so."""
    said = sum(packets_of(loss) for loss in losses(summary, words) if is_certain(loss) and place_of(loss) == place)
    return [] if said == count else ["%d packets were dropped at %s; the losses say %d" % (count, place, said)]


def not_silent(summary: Summary, count: int, words: str = "") -> list[str]:
    """At least `count` packets, or copies, did not get where they should: this must be visible, if not as certain."""
    named = sum(packets_of(loss) for loss in losses(summary, words))
    mine = flows(summary, words)
    open_ = sum(total(mine, name) for name in ("left", "ended", "in_flight", "unknown", "dropped", "vanished"))
    missing = sum(segment.get("missing") or 0 for segment in summary["segments"])
    most = max(named, open_, missing, int(summary["lost"]) + int(summary["unknown"]))
    return [] if most >= count else ["%d packets did not arrive; only %d are accounted for" % (count, most)]


def arrived_at_most(summary: Summary, count: int, words: str) -> list[str]:
    """No more than `count` packets of these flows arrived."""
    said = total(flows(summary, words), "arrived")
    return [] if said <= count else ["%d packets of %s are said to have arrived; it was %d" % (said, words, count)]


def arrived_at_least(summary: Summary, count: int, words: str) -> list[str]:
    """No fewer than `count` packets of these flows arrived."""
    said = total(flows(summary, words), "arrived")
    return [] if said >= count else ["%d packets of %s are said to have arrived; it was %d" % (said, words, count)]


def flow_count(summary: Summary, words: str, least: int, most: int) -> list[str]:
    """The flows with these words have so many packets."""
    said = total(flows(summary, words), "packets")
    had = "%d" % most if least == most else "no more than %d" % most
    return [] if least <= said <= most else ["the flow %s is said to have %d packets; it had %s" % (words, said, had)]


def sent_again(summary: Summary, count: int, words: str = "") -> list[str]:
    """So many TCP segments were sent again."""
    said = total(flows(summary, words), "retransmitted")
    return [] if said == count else ["%d segments are said to be sent again; it was %d" % (said, count)]


def segments(summary: Summary, one: str, two: str) -> list[Mapping[str, Any]]:
    """Return the segments from one "HOST DEVICE" to another."""
    return [segment for segment in summary["segments"]
            if ["%(host)s %(device)s" % segment[end] for end in ("from", "to")] == [one, two]]


def took(summary: Summary, one: str, two: str, least_us: float, most_us: float) -> list[str]:
    """All packets between two places took from `least_us` to `most_us`; what is said may differ by its bound."""
    out = []
    for segment in segments(summary, one, two):
        said = segment.get("latency_us")
        if not said or said.get("bound") is None:
            continue
        bound = said["bound"] + 0.5
        if said["min"] < least_us - bound or said["max"] > most_us + bound:
            out.append("%s > %s is said to take %.1f to %.1f us within %.1f us; it took %g to %g us" % (
                one, two, said["min"], said["max"], said["bound"], least_us, most_us))
    return out


def counts_packets(summary: Summary, count: int) -> list[str]:
    """So many records were read."""
    return [] if summary["records"] == count else ["%d records are said to be there; it was %d" % (
        summary["records"], count)]


def no_step(summary: Summary, one: str, two: str) -> list[str]:
    """No packet went from places that begin with one of these words to places that begin with the other."""
    steps = [["%(host)s %(device)s" % segment[end] for end in ("from", "to")] for segment in summary["segments"]]
    return ["there is said to be a step %s > %s; there is none" % (begin, end) for begin, end in steps
            if begin.startswith(one) and end.startswith(two)]


def has_status(summary: Summary, host: str, status: str) -> list[str]:
    """A host is complete, partial or missing."""
    said = summary["hosts"].get(host, {}).get("status")
    return [] if said == status else ["%s is said to be %s; it is %s" % (host, said, status)]


def has_words(verdict: str, *words: str) -> list[str]:
    """The verdict has one of these words."""
    return [] if any(word in verdict.lower() for word in words) else ["the verdict does not say %r" % words[0]]


def has_no_words(verdict: str, words: str) -> list[str]:
    """The verdict does not have these words."""
    return ["the verdict says %r" % words] if words in verdict else []


def has_doubt(summary: Summary, *words: str) -> list[str]:
    """One of the doubts has all of these words."""
    found = any(all(word in doubt for word in words) for doubt in summary["doubts"])
    return [] if found else ["no doubt names %s" % ", ".join(words)]


def blamed(summary: Summary, place: str, certainty: str, *handles: str, kind: str = "vanished") -> list[str]:
    """All losses of a kind at a place are said, so surely, to be these queues' doing; none: no cause is named."""
    out = []
    for loss in losses(summary):
        if loss["kind"] == kind and place_of(loss) == place:
            cause = loss.get("cause")
            said = sorted(str(one.get("handle")) for one in cause["candidates"]) if cause else []
            if said != sorted(handles) or cause and cause["certainty"] != certainty:
                out.append("what was lost at %s is said to be the doing of %s (%s); it was that of %s (%s)" % (
                    place, said or "nothing", cause and cause["certainty"], handles or "nothing", certainty))
    return out
