# SPDX-License-Identifier: Apache-2.0
"""Give each drop the rule or setting that did it, as far as its host read what it has."""
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..bundle.evidence import Evidence, Reading, read_evidence
from ..bundle.labels import DROP_POINTS, Labels, bare
from ..bundle.looks import Looks
from ..bundle.manifest import Bundle
from ..errors import BundleError
from ..findings.causes import candidates, unseen
from ..findings.causes.drop import Budget, Candidate, Drop, Packet, TooLarge, conclude, sentence
from ..findings.causes.hooks import plain
from ..findings.causes.listeners import full_queue
from ..findings.causes.openvswitch import is_by_rules
from ..findings.devices import Key
from ..findings.hosts import Host
from ..findings.names import who
from ..packet.places import TAKEN
from .store import Store

_PLACES = 500      # host, device, function and reason
_FLOWS = 2000      # of each place
_PACKETS = 100     # different ones of each flow
_TARGET = re.compile(r" > \[?(?P<address>[0-9a-f.:]+)]?:(?P<port>[0-9]+) ")    # in the words for a flow
COLUMNS = ("protocol", "src", "dst", "src_port", "dst_port", "tcp_flags", "icmp_type", "icmp_code", "tos", "mark",
            "vlan", "mac_src", "mac_dst")

_CAME_IN = "dev.rx"
# what drops packets at a point that is no free, of which no record names the function
_THERE = {"ovs.drop": "ovs_execute_actions"}

_NOT_READ = "On %s, what dropped packets in the network namespace %s is not named: its configuration was not read."
_TOO_MANY = "The rules of %s are too many to be followed: not all that dropped packets there is named."

Where = tuple[str, str, str, str, str | None]   # host, netns, device, function, reason
Moments = list[tuple[int, int]]                 # from and to, CLOCK_MONOTONIC, ns


class _Row(NamedTuple):
    """Packets that were dropped at one place, and look alike."""

    packet: Packet
    frames: tuple[str, ...]    # functions of the stack, innermost first
    limit: int                 # of the queue that they met
    full: bool                 # whether it was full


@dataclass
class Known:
    """What the hosts read of their configuration."""

    spaces: dict[tuple[str, str], Reading] = field(default_factory=dict)    # host and name of a network namespace
    hosts: dict[str, Reading] = field(default_factory=dict)                 # what is the same in all of them
    inodes: dict[tuple[str, str], int] = field(default_factory=dict)        # of these namespaces
    looks: dict[str, Looks | None] = field(default_factory=dict)            # host -> what it saw during the window
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)        # host -> how it was read
    budgets: dict[str, Budget] = field(default_factory=dict)                # host -> what its rules may cost
    doubts: list[str] = field(default_factory=list)


def known_of(hosts: Sequence[Host]) -> Known:
    """Read the evidence of all hosts; what cannot be used is a doubt, and costs nothing else."""
    out = Known()
    for host in hosts:
        for bundle, _, _ in host.bundles:
            try:
                evidence = read_evidence(bundle.directory, bundle.manifest["files"])
            except BundleError as error:
                out.doubts.append("The configuration of %s is not known: %s." % (host.name, error))
                continue
            if evidence:
                _add(out, host.name, bundle, evidence)
    return out


def _add(known: Known, host: str, bundle: Bundle, evidence: Evidence) -> None:
    names = Labels(bundle)
    for inode, reading in evidence.namespaces.items():
        known.spaces[host, names.netns(inode)] = reading
        known.inodes[host, names.netns(inode)] = inode
    if len(evidence.namespaces) == 1 and bundle.manifest["filter"].get("netns"):
        # of a packet that has neither device nor socket, no record names the namespace
        known.spaces.setdefault((host, names.netns(0)), next(iter(evidence.namespaces.values())))
    # each of a host's tracers may have read a part of it
    known.hosts.setdefault(host, Reading()).add(evidence.host)
    known.looks[host] = evidence.looks or known.looks.get(host)
    known.budgets.setdefault(host, Budget())
    entry = known.entries.setdefault(host, {"seconds": {}, "not_read": {}})
    for when, seconds in evidence.seconds.items():
        entry["seconds"][when] = entry["seconds"].get(when, 0.0) + seconds
    entry["not_read"].update({name: why for reading in [*evidence.namespaces.values(), evidence.host]
                              for name, why in reading.why.items()})
    known.doubts += ["On %s, %s." % (host, doubt) for doubt in evidence.doubts]


def add_causes(losses: Sequence[dict[str, Any]], store: Store, known: Known,
               devices: Mapping[Key, Mapping[str, Any]], drops: Mapping[Key, int]) -> None:
    """Give the drops among the losses their `cause`. devices: with their numbers, by host, namespace and name; drops:
    likewise, how many there were in all, if the losses are those of an excerpt."""
    by_place: dict[Where, list[dict[str, Any]]] = {}
    read = {host for host, _ in known.spaces}
    for loss in losses:
        if loss["kind"] == "drop" and ((loss["host"], loss["netns"]) in known.spaces or _is_switched(loss, known)):
            by_place.setdefault(_where(loss), []).append(loss)
        elif loss["kind"] == "drop" and loss["host"] in read:
            known.doubts.append(_NOT_READ % (loss["host"], loss["netns"]))
    moments = _moments(store) if any(known.looks.values()) else {}
    rows = _rows(store, {(host, netns, entry["ifindex"]): name for (host, netns, name), entry in devices.items()}
                 ) if by_place else {}
    for where, here in list(by_place.items())[:_PLACES]:
        try:
            _add_here(where, here, rows.get(where, {}), known, moments.get((*where[:3], where[4]), []),
                      drops.get(where[:3], 0))
        except TooLarge:
            known.doubts.append(_TOO_MANY % where[0])
    known.doubts = list(dict.fromkeys(known.doubts))


def _is_switched(loss: Mapping[str, Any], known: Known) -> bool:
    """Whether the rules of an Open vSwitch that was read decided, which are the same in all namespaces."""
    return loss["host"] in known.hosts and is_by_rules(*_where(loss)[3:])


def add_full_queues(entries: Sequence[dict[str, Any]], known: Known) -> None:
    """Give SYNs without an answer the `queue` that had no room for them, where they came to a host's own sockets.
    entries: see findings/unanswered.py."""
    for entry in entries:
        reading = known.spaces.get((entry["last"]["host"], entry["netns"]))
        end = _TARGET.search(entry["flow"])
        if entry["kind"] == "SYN" and entry["last"]["point"] not in TAKEN and reading and end:
            queue = full_queue(reading, end["address"], int(end["port"]))
            if queue:
                entry["queue"] = queue


def add_unseen(losses: Sequence[dict[str, Any]], known: Known) -> None:
    """Give what vanished on its way into a device what takes packets there `unseen`."""
    for loss in losses:
        after = loss["between"][1] if loss["kind"] == "vanished" else {}
        if after.get("point") == _CAME_IN and after != loss["between"][0]:
            found = [words for (host, _), reading in known.spaces.items() if host == after["host"]
                     for words in unseen(reading, after["device"])]
            if found:
                loss["unseen"] = sorted(set(found))


def _where(loss: Mapping[str, Any]) -> Where:
    function = _THERE.get(loss["point"], loss["function"])
    return loss["host"], loss["netns"], loss["device"], function, loss["reason"]


@dataclass
class _Shared:
    """Losses at one place that have the same candidates, and how many drops these are."""

    candidates: dict[str, Candidate]
    count: int = 0
    losses: list[dict[str, Any]] = field(default_factory=list)


def _add_here(where: Where, losses: Sequence[dict[str, Any]], rows: Mapping[str, list[_Row]], known: Known,
              moments: Moments, most: int) -> None:
    """Give the losses of one place their causes: those that have the same one are counted together. moments: when
    packets were dropped there; most: drops at that device, of which these may be an excerpt."""
    shared: dict[tuple[str, ...], _Shared] = {}
    for loss in losses[:_FLOWS]:
        # after address translation, the packets at this place have another flow's name
        own = rows.get(loss["flow"])
        here = own or [row for some in rows.values() for row in some]
        if not here or len(here) > _PACKETS:
            continue
        found = _candidates(where, here, known, moments)
        one = shared.setdefault(tuple(sorted(found)), _Shared(found))
        one.count = max(one.count, _count(here)) if own is None else one.count + _count(here)
        one.losses.append(loss)
        for what, candidate in one.candidates.items():
            candidate.evaluated = candidate.evaluated and found[what].evaluated
    for one in shared.values():
        cause = conclude(one.count, list(one.candidates.values()), most)
        if cause:
            for loss in one.losses:
                loss["cause"] = dict(cause.entry(), words=sentence(cause))


def _count(rows: Sequence[_Row]) -> int:
    return sum(row.packet.count for row in rows)


def _candidates(where: Where, rows: Sequence[_Row], known: Known, moments: Moments) -> dict[str, Candidate]:
    """Return what may have dropped packets, by its words: asked for each way on which they came there."""
    ways: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        ways.setdefault(row.frames, []).append(row)
    out: dict[str, Candidate] = {}
    for frames, some in ways.items():
        host, netns, device, function, reason = where
        drop = Drop(host, netns, bare(device, netns), function, reason, list(frames), [row.packet for row in some],
                    known.budgets[host], max(row.limit for row in some), all(row.full for row in some),
                    known.inodes.get(where[:2], 0), moments, known.looks.get(host))
        for one in candidates(drop, known.spaces.get(where[:2], Reading()), known.hosts[where[0]]):
            out.setdefault(one.what, one)
    return out


def _rows(store: Store, names: Mapping[tuple[str, str, int], str]) -> dict[Where, dict[str, list[_Row]]]:
    """Return what the packets that were dropped look like: place -> flow -> rows. Of a stack counts what the kernel did
    with the packet, not what it was in the midst of when it turned to packets (softirq)."""
    found = store.rows("""
        SELECT host, netns, device, point, regexp_replace("at", '[+].*', '') AS "at",
               regexp_replace(regexp_replace(stack, ';[^;]*softirq.*', ''), '[+][^;]*', '', 'g') AS stack, reason, flow,
               %s, min(ttl) AS ttl, max(ttl) AS ttl_most,
               coalesce(fragment, 0) > 0 AS later, more_fragments, rx_ifindex, max(queue_limit) AS queue_limit,
               bool_and(queue_limit > 0 AND queue_len >= queue_limit) AS queue_full, count(*) AS packets,
               min(if(gso_size > 0, 0, len)) AS shortest, if(max(gso_size) > 0, 0, max(len)) AS longest
        FROM counted WHERE point IN %s GROUP BY ALL LIMIT 100000""" % (", ".join(COLUMNS), DROP_POINTS))
    out: dict[Where, dict[str, list[_Row]]] = {}
    for row in found:
        frames = row["stack"].split(";") if row["stack"] else []
        function = who(row["at"], frames) if row["at"] else _THERE.get(row["point"], "")
        where = row["host"], row["netns"], row["device"], function, row["reason"]
        received = bare(names.get((row["host"], row["netns"], row["rx_ifindex"]), ""), row["netns"])
        out.setdefault(where, {}).setdefault(row["flow"], []).append(
            _Row(packet_of(row, received), tuple(map(plain, frames)), row["queue_limit"] or 0,
                 bool(row["queue_full"])))
    return out


def _moments(store: Store) -> dict[tuple[str, str, str, str | None], Moments]:
    """Return when packets were dropped: host, netns, device, reason -> moments. One is at most 10 ms long, or 10 ms and
    a 10,000th of the time from the host's first drop to its last."""
    found = store.rows("""
        WITH dropped AS (SELECT host, netns, device, reason, monotonic_ns FROM counted WHERE point = 'skb.drop'),
             grain AS (SELECT host, (max(monotonic_ns) - min(monotonic_ns)) // 10000 + 10000000 AS ns FROM dropped
                       GROUP BY host)
        SELECT host, netns, device, reason, min(monotonic_ns) AS first, max(monotonic_ns) AS last
        FROM dropped JOIN grain USING (host) GROUP BY host, netns, device, reason, monotonic_ns // ns ORDER BY first""")
    out: dict[tuple[str, str, str, str | None], Moments] = {}
    for row in found:
        where = row["host"], row["netns"], row["device"], row["reason"]
        out.setdefault(where, []).append((row["first"], row["last"]))
    return out


def packet_of(row: Mapping[str, Any], received: str) -> Packet:
    """Return what packets of a row of `counted` have in common; received: the device by which they came in."""
    address = row["src"]
    version = 0 if not address or row["protocol"] == "arp" else 6 if ":" in address else 4
    return Packet(row["packets"], version, ttl=row["ttl"] if row["ttl"] == row["ttl_most"] else None,
                  fragment=bool(row["later"]), first=bool(row["more_fragments"]) and not row["later"],
                  received=received, shortest=row.get("shortest") or 0, longest=row.get("longest") or 0,
                  **{name: row[name] for name in COLUMNS})
