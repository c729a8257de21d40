# SPDX-License-Identifier: Apache-2.0
"""A seed in words: its scenario, the truth, and what was said and judged."""
import collections
from collections.abc import Iterator

from .flows import Flow
from .judge.losses import where
from .machines import PACKET_MAX, Host
from .trial import Outcome
from .world import World


def scenario(world: World) -> str:
    """Return a seed's scenario and truth."""
    fleet = world.fleet
    lines = ["%.2f s, %d packets, %d lost; tunnel %s; jitter %.0f us, reordered %.1f %%, duplicated %.1f %%" % (
        world.duration, len(world.packets), sum(packet.lost for packet in world.packets), fleet.tunnel or None,
        fleet.jitter * 1e6, fleet.reordering * 100, fleet.duplication * 100)]
    lines += [_host(host) for host in fleet.hosts] + fleet.notes
    if fleet.switch_floods:
        lines.append("the switch floods %s" % sorted(vm.name for vm in fleet.switch_floods))
    lines += [str(fault) for fault in fleet.faults] + [str(wire) for wire in fleet.wires]
    for flow in world.flows:
        lines.append(str(flow))
        for way in (0, 1):
            lines += _way(world, flow, way)
    return "\n".join(lines)


def _host(host: Host) -> str:
    tracing = host.tracing
    facts = ["untraced"] if not tracing.traced else ["missing"] if tracing.missing else []
    facts += ["%s %.3f s" % (name, value) for name, value in (("late", tracing.late), ("early", tracing.early))
              if value]
    facts += ["loses %s" % tracing.lossy] if tracing.lossy else []
    facts += ["only %s" % sorted(tracing.only)] if tracing.only else []
    facts += ["%d header bytes" % tracing.short] if tracing.short < PACKET_MAX else []
    facts += [name for name, is_so in (
        ("bond", host.bond), ("cuts", host.cuts), ("reassembles", host.reassembles), ("nonlinear", tracing.nonlinear),
        ("software_gso", host.software_gso), ("refuses", host.refuses), ("two", tracing.two)) if is_so]
    facts += ["floods %s" % sorted(vm.name for vm in host.floods)] if host.floods else []
    facts += ["points %s" % " ".join(tracing.points), "gro %d" % host.gro, "uplinks %s" % " ".join(host.uplinks),
              "skew %.6f s drift %.1f ppm daemon %s" % (tracing.skew, tracing.drift * 1e6, tracing.daemon)]
    return "%s: %s; %s" % (host.name, ", ".join("%s=%s" % (tap, vm.name) for tap, vm in host.taps.items()),
                           ", ".join(facts))


def _way(world: World, flow: Flow, way: int) -> list[str]:
    """Return the truth about one direction of a flow."""
    packets = [packet for packet in world.packets if packet.flow is flow and packet.way == way]
    if not packets:
        return []
    lost = collections.Counter(str(loss) for packet in packets if packet.lost for loss in packet.gone[-1:])
    keys = sorted({key for packet in packets for key in packet.keys})
    return ["    %s: %d sent, %d recorded, %d arrived, %d lost%s, %d sent again" % (
        " | ".join(keys) or "(nobody saw it)", len(packets), sum(packet.recorded for packet in packets),
        sum(packet.arrived for packet in packets), sum(packet.lost for packet in packets),
        " (%s)" % ", ".join("%d %s" % (many, what) for what, many in lost.most_common()) if lost else "",
        sum(packet.resent for packet in packets))]


def report(world: World, outcome: Outcome) -> Iterator[str]:
    """Yield the lines about a seed: scenario, verdict, what the summary says, and what is wrong with it."""
    yield scenario(world)
    yield "\n" + (outcome.verdict or "no verdict")
    if outcome.summary:
        for loss in outcome.summary["losses"]:
            yield "%s %s: %d (%d) of %s, %s [%s]" % (loss["certainty"], loss["kind"], loss["packets"],
                                                     loss["wire_packets"], loss["flow"], where(loss), loss["why"])
        for flow in outcome.summary["flows"]:
            yield str({name: value for name, value in flow.items()
                       if value and name not in ("first", "last", "bytes")})
        for name, host in outcome.summary["hosts"].items():
            yield "%s %s" % (name, host["clock"])
    yield "\nJUDGED"
    if not outcome.found:
        yield "nothing is wrong"
    for kind, text in outcome.found:
        yield "%s: %s" % (kind, text)
