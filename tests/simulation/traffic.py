# SPDX-License-Identifier: Apache-2.0
"""Which flows there are, and which way they go."""
from typing import TYPE_CHECKING

import numpy as np

from .flows import Arp, Datagrams, Echo, Flow, Fragments, Nat
from .machines import Host
from .stream import Stream

if TYPE_CHECKING:
    from .world import World

_KINDS: dict[str, type[Flow]] = {"udp": Datagrams, "tcp": Stream, "icmp": Echo, "noid": Datagrams,
                                 "identical": Datagrams, "quic": Datagrams, "arp": Arp, "frag": Fragments}


def make_flows(world: "World") -> list[Flow]:
    """Return the flows of a seed."""
    rng, vms = world.dice.stream("traffic"), world.fleet.vms
    kinds = [kind for kind in _KINDS if world.dice.may(kind)]
    out = []
    for number in range(int(rng.integers(2, 9))):
        kind = str(rng.choice(kinds))
        if number == 0 and world.dice.may("udp") and rng.random() < 0.8:
            kind = "udp"
        one, two = rng.choice(len(vms), 2, replace=False)
        out.append(_KINDS[kind](world, number, kind, vms[one], vms[two]))
    for flow in out:
        _detour(world, flow)
    return out


def _detour(world: "World", flow: Flow) -> None:
    """Perhaps a flow goes through a router, a gateway host, or address translation."""
    rng, dice = world.dice.stream("detour %d" % flow.number), world.dice
    chance = rng.random()
    if flow.kind == "arp" or chance > 0.75:
        return
    moving = any(vm.moves for vm in flow.ends)
    others = [vm for vm in world.fleet.vms if vm not in flow.ends and not vm.moves]
    if chance < 0.15 and dice.on("router", 0.5) and others:
        vm = others[int(rng.integers(len(others)))]
        for way in (0, 1) if rng.random() < 0.7 else (0,):
            flow.goals[way].insert(0, ("router", vm))
        flow.router_loses = float(rng.choice([0.0, 0.0, 0.05]))
    elif chance < 0.3 and dice.on("hairpin", 0.5):
        homes = {vm.at(0)[0] for vm in flow.ends}
        _gateway(rng, flow, [host for host in world.fleet.hosts if host not in homes] if not moving else [])
    elif chance < 0.75 and dice.on("nat", 0.6) and not moving and flow.version == 4 and flow.kind != "frag":
        flow.nat = _nat(rng, flow)


def _gateway(rng: np.random.Generator, flow: Flow, hosts: list[Host]) -> None:
    """Let a flow go through one of these hosts, both ways."""
    if hosts:
        host = hosts[int(rng.integers(len(hosts)))]
        for way in (0, 1):
            flow.goals[way].insert(0, ("host", host))


def _nat(rng: np.random.Generator, flow: Flow) -> Nat:
    if rng.random() < 0.5:
        host = flow.ends[0].at(0)[0]
        return Nat("snat", host, ("203.0.113.%d" % (1 + host.number), 30000 + flow.number))
    host = flow.ends[int(rng.integers(2))].at(0)[0]
    return Nat("dnat", host, ("198.51.100.%d" % (1 + flow.number), 8000 + flow.number))
