# SPDX-License-Identifier: Apache-2.0
"""Drops by Open vSwitch: the OpenFlow rule at which a trace of such packets ends, the meter, or a flow of the datapath
that does what the rules do not say.
"""
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...bundle.evidence import Reading
from .drop import Budget, Candidate, Drop, Packet
from .flowmatch import fields_of, fits, packet_of
from .hooks import plain
from .switch import Switch, Trace, switch_of
from .traced import Part, Step

_FUNCTIONS = {"ovs_execute_actions", "do_execute_actions"}
_REASONS = {"OVS_DROP_LAST_ACTION", "OVS_DROP_EXPLICIT", "OVS_DROP_EXPLICIT_WITH_ERROR"}
_METER = "OVS_DROP_METER"
_AGAIN = "ovs_dp_process_packet"     # once for each time that a packet goes through the datapath's flows
_FLOODS = "no learned MAC for destination, flooding"
BOTH_VLANS = "that address may be at home in both VLANs"
_METERED = re.compile(r"meter:(\d{1,10})")
_STATE = "what conntrack said of them was not recorded"
_PARTLY = "not all that the rules ask for is in the records"
_SEVERAL = "their trace ends at %d rules, of which this is the last"
_NOT_BEFORE = "the rules were not read before the window"


def is_by_rules(function: str, reason: str | None) -> bool:
    """Whether Open vSwitch dropped a packet as its rules, or a meter of theirs, say. Kernels before 6.6 give no reason.
    """
    return reason in _REASONS or reason == _METER or (
        plain(function) in _FUNCTIONS and reason in (None, "NOT_SPECIFIED"))


def find(drop: Drop, _reading: Reading, host: Reading) -> list[Candidate] | None:
    """Return what made Open vSwitch drop these packets; None if it did not, or none were traced."""
    if not is_by_rules(drop.function, drop.reason):
        return None
    switch = switch_of(host)
    if not switch:
        return None
    ways: dict[str, Candidate] = {}
    for packet in drop.packets:
        _add(ways, _of_packet(switch, drop, packet))
    return list(ways.values())


def _add(ways: dict[str, Candidate], found: Iterable[Candidate]) -> None:
    """Add candidates to those of other packets: what is doubted of one packet is doubted of all."""
    for one in found:
        known = ways.setdefault(one.what, one)
        known.evaluated = known.evaluated and one.evaluated
        known.doubt = known.doubt or one.doubt
        known.vouched = min(known.vouched, one.vouched)


def _of_packet(switch: Switch, drop: Drop, packet: Packet) -> Iterator[Candidate]:
    drop.budget.spend(len(switch.traces) + len(switch.drops))
    again = drop.frames.count(_AGAIN) > 1
    of_it = [(trace, at) for trace, at in ((trace, _where(trace, drop, packet, again)) for trace in switch.traces)
             if at is not None]
    dropped = [(trace, at) for trace, at in of_it if trace.parts[at].drops]
    if drop.reason == _METER:
        for trace, _ in of_it:
            yield from meters(switch, trace, told=True)
        return
    for trace, at in dropped:
        yield rule(switch, trace, at, packet)
    for trace, _ in of_it if not dropped and not again else ():
        if expected(switch, trace):
            yield _otherwise(switch, trace, packet)


def _where(trace: Trace, drop: Drop, packet: Packet, again: bool) -> int | None:
    """Return the part of a trace in which a packet was dropped; None if it is not such a packet's."""
    if trace.device != (drop.device if drop.device == trace.device else packet.received) or not trace.parts:
        return None
    if not again:
        return 0 if fits(trace.parts[0].megaflow, packet) is not False else None
    for at, part in enumerate(trace.parts[1:], 1):
        if part.drops and fits(part.megaflow, packet) is not False:
            return at
    return None


def rule(switch: Switch, trace: Trace, at: int, packet: Packet) -> Candidate:
    """Return the rule at which a part of a trace ends without any output."""
    part = trace.parts[at]
    step = part.ends[-1]
    counted = _counting(part, step)
    before, after = (switch.rules[when].get(counted.key) if counted else None for when in ("before", "after"))
    was_read = bool(switch.rules["before"])
    same = bool(before and after and before[1] == after[1] and before[0] <= after[0])    # a new one counts from 0
    doubt = _doubt(part, packet)
    stated = not doubt and bool(part.resumed)
    return Candidate(
        "openflow", _words(switch, part, step) + _state(part), {
            "bridge": step.bridge, "table": step.table, "priority": step.priority, "cookie": step.cookie,
            "match": switch.named(step.bridge, step.match), "actions": ",".join(step.actions), "notes": step.notes},
        after[0] - (before[0] if same and before else 0) if after and was_read else None,
        "its counter" if counted is step else "the counter of the rule that sent them there",
        evaluated=not doubt and not stated, traced=True, by="ofproto/trace of such packets ends there",
        doubt=doubt or ("" if was_read else _NOT_BEFORE) or (_STATE if stated else ""),
        vouched=_in_state(switch, trace, part, packet) if stated and was_read else 0,
        unchanged=not was_read or counted is None or same)


def _counting(part: Part, step: Step) -> Step | None:
    """Return the rule whose counter tells of a step: where a table has none for it, the one that led there."""
    if step.priority is not None:
        return step
    led = part.steps[:part.steps.index(step)]
    return led[-1] if led else None


def _doubt(part: Part, packet: Packet) -> str:
    if fits(_without_state(part.megaflow), packet) is None:
        return _PARTLY
    return _SEVERAL % len(part.ends) if len(part.ends) > 1 else ""


def _without_state(match: str) -> str:
    return ",".join(word for word in match.split(",") if not word.startswith("ct_"))


def _in_state(switch: Switch, trace: Trace, part: Part, packet: Packet) -> int:
    """Return how many such packets the datapath's flows dropped, if all of these flows are for the state that a part of
    a trace is for."""
    state = fields_of(part.megaflow).get("ct_state", "")
    flows = [flow for flow in switch.drops if flow.recirculated and flow.is_of(trace)
             and fits(_without_state(flow.match), packet) is not False]
    agreed = all(_flags(state) <= _flags(fields_of(flow.match).get("ct_state", "")) for flow in flows)
    return sum(flow.packets for flow in flows) if agreed else 0


def _flags(state: str) -> set[str]:
    return set(re.findall(r"[+-][a-z]+", state))


def _words(switch: Switch, part: Part, step: Step) -> str:
    notes = ' ("%s")' % "; ".join(step.notes) if step.notes else ""
    if step.priority is not None:
        return "%s%s" % (_named(switch, step), notes)
    led = _counting(part, step)
    why = "in which no OpenFlow rule fits them" if step.words.startswith("No match") else '"%s"' % step.words
    return "table %d of %s, %s%s" % (
        step.table, step.bridge, why, "; they come there by " + _named(switch, led) if led else "")


def _named(switch: Switch, step: Step) -> str:
    actions = [action for action in step.actions if action != "drop"] or ["drop"]
    return 'the OpenFlow rule "%s" (table %d, priority %s%s) of %s' % (
        " ".join(filter(None, [switch.named(step.bridge, step.match), "actions=" + ",".join(actions)])), step.table,
        step.priority, ", cookie " + step.cookie if step.cookie else "", step.bridge)


def _state(part: Part) -> str:
    state = fields_of(part.megaflow).get("ct_state", "")
    return ", if conntrack says %s of them" % state if state else ""


def meters(switch: Switch, trace: Trace, told: bool = False) -> list[Candidate]:
    """Return the meters that packets of a trace go through; told: the kernel said that one dropped them."""
    out = []
    for step in (step for part in trace.parts for step in part.steps):
        for number in (int(found[1]) for found in map(_METERED.fullmatch, step.actions) if found):
            before, after = (switch.meters[when].get((step.bridge, number)) for when in ("before", "after"))
            out.append(Candidate(
                "meter", "meter %d of %s, by %s" % (number, step.bridge, _named(switch, step)),
                {"bridge": step.bridge, "meter": number},
                after - before if before is not None and after is not None and after >= before else None,
                "the counter of its drop bands", traced=True, by="ofproto/trace of such packets goes through it",
                doubt="its counters were not read" if after is None else "" if told else
                "it counts how many it drops, not which"))
    return out


def _otherwise(switch: Switch, trace: Trace, packet: Packet) -> Candidate:
    """Return what it is if the rules, as they were asked, do not drop such a packet."""
    where: dict[str, Any] = {"bridge": trace.bridge, "expected": expected(switch, trace)}
    to = "to " + " and ".join(where["expected"])
    flows = [flow for flow in switch.drops if not flow.recirculated
             and flow.is_of(trace) and fits(flow.match, packet) is not False]
    if not flows:
        return Candidate("openflow", "ofproto/trace sends such packets %s" % to, where, traced=True,
                         usual="after the window the OpenFlow rules of %s would not drop them" % trace.bridge)
    flow = flows[0]
    sure = switch.compared and len(flows) == 1 and fits(flow.match, packet) is True
    return Candidate(
        "datapath", "a flow of Open vSwitch's datapath that is not as its OpenFlow rules are: \"%s\" (%s) drops what "
        "comes in by %s, and ofproto/trace sends such packets %s" % (flow.shown, flow.ufid, flow.in_port, to),
        dict(where, ufid=flow.ufid, flow=flow.shown, actions=flow.actions), flow.packets, "its counter", traced=True,
        evaluated=sure, doubt="" if sure else "whether the daemon has compared it with its rules since is not known"
        if not switch.compared else _PARTLY)


def _apart(switch: Switch, trace: Trace, packet: Packet, to: Sequence[str]) -> Candidate | None:
    """Return the VLAN in which a bridge floods packets, if it knows their address in another one only."""
    vlan = packet.vlan if packet.vlan is not None else switch.tags.get(trace.device, 0)
    known = switch.known(trace.bridge, packet.mac_dst or "") if _floods_as_it_came(trace) else []
    if not known or any(other == vlan for _, other in known):
        return None
    port, other = known[0]
    tag = ", whose tag is %d" % switch.tags[port] if port in switch.tags else ""
    return Candidate(
        "openflow", "%s, which knows %s behind %s%s, in VLAN %d, but not in VLAN %d, in which they came" % (
            trace.bridge, packet.mac_dst, port, tag, other, vlan),
        {"bridge": trace.bridge, "port": port, "tag": switch.tags.get(port), "vlan": vlan, "expected": list(to)},
        evaluated=True, traced=True, by="ofproto/trace floods such packets, to " + (" and ".join(to) or "no port"),
        doubt=BOTH_VLANS)


def _floods_as_it_came(trace: Trace) -> bool:
    """Whether the bridge by which a packet came in floods it in the VLAN in which it came."""
    steps = trace.parts[0].steps if len(trace.parts) == 1 else []
    flooding = [step for step in steps if _FLOODS in step.notes]
    return bool(flooding) and all(step.bridge == trace.bridge for step in steps) and not any(
        "vlan" in action for step in steps for action in step.actions)


def find_flooded(switch: Switch, device: str, packets: Sequence[Packet], budget: Budget) -> list[Candidate]:
    """Return why packets were flooded to a device that has no use for them, and not to their own. packets: as they came
    in by each device. Raises TooLarge."""
    ways: dict[str, Candidate] = {}
    for packet in packets:
        budget.spend(len(switch.traces))
        for trace in switch.traces:
            to = expected(switch, trace)
            if trace.device == packet.received and device in to and fits(trace.parts[0].megaflow, packet) is not False:
                _add(ways, filter(None, [_apart(switch, trace, packet, to)]))
    return list(ways.values())


def stale(switch: Switch) -> list[dict[str, Any]]:
    """Return the flows of the datapath that do something else than the rules say of a packet that was traced, each
    once: where they send it (nowhere: they drop it), and where the rules do."""
    out: dict[str, dict[str, Any]] = {}
    for trace in switch.traces if switch.compared else ():
        should = switch.becomes(trace.parts[0].actions) if len(trace.parts) == 1 else None
        packet = packet_of(trace.flow)
        flows = [flow for flow in switch.flows if should is not None and not flow.recirculated
                 and flow.is_of(trace) and fits(flow.match, packet)]
        if should is None or len(flows) != 1:
            continue
        (flow,) = flows
        does = switch.becomes(flow.actions)
        if does is not None and does != should:
            out.setdefault(flow.ufid + flow.shown, {
                "bridge": trace.bridge, "device": trace.device, "ufid": flow.ufid, "flow": flow.shown,
                "actions": flow.actions, "packets": flow.packets, "does": does, "should": should, "traced": trace.flow})
    return list(out.values())


def expected(switch: Switch, trace: Trace) -> list[str]:
    """Return the ports to which the rules send packets of a trace."""
    return list(dict.fromkeys(port for part in trace.parts for port in switch.outputs(part.actions)))


def find_vanished(switch: Switch, device: str, packets: Sequence[Packet], budget: Budget) -> list[Candidate]:
    """Return what may have become, in Open vSwitch, of packets that came in by a device and were not seen again. Raises
    TooLarge."""
    ways: dict[str, Candidate] = {}
    for packet in packets:
        budget.spend(len(switch.traces))
        for trace in switch.traces:
            if trace.device != device or not trace.parts or fits(trace.parts[0].megaflow, packet) is False:
                continue
            _add(ways, _became(switch, trace, packet))
    return list(ways.values())


def _became(switch: Switch, trace: Trace, packet: Packet) -> Iterator[Candidate]:
    to = expected(switch, trace)
    dropped = [at for at, part in enumerate(trace.parts) if part.drops]
    if not to and dropped:
        yield rule(switch, trace, dropped[-1], packet)
        return
    yield from meters(switch, trace)
    apart = _apart(switch, trace, packet, to)
    if apart:
        yield apart
    elif to:
        yield Candidate("openflow", "ofproto/trace sends such packets to " + " and ".join(to),
                        {"bridge": trace.bridge, "expected": to}, traced=True,
                        usual="the OpenFlow rules of %s do not drop them" % trace.bridge)
