# SPDX-License-Identifier: Apache-2.0
"""The verdict: what the run shows, in sentences for a ticket, and what limits how far they can be trusted."""
from collections.abc import Sequence
from typing import Any

from .devices import Key, counter_words, drop_counters
from .fleet import Host
from .losses import by_place
from .summary import iso


def plural(count: int, word: str) -> str:
    """Return `1 packet`, `2 packets`."""
    return "%d %s%s" % (count, word, "" if count == 1 else "s")


def sentences(hosts: Sequence[Host], drops: Sequence[dict[str, Any]], devices: dict[Key, dict[str, Any]],
              records: int) -> list[str]:
    """Return the verdict."""
    out = [_drop(place, devices) for place in by_place(drops)]
    out += _unexplained(drops, devices)
    if not drops:
        out.insert(0, _no_drop(hosts, records))
    return out


def _drop(place: dict[str, Any], devices: dict[Key, dict[str, Any]]) -> str:
    count = place["packets"]
    where = "on %s" % place["host"]
    where += " at %s" % place["device"] if place["device"] != "-" else ", at no device"
    text = "%s %s dropped %s" % (plural(count, "packet"), "was" if count == 1 else "were", where)
    text += " in %s" % place["function"] if place["function"] else ""
    text += " (%s)" % place["reason"] if place["reason"] else ""
    device = devices.get((place["host"], place["netns"], place["device"]))
    if device is not None:
        text += "; " + counter_words(device["rose"])
    if place["flows"] > 1:
        flow = "They were of %s, most of %s" % (plural(place["flows"], "flow"), place["flow"])
    else:
        flow = "%s of the flow %s" % ("It was" if count == 1 else "They were", place["flow"])
    when = "at %s" % iso(place["first_ns"]) if count == 1 else "from %s to %s" % (iso(place["first_ns"]),
                                                                                  iso(place["last_ns"]))
    return "%s. %s, %s." % (text, flow, when)


def _unexplained(drops: Sequence[dict[str, Any]], devices: dict[Key, dict[str, Any]]) -> list[str]:
    """Name devices whose own counters saw losses where no drop of a matching packet was recorded."""
    explained = {(drop["host"], drop["netns"], drop["device"]) for drop in drops}
    out = []
    for (host, netns, name), device in sorted(devices.items()):
        risen = drop_counters(device["rose"])
        if risen and (host, netns, name) not in explained:
            out.append("The own counters of %s on %s rose (%s), but no drop of a matching packet was recorded there: "
                       "other traffic, or losses inside the device." % (
                           name, host, ", ".join("%s by %d" % item for item in sorted(risen.items()))))
    return out


def _no_drop(hosts: Sequence[Host], records: int) -> str:
    if not records:
        return "No packet that matches the filter was seen on any host."
    present = [host for host in hosts if host.bundles]
    buts = [("nobody looked for drops on %s", [host for host in present if not host.sees_drops()]),
            ("records are missing from %s", [host for host in present if host.status() != "complete" or host.lost]),
            ("nothing came from %s", [host for host in hosts if not host.bundles])]
    words = [text % ", ".join(host.name for host in names) for text, names in buts if names]
    return "No drop was recorded%s." % (", but " + " and ".join(words) if words else "")


def doubts(hosts: Sequence[Host], foreign: Sequence[str], facts: dict[str, Any]) -> list[str]:
    """Return everything that limits trust in the verdict."""
    out = [text for host in hosts for text in host.doubts()] + list(foreign)
    present = [host for host in hosts if host.bundles]
    for host in present:
        if abs(host.bundles[0][2].stepped_us) > 0:
            out.append("The wall clock of %s was stepped by %+.3f s during the run; its records keep the time from "
                       "before the step." % (host.name, host.bundles[0][2].stepped_us / 1e6))
    loose = [host.name for host in present if host.bundles[0][2].bound_us is None]
    if len(present) > 1 and loose:
        out.append("No clock daemon vouches for the clock of %s: the order of events between hosts may be wrong."
                   % ", ".join(loose))
    reproduce = facts.get("reproduce")
    if reproduce and reproduce.get("status") not in (0, None):
        out.append("The command that should reproduce the fault ended with status %s." % reproduce["status"])
    return out


def text(summary: dict[str, Any], limits: Sequence[str]) -> str:
    """Return verdict.txt."""
    window = summary["window"]
    complete = sum(host["status"] == "complete" for host in summary["hosts"].values())
    lines = ["skbfleet run %s" % summary["run_id"],
             "window   %s to %s (%s s)" % (window["start"], window["end"], "%.3f" % window["seconds"]
                                           if window["seconds"] is not None else "?"),
             "filter   %s" % (", ".join("%s=%s" % item for item in summary["filter"].items()) or "none"),
             "hosts    %d of %d complete; %d records" % (complete, len(summary["hosts"]), summary["records"])]
    if summary.get("reproduce"):
        lines.append("command  %s" % "; ".join("%s: %s" % item for item in summary["reproduce"].items()))
    lines += ["", "VERDICT", *("- " + sentence for sentence in summary["verdict"]), "", "HOW FAR TO TRUST IT"]
    lines += ["- " + doubt for doubt in limits] or ["- Nothing was lost, no host is missing."]
    lines += ["", "SEEN", *_seen(summary["seen"])]
    return "\n".join(lines) + "\n"


def _seen(rows: Sequence[dict[str, Any]]) -> list[str]:
    table = [("host", "device", "point", "packets", "bytes")]
    table += [(row["host"], row["device"], row["point"], str(row["packets"]), str(row["bytes"])) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    return ["  ".join(cell.rjust(width) if column > 2 else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in table]
