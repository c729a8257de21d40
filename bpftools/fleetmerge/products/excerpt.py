# SPDX-License-Identifier: Apache-2.0
"""What the summary says of an excerpt: what was asked for, and how much of the run it is."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..excerpt.asked import Excerpt
from ..findings.hosts import Host
from ..journey.found import Findings
from ..words import iso, printable
from .basis import Sentence
from .store import Store

_GROUNDS = ("every packet of the run was followed, and judged beside all others, before these were chosen",
            "every record of a chosen packet's way is here, those that do not fit, or lie outside the times, too; its "
            "frees are where they fit themselves")


@dataclass(frozen=True)
class Cut:
    """What was taken out of the run."""

    bounds: tuple[int, int]    # from when to before when, wall ns
    unjudged: int              # records that may belong to what was asked for, and could not be judged


def excerpt_entry(asked: Excerpt, cut: Cut, hosts: Sequence[Host], findings: Findings) -> dict[str, Any]:
    """Return what stands in summary.json."""
    return dict(asked.entry(cut.bounds), packets_of_run=findings.followed,
                records_of_run=sum(host.records for host in hosts), records_not_judged=cut.unjudged)


def sentence(entry: Mapping[str, Any], packets: int) -> Sentence:
    """Return the sentence that says of what the verdict speaks. packets: how many were chosen."""
    filtered = ['fits the filter "%s"' % printable(entry["filter"])] if entry["filter"] else []
    times = ["%s %s" % (word, entry[name]) for name, word in (("after", "from"), ("before", "before")) if entry[name]]
    made = ["was made %s" % " on and ".join(times) + (" on" if entry["after"] and not entry["before"] else "")
            ] if times else []
    return Sentence("This speaks of a part of the run, %d of its %d packets: those of which a record %s." % (
        packets, entry["packets_of_run"], " and ".join([*filtered, *made])), _GROUNDS)


def doubts(entry: Mapping[str, Any]) -> list[str]:
    """Return what limits the choice."""
    count = entry["records_not_judged"]
    return ["%d %s of other packets could not be judged by the filter, which asks for bytes that were not recorded "
            "there, or for ports of a fragment but the first: more packets may belong to this part." % (
                count, "record" if count == 1 else "records")] if count else []


def seen(store: Store) -> list[dict[str, Any]]:
    """Return what the records of an excerpt show at each point of each device, as findings.seen.seen() does of all."""
    rows = store.rows("""SELECT host, netns, device, point, count(*) AS packets, sum(len)::BIGINT AS bytes,
        epoch_ns(min(time)) AS first, epoch_ns(max(time)) AS last FROM counted GROUP BY ALL ORDER BY ALL""")
    return [dict(row, first=iso(row["first"]), last=iso(row["last"])) for row in rows]


def records(store: Store) -> int:
    """Return how many records an excerpt has."""
    return int(store.rows("SELECT count(*) AS records FROM events")[0]["records"])
