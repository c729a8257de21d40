# SPDX-License-Identifier: Apache-2.0
"""The verdict: what the run shows, in sentences for a ticket, and what limits how far they can be trusted."""
from collections.abc import Mapping, Sequence
from typing import Any

from ..findings import thinned
from ..findings.devices import Key, counter_words, drop_counters
from ..findings.estimate import estimate, words
from ..findings.hosts import Host
from ..findings.meaning import Meaning, is_unknown, meaning, meaning_behind
from ..packet.places import TAKEN
from ..words import iso
from . import bridged, cached, excerpt, switched, tunnelled, unanswered
from .basis import SAMPLES, Sentence, of_balance, of_flows, of_hosts, of_place, of_step, of_way, place_words

_USUAL = ("queue",)   # changes that every packet sees
_STEPS = 3   # slowest steps that are named
_PLACES = 200   # at which packets were lost that get a sentence of their own
_CAUSES = 5   # of the losses at one place that are named
_WAYS = 5    # other ways that are named
_READINGS = ("reader", "host")   # causes of what advice would only guess


def plural(count: int, word: str) -> str:
    """Return `1 packet`, `2 packets`."""
    return "%d %s%s" % (count, word, "" if count == 1 else "s")


def sentences(hosts: Sequence[Host], summary: Mapping[str, Any], losses: Sequence[dict[str, Any]],
              devices: dict[Key, dict[str, Any]]) -> list[Sentence]:
    """Return the verdict, each sentence with its basis. losses: with first_ns and last_ns."""
    harmful = [loss for loss in losses if not loss.get("harmless")]
    dropped, vanished = by_place(harmful, "drop"), by_place(harmful, "vanished")
    sample = summary.get("sample")
    out = [of_place(_drop(place, devices), place) for place in dropped[:_PLACES]] + _rest(dropped[_PLACES:], "dropped")
    out += [of_place(_vanished(place, devices) + _of_all(place, sample), place) for place in vanished[:_PLACES]]
    out += _rest(vanished[_PLACES:], "lost, or perhaps lost,")
    harmless = [loss for loss in losses if loss.get("harmless")]
    if not losses:
        out.append(_no_loss(hosts, summary, bool(sample)))
    elif summary["packets"] and not sample:
        out.insert(0, Sentence(_balance(summary), of_balance(summary, hosts)))
    if sample:
        out = [Sentence(text, of_hosts(hosts)) for text in thinned.sentences(sample, summary["drops"])] + out
    out += [of_place(_harmless(place), place) for place in by_place(harmless, "drop")]
    out += _copies(summary)
    out += switched.sentences(summary["stale_flows"]) + bridged.sentences(summary["stale_entries"])
    out += tunnelled.sentences(summary["unknown_networks"]) + cached.sentences(summary["cached_routes"])
    out += unanswered.sentences(summary)
    out += _other_ways(summary)
    out += _on_the_way(summary)
    if "excerpt" in summary:    # the devices counted all packets
        return [excerpt.sentence(summary["excerpt"], summary["packets"]), *out]
    return out + _unexplained(losses, devices)


def _rest(places: Sequence[dict[str, Any]], what: str) -> list[Sentence]:
    """Return a sentence for the places that are too many to be named."""
    return [Sentence("%d more packets were %s at %s: see summary.json." % (
        sum(place["packets"] for place in places), what, plural(len(places), "other place")),
        sorted({place["why"] for place in places})[:_WAYS])] if places else []


def by_place(losses: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Sum losses over flows: one entry for each place, function, reason and certainty; what is certain comes first,
    then most packets."""
    places: dict[tuple[Any, ...], dict[str, Any]] = {}
    for loss in losses:
        if loss["kind"] != kind:
            continue
        key = tuple(str(loss.get(name)) for name in ("host", "netns", "device", "function", "reason", "between",
                                                     "certainty", "why"))
        place = places.setdefault(key, dict(loss, packets=0, wire_packets=0, bytes=0, squares=0, largest=0,
                                            flows=0, journeys=[]))
        for name in ("packets", "wire_packets", "bytes", "squares"):
            place[name] += loss.get(name, 0)
        place["largest"] = max(place["largest"], loss.get("largest", 0))
        place["flows"] += 1
        place["journeys"] += loss["journeys"][:max(0, SAMPLES - len(place["journeys"]))]
        if "cause" in loss:
            place.setdefault("causes", {})[loss["cause"]["words"]] = loss["cause"]["drops"]
            place["explained"] = place.get("explained") or loss["cause"]["certainty"] != "unknown" and any(
                one["kind"] in _READINGS for one in loss["cause"]["candidates"])
        place["first_ns"] = min(place["first_ns"], loss["first_ns"])
        place["last_ns"] = max(place["last_ns"], loss["last_ns"])
    return sorted(places.values(), key=lambda place: (place["certainty"] != "certain", -place["packets"]))


def missed(summary: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return how many packets were lost, probably lost, or of an end that nobody can tell, those aside that nobody
    misses."""
    fine = summary["harmless"]
    return (summary["lost"] - fine["certain"], summary["likely"] - fine["likely"],
            summary["unknown"] - summary["likely"] - fine["unknown"])


def _balance(summary: Mapping[str, Any]) -> str:
    lost, likely, nobody = missed(summary)
    text = "Of %s in %s, %d %s lost" % (plural(summary["packets"], "packet"), plural(summary["flows_total"], "flow"),
                                        lost, "was" if lost == 1 else "were")
    rest = (["%d probably" % likely] if likely else []) + (["of %d nobody can tell" % nobody] if nobody else [])
    text += "".join(", %s" % part for part in rest[:-1]) + "".join(" and %s" % part for part in rest[-1:]) + "."
    count = sum(summary["harmless"].values())
    return text + (" %d more %s dropped, which is harmless." % (count, "was" if count == 1 else "were")
                   if count else "")


def _harmless(place: dict[str, Any]) -> str:
    known = meaning(place["function"], place["reason"])
    return "Harmless: %s dropped on %s at %s in %s (%s): %s." % (
        plural(place["packets"], "packet"), place["host"], place["device"], place["function"],
        place["reason"] or "no reason", known.means if known else "")


def _other_ways(summary: Mapping[str, Any]) -> list[Sentence]:
    """Say which flows took another way from some time on, those that took the same one together."""
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for change in summary["path_changes"]:
        changes.setdefault("%s instead of %s" % tuple(
            " > ".join("%s %s" % (place["host"], place["device"]) for place in change[which])
            for which in ("after", "before")), []).append(change)
    out = []
    for way, same in sorted(changes.items(), key=lambda item: (-len(item[1]), item[0]))[:_WAYS]:
        who = same[0]["flow"] if len(same) == 1 else "%d flows (%s, ...)" % (len(same), same[0]["flow"])
        out.append(Sentence("From %s on, packets of %s took another way: %s." % (same[0]["when"], who, way),
                            of_way(same[0])))
    return out


def _when(place: Mapping[str, Any]) -> str:
    """Return flow and time of a loss, as a sentence."""
    count = place["packets"]
    if place["flows"] > 1:
        flow = "They were of %s, most of %s" % (plural(place["flows"], "flow"), place["flow"])
    else:
        flow = "%s of the flow %s" % ("It was" if count == 1 else "They were", place["flow"])
    when = "at %s" % iso(place["first_ns"]) if count == 1 else "from %s to %s" % (iso(place["first_ns"]),
                                                                                  iso(place["last_ns"]))
    return " %s, %s." % (flow, when)


def _drop(place: dict[str, Any], devices: dict[Key, dict[str, Any]]) -> str:
    count = place["packets"]
    where = " at %s" % place["device"] if place["device"] != "-" else ", at no device"
    text = "%s %s dropped on %s%s" % (plural(count, "packet"), "was" if count == 1 else "were", place["host"], where)
    text += " in %s" % place["function"] if place["function"] else ""
    text += " (%s)" % place["reason"] if place["reason"] else ""
    if place["wire_packets"] > count:
        text += ", %d segments on the wire" % place["wire_packets"]
    device = devices.get((place["host"], place["netns"], place["device"]))
    if device is not None:
        text += "; " + counter_words(device["rose"])
    text += "." + _causes(place) + _when(place) + _fill(place)
    if place["certainty"] != "certain":
        text += " That they were lost is %s: %s." % (
            "not certain" if place["certainty"] == "likely" else "not known", place["why"])
    if is_unknown(place["reason"]):
        text += " The dictionary of drops does not know the reason %s." % place["reason"]
    known = meaning(place["function"], place["reason"])
    return text + (" Usually: %s." % known.means if known and place.get("explained") else _advice(known))


def _causes(place: Mapping[str, Any]) -> str:
    """Return which rules or settings it was, those first that dropped most."""
    known = sorted(place.get("causes", {}).items(), key=lambda item: (-item[1], item[0]))
    more = " %d more causes are in summary.json." % (len(known) - _CAUSES) if len(known) > _CAUSES else ""
    return "".join(" " + words for words, _ in known[:_CAUSES]) + more


def _fill(place: Mapping[str, Any]) -> str:
    """Return how full the queue was that had no room for a packet, just before the first such drop there."""
    queue = place.get("queue")
    if not queue:
        return ""
    return " Before the first drop there, the packets that met this queue (%s, %s) found in it: %s%s." % (
        queue["kind"], queue["unit"], ", ".join(str(one["length"]) for one in queue["before"]),
        " of %d" % queue["limit"] if queue["limit"] else "")


def _vanished(place: dict[str, Any], devices: dict[Key, dict[str, Any]]) -> str:
    count, (one, two) = place["packets"], place["between"]
    route = "between %s and %s" % (place_words(one), place_words(two)) if one != two else "behind %s" % place_words(one)
    if place["certainty"] == "likely":
        return "Probably %s vanished %s: %s. That is not certain: %s.%s%s" % (
            plural(count, "packet"), route, place["grounds"][0], place["why"], _causes(place),
            _when(place) + _unseen(place))
    if place["certainty"] != "certain":
        return "What became of %s %s cannot be said: %s.%s%s" % (plural(count, "packet"), route, place["why"],
                                                                 _causes(place), _when(place))
    text = "%s vanished %s: %s." % (plural(count, "packet"), route, place["why"])
    if one["host"] != two["host"]:
        behind = "" if one["point"] in TAKEN else "%s behind %s, " % (one["host"], one["device"])
        text += " That leaves %swhat is between the two devices, or a device itself: %s." % (behind, "; ".join(
            "%s on %s: %s" % (end["device"], end["host"], _counters(devices, end)) for end in (one, two)))
    return text + _causes(place) + _when(place) + _unseen(place) + _advice(meaning_behind(one["point"]))


def _unseen(place: Mapping[str, Any]) -> str:
    """Return what may have taken the packets where no point sees it."""
    return " On %s, %s gets packets before any point sees them: what it drops is in no record." % (
        place["between"][1]["host"], " and ".join(place["unseen"][:_CAUSES])) if "unseen" in place else ""


def _of_all(place: Mapping[str, Any], sample: Mapping[str, Any] | None) -> str:
    """Say of how many packets those that were taken tell; nothing if all were taken."""
    return " Of all packets, these stand for %s." % words(estimate(
        place["wire_packets"], place["squares"], place["largest"], sample["one_in"])) if sample else ""


def _advice(known: Meaning | None) -> str:
    return " Usually: %s. Causes: %s. Look at: %s." % (known.means, known.causes, known.look_at) if known else ""


def _counters(devices: dict[Key, dict[str, Any]], end: Mapping[str, str]) -> str:
    for (host, _, name), device in devices.items():
        if (host, name) == (end["host"], end["device"]):
            return counter_words(device["rose"])
    return "its counters are not known"


def _copies(summary: Mapping[str, Any]) -> list[Sentence]:
    count = summary["copies_dropped"]
    return [Sentence("%s of packets %s dropped, which is no loss: what became of the packets does not depend on them."
                     % ("1 copy" if count == 1 else "%d copies" % count, "was" if count == 1 else "were"),
                     ["%s on %s at %s in %s" % (plural(copy["packets"], "packet"), copy["host"], copy["device"],
                                                copy["function"]) for copy in summary["copies"][:_WAYS]])
            ] if count else []


def _on_the_way(summary: Mapping[str, Any]) -> list[Sentence]:
    """Say what else happened: retransmissions, overtaking, copies made on the way, changes, and where the time went."""
    out = []
    again, asks = summary["retransmitted"], summary["keepalives"]
    if again:
        out.append(Sentence("%s sent again by TCP." % ("1 segment was" if again == 1 else "%d segments were" % again),
                            of_flows(summary["flows"], "retransmitted")))
    for place in summary["loops"]:
        out.append(Sentence(
            "%s went round in a loop: they came to %s three times and more, each time with a lower TTL." % (
                plural(place["packets"], "packet"), place_words(place)), ["the TTL of each at this place, each time"]))
    if asks:
        out.append(Sentence("%s sent to keep connections alive, or to ask whether the receiver has room." % (
            "1 segment was" if asks == 1 else "%d segments were" % asks), of_flows(summary["flows"], "keepalives")))
    for segment in summary["segments"]:
        one, two = segment["from"], segment["to"]
        route = "between %s %s and %s %s" % (one["host"], one["device"], two["host"], two["device"])
        if segment["reordered"] and one["host"] != two["host"]:
            out.append(Sentence("%s overtaken %s." % ("1 packet was" if segment["reordered"] == 1 else
                                                      "%d packets were" % segment["reordered"], route),
                                [of_step(segment)]))
        if segment["duplicated"]:
            out.append(Sentence("%s twice %s." % ("1 packet came" if segment["duplicated"] == 1 else
                                                  "%d packets came" % segment["duplicated"], route),
                                [of_step(segment)]))
        changes = ", ".join("%s of %s" % (name, plural(count, "packet"))
                            for name, count in sorted(segment["changed"].items()) if name not in _USUAL)
        if changes:
            out.append(Sentence("Changed %s: %s." % (route, changes), [of_step(segment)]))
    slow = sorted((segment for segment in summary["segments"] if segment["latency_us"]),
                  key=lambda segment: -segment["latency_us"]["p50"] * segment["packets"])[:_STEPS]
    if slow:
        out.append(Sentence("Most of the time goes to: %s." % "; ".join(_latency(segment) for segment in slow),
                            [of_step(segment) for segment in slow]))
    return out


def _latency(segment: Mapping[str, Any]) -> str:
    one, two, took = segment["from"], segment["to"], segment["latency_us"]
    known = ", ± %.0f µs" % took["bound"] if took["bound"] else ", clocks not compared" if took["bound"] is None else ""
    return "%s %s (%s) to %s %s (%s): median %.0f µs, 99 %% below %.0f µs%s" % (
        one["host"], one["device"], one["point"], two["host"], two["device"], two["point"], took["p50"], took["p99"],
        known)


def _unexplained(losses: Sequence[dict[str, Any]], devices: dict[Key, dict[str, Any]]) -> list[Sentence]:
    """Name devices whose own counters saw losses where no loss of a matching packet was found."""
    explained = {(loss["host"], loss["device"]) for loss in losses}
    explained |= {(end["host"], end["device"]) for loss in losses for end in loss.get("between", [])}
    out = []
    for (host, _, name), device in sorted(devices.items()):
        risen = drop_counters(device["rose"])
        if risen and (host, name) not in explained:
            out.append(Sentence(
                "The own counters of %s on %s rose (%s), but no drop of a matching packet was recorded there: other "
                "traffic, or losses inside the device." % (
                    name, host, ", ".join("%s by %d" % item for item in sorted(risen.items()))),
                ["the device's counters when the tracers were armed and at the end"]))
    return out


def _no_loss(hosts: Sequence[Host], summary: Mapping[str, Any], sampled: bool) -> Sentence:
    if not summary["records"]:
        return Sentence("No packet that matches the filter was seen on any host.", of_hosts(hosts))
    present = [host for host in hosts if host.bundles]
    buts = [("nobody looked for drops on %s", [host for host in present if not host.sees_drops()]),
            ("drops at devices that the kernel does not tell were not recorded on %s", [
                host for host in present if host.drops_unrecorded()]),
            ("records are missing from %s", [host for host in present if host.status() != "complete"
                                              or host.lost or host.shed]),
            ("nothing came from %s", [host for host in hosts if not host.bundles])]
    words = [text % ", ".join(host.name for host in names) for text, names in buts if names]
    count = unanswered.astray(summary)
    if count:
        words.append("of %s for an address nobody can tell whether %s to the VM that has it" % (
            plural(count, "question"), "it came" if count == 1 else "they came"))
    return Sentence("No packet%s was lost%s." % (
        " that was taken" if sampled else "",
        " as far as can be seen, but " + " and ".join(words) if words else ""), of_hosts(hosts), words)


def doubts(hosts: Sequence[Host], foreign: Sequence[str], summary: Mapping[str, Any],
           lossy: Mapping[str, str]) -> list[str]:
    """Return everything that limits trust in the verdict."""
    out = [text for host in hosts for text in host.doubts()] + list(foreign)
    present = [host for host in hosts if host.bundles]
    for host in present:
        clock = host.bundles[0][2]
        if clock.stepped_us:
            out.append("The wall clock of %s was stepped by %+.3f s during the run; its records keep the time from "
                       "before the step." % (host.name, clock.stepped_us / 1e6))
        if clock.doubt:
            out.append(clock.doubt)
        if lossy.get(host.name) and not (host.lost or host.shed):
            out.append(lossy[host.name][0].upper() + lossy[host.name][1:] + ".")
    loose = [host.name for host in present if host.bundles[0][2].bound_us is None and not host.bundles[0][2].reference]
    if len(present) > 1 and loose:
        out.append("Neither packets in both directions nor a clock daemon bound the clock of %s: the order of events "
                   "between hosts may be wrong." % ", ".join(loose))
    left = cached.passed_on(summary["flows"], summary["cached_routes"])
    missing = [host.name for host in hosts if not host.bundles]
    if left:
        out.append("%s left the hosts that were traced; what became of them was not seen%s." % (
            plural(left, "packet"), " (nothing came from %s)" % ", ".join(missing) if missing else ""))
    ambiguous = sum(flow["ambiguous"] for flow in summary["flows"])
    if ambiguous:
        out.append("%s cannot be told from others that look the same; how many are missing is certain, which is not."
                   % plural(ambiguous, "packet"))
    reproduce = summary.get("reproduce")
    if reproduce and reproduce.get("status") not in (0, None):
        out.append("The command that should reproduce the fault ended with status %s." % reproduce["status"])
    return out
