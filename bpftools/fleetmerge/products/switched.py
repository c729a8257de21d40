# SPDX-License-Identifier: Apache-2.0
"""What Open vSwitch's rules make of packets, beside what became of them: the `cause` of what was not seen again behind
a port, and flows of the datapath that do something else.
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..findings.causes.drop import Candidate, Packet, TooLarge, conclude, sentence
from ..findings.causes.openvswitch import BOTH_VLANS, find_flooded, find_vanished, stale
from ..findings.causes.switch import switch_of
from ..packet.places import ASKING
from .basis import Sentence
from .causes import COLUMNS, Known, packet_of
from .store import Store

_PLACES = 200      # that are looked at
_LOOKS = 100       # different packets of each
_SAID = 5          # flows of the datapath that get a sentence
_CAME_IN = "dev.rx"
_INSIDE = (_CAME_IN, "dev.core", "ovs.rx", "ovs.receive", "ovs.process", "ovs.execute", "ovs.action", "ovs.ct", *ASKING)
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def add_decisions(losses: Sequence[dict[str, Any]], store: Store, known: Known) -> None:
    """Give the losses that were last seen at a port of Open vSwitch, on their way in, their `cause`; and those packets
    that were flooded to where nobody has a use for them, because their own port is not in their VLAN."""
    shared: dict[tuple[str, ...], tuple[list[Candidate], list[dict[str, Any]]]] = {}
    for loss in [loss for loss in losses if _find(loss)][:_PLACES]:
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
                _doubt_harmless(loss)


def _find(loss: Mapping[str, Any]) -> Callable[..., list[Candidate]] | None:
    """Return what to look for; None if there is nothing."""
    if loss["kind"] == "vanished":
        return find_vanished if loss["point"] in _INSIDE else None
    return find_flooded if loss.get("harmless") and loss["of"] == "packet" else None


def _doubt_harmless(loss: dict[str, Any]) -> None:
    """Take back that nobody misses the packets of a drop: it is not certain either that somebody does."""
    if loss.pop("harmless", False):
        loss.update(certainty="likely", why=BOTH_VLANS, missing_grounds=[*loss["missing_grounds"], BOTH_VLANS])


def _of_loss(loss: Mapping[str, Any], store: Store, known: Known) -> list[Candidate]:
    find, switch = _find(loss), switch_of(known.hosts[loss["host"]]) if loss["host"] in known.hosts else None
    if not find or not switch:
        return []
    return find(switch, loss["device"].partition("@")[0], _packets(loss, store), known.budgets[loss["host"]])


def _packets(loss: Mapping[str, Any], store: Store) -> list[Packet]:
    """Return what packets of a loss's flow looked like at the place where they were seen last; of a drop, where they
    came in: what was in between may have changed them."""
    device, point = (None, _CAME_IN) if loss["kind"] == "drop" else (loss["device"], loss["point"])
    rows = store.rows("""
        SELECT device, %s, min(ttl) AS ttl, max(ttl) AS ttl_most, coalesce(fragment, 0) > 0 AS later,
               more_fragments, count(*) AS packets
        FROM counted WHERE host = ? AND device = coalesce(?, device) AND point = ? AND flow = ?
        GROUP BY ALL LIMIT %d""" % (", ".join(COLUMNS), _LOOKS), loss["host"], device, point, loss["flow"])
    return [packet_of(row, row["device"].partition("@")[0]) for row in rows]


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
