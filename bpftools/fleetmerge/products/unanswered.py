# SPDX-License-Identifier: Apache-2.0
"""Sentences about questions that got no answer, though they were not lost as far as anybody saw."""
from collections.abc import Mapping, Sequence
from typing import Any

from .basis import Sentence, place_words

_MOST = 3       # places that get a sentence
_OF_ALL = ("ARP request", "neighbour solicitation")    # questions for one, put to all
_SAID = ("dropped", "vanished", "unknown", "in_flight")    # elsewhere


def astray(summary: Mapping[str, Any]) -> int:
    """Return how many questions that are put to all, but for one, got no answer and were not seen to come to him."""
    return sum(entry["packets"] for entry in summary["unanswered"]
               if entry["kind"] in _OF_ALL and entry["outcome"] == "ended")


def sentences(summary: Mapping[str, Any]) -> list[Sentence]:
    """Return a sentence for each kind, outcome and place, those with most packets first."""
    lacking = [name for name, host in summary["hosts"].items()
               if host["lost"] or host["shed"] or host["status"] != "complete"]
    entries = [entry for entry in summary["unanswered"] if entry["outcome"] not in _SAID]
    return [_sentence(entry, lacking) for entry in entries[:_MOST]]


def _sentence(entry: Mapping[str, Any], lacking: Sequence[str]) -> Sentence:
    count, kind, outcome = entry["packets"], entry["kind"], entry["outcome"]
    one = count == 1
    text = "%d %s%s got no answer that was recorded; %s seen last at %s" % (
        count, kind, "" if one else "s", "it was" if one else "they were", place_words(entry["last"]))
    if kind in _OF_ALL:
        text += ", and the VM that was asked for was not seen to take %s" % (
            "it" if one else "them") if outcome == "ended" else ""
    elif outcome == "arrived":
        text += ", where %s arrived: look at what took %s there, whether it listens, and what its own firewall does" % (
            ("it", "it") if one else ("they", "them"))
    elif outcome == "left":
        text += ", where %s left the hosts that were traced" % ("it" if one else "they")
    if lacking:
        text += "; answers may be among the records that are missing from %s" % ", ".join(lacking)
    queue = _queue(entry["queue"], entry["last"]["host"]) if entry.get("queue") else ""
    flow = entry["flow"] if entry["flows"] == 1 else "%d flows, most of %s" % (entry["flows"], entry["flow"])
    return Sentence("%s. %s of %s.%s" % (text, "It was" if one else "They were", flow, queue),
                    ["from %s to %s" % (entry["first"], entry["latest"])], journeys=entry["journeys"])


def _queue(queue: Mapping[str, Any], host: str) -> str:
    """Return what was read of the queue of new connections that they were for."""
    rose = "ListenOverflows of %s rose by %d" % (host, queue["overflows"])
    if "port" not in queue:
        return " %s: a socket's queue of new connections had no room. Look at: ss -ltn." % rose
    return (" The socket that listens on %s port %d had no room for more connections: %d wait to be accepted, where "
            "its limit is %d, and %s. Usually: the service is too slow to accept them, or hangs." % (
                queue["address"], queue["port"], queue["waiting"], queue["limit"], rose))
