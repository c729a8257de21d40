# SPDX-License-Identifier: Apache-2.0
"""What Open vSwitch's rules make of packets, beside what became of them: the `cause` of what was not seen again behind
a port, and flows of the datapath that do something else.
"""
from collections.abc import Mapping, Sequence
from typing import Any

from ..findings.causes.drop import Candidate, Packet, TooLarge, conclude, sentence
from ..findings.causes.openvswitch import find_vanished, stale
from ..findings.causes.switch import switch_of
from ..packet.places import ASKING
from .basis import Sentence
from .causes import COLUMNS, Known, packet_of
from .store import Store

_PLACES = 200      # that are looked at
_LOOKS = 100       # different packets of each
_SAID = 5          # flows of the datapath that get a sentence
_INSIDE = ("dev.rx", "dev.core", "ovs.rx", "ovs.receive", "ovs.process", "ovs.execute", "ovs.action", "ovs.ct", *ASKING)
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def add_decisions(losses: Sequence[dict[str, Any]], store: Store, known: Known) -> None:
    """Give the losses that were last seen at a port of Open vSwitch, on their way in, their `cause`."""
    shared: dict[tuple[str, ...], tuple[list[Candidate], list[dict[str, Any]]]] = {}
    inside = [loss for loss in losses if loss["kind"] == "vanished" and loss["point"] in _INSIDE]
    for loss in inside[:_PLACES]:
        try:
            found = _of_loss(loss, store, known)
        except (TooLarge, *_MALFORMED):    # or a host that says what no daemon prints
            continue
        if found:
            key = loss["host"], *sorted(one.what for one in found)
            shared.setdefault(key, (found, []))[1].append(loss)
    for candidates, some in shared.values():
        cause = conclude(sum(loss["packets"] for loss in some), candidates)
        if cause:
            for loss in some:
                loss["cause"] = dict(cause.entry(), words=sentence(cause))


def _of_loss(loss: Mapping[str, Any], store: Store, known: Known) -> list[Candidate]:
    switch = switch_of(known.hosts[loss["host"]]) if loss["host"] in known.hosts else None
    device = loss["device"].partition("@")[0]
    if not switch or not any(trace.device == device for trace in switch.traces):
        return []
    return find_vanished(switch, device, _packets(loss, store), known.budgets[loss["host"]])


def _packets(loss: Mapping[str, Any], store: Store) -> list[Packet]:
    """Return what packets of a loss's flow look like at the place where they were seen last."""
    rows = store.rows("""
        SELECT %s, min(ttl) AS ttl, max(ttl) AS ttl_most, coalesce(fragment, 0) > 0 AS later, count(*) AS packets
        FROM counted WHERE host = ? AND device = ? AND point = ? AND flow = ? GROUP BY ALL LIMIT %d""" % (
            ", ".join(COLUMNS), _LOOKS), loss["host"], loss["device"], loss["point"], loss["flow"])
    return [packet_of(row, "") for row in rows]


def stale_flows(known: Known) -> list[dict[str, Any]]:
    """Return the flows of the hosts' datapaths that do something else than the rules say."""
    out = []
    for host, reading in known.hosts.items():
        try:
            switch = switch_of(reading)
            out += [{"host": host, **one} for one in stale(switch)] if switch else []
        except _MALFORMED:
            continue
    return out


def sentences(flows: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return a sentence for each of some of these flows, those first that counted most packets."""
    return [Sentence(
        "On %s, a flow of Open vSwitch's datapath is not as the OpenFlow rules of %s are: what comes in by %s it %s, "
        "and ofproto/trace %s. It has counted %s." % (
            one["host"], one["bridge"], one["device"], _does(one["does"], "sends", "drops"),
            _does(one["should"], "sends such packets", "drops such packets"),
            "1 packet" if one["packets"] == 1 else "%d packets" % one["packets"]),
        ["flow of the datapath (%s): %s, actions: %s" % (one["ufid"], one["flow"], one["actions"]),
         "traced: %s" % one["traced"]]) for one in sorted(flows, key=lambda one: -one["packets"])[:_SAID]]


def _does(ports: Sequence[str], sends: str, drops: str) -> str:
    return "%s to %s" % (sends, " and ".join(ports)) if ports else drops
