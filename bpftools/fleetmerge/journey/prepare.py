# SPDX-License-Identifier: Apache-2.0
"""Before packets can be followed: each machine's chains, the names and homes that they show, and parts that fit into
memory."""
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..bundle.fields import Recorded
from ..bundle.labels import device_names
from ..bundle.manifest import Bundle
from ..clock.host import HostClock
from ..excerpt.marks import Marks
from ..memory import give_back
from ..packet.headers import ETH_ARP
from ..packet.sample import sample_of
from ..packet.survey import FREE_POINT, Survey
from ..told import fresh, keep, known_to
from .atlas import Atlas
from .chains import Chained, Machine, chain
from .evidence import homes_of
from .follow import Setting
from .grounds import Trust
from .outcomes import facts_of
from .partition import Names, Partition, names_of, partition_of, split
from .questions import neighbours_of

_NEEDED = ("flow", "group", "back", "to", "protocol", "kind", "source_port",
           "target_port")   # of flows, to follow packets
_ASKS = 1   # ARP: who has an address?
PART_UNITS = 500_000   # packets at places that are followed at once


class Pool(Protocol):
    """What does the work."""

    def run(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield function(one of each of the arguments)."""

    def tell(self, name: str, content: Any) -> str:
        """Write down what all have to know; return where."""


@dataclass
class Linked:
    """All machines' chains, and the names that they show."""

    machines: list[Machine]
    chained: list[Chained]
    names: Names
    edges: np.ndarray     # flow before, flow after address translation


def link(pool: Pool, atlas: Atlas, bundles: Sequence[Bundle], surveys: Sequence[Survey], scratch: str) -> Linked:
    """Find the chains of all machines."""
    machines = machines_of(bundles, surveys)
    known = pool.tell("atlas", atlas.without_flows())
    paths = [os.path.join(scratch, "chains-%d" % number) for number in range(len(machines))]
    chained = list(pool.run(_chain, [known] * len(machines), machines, paths))
    return Linked(machines, chained, *names_of(np.concatenate([one.renamed for one in chained]), atlas.flows))


def prepare(pool: Pool, atlas: Atlas, linked: Linked, bundles: Sequence[Bundle], clocks: Sequence[HostClock],
            trusts: dict[str, Trust], scratch: str, told: dict[int, int], unwanted: np.ndarray,
            excerpt: Marks | None = None) -> Setting:
    """Return the setting in which parts are followed. clocks: of each bundle; trusts: by host; unwanted: u1 by drop;
    excerpt: what is asked for, None: everything."""
    machines, chained, names = linked.machines, linked.chained, linked.names
    partition = partition_of(atlas.flows, linked.edges, chained, names, PART_UNITS)
    files = _deal(pool, chained, partition, names, scratch)
    own = [clocks[machine.bundles[0]] for machine in machines]
    host_of = [atlas.hosts.index(bundles[machine.bundles[0]].host) for machine in machines]
    _count_hardware(trusts, atlas, bundles, machines, chained)
    return Setting(_lean(atlas), facts_of(trusts, atlas.hosts), own, host_of,
                   bounds_of(own, host_of, len(atlas.hosts)), names, _final(names), partition, files,
                   keep(os.path.join(scratch, "flows.npy"), atlas.flows), homes_of(chained, own, atlas.flows),
                   _many(atlas), unwanted,
                   Recorded((bundle.path, bundle.dtype, bundle.fields) for bundle in bundles),
                   neighbours_of(atlas.flows), told, sample_of(bundles), excerpt)


def machines_of(bundles: Sequence[Bundle], surveys: Sequence[Survey]) -> list[Machine]:
    """Return the machines: everything with the same monotonic clock and the same skbs."""
    members: dict[tuple[str, str], list[int]] = {}
    for number, bundle in enumerate(bundles):
        boot = str(bundle.manifest["kernel"].get("boot_id") or number)
        members.setdefault((bundle.host, boot), []).append(number)
    return [Machine(numbers, [surveys[number].rows for number in numbers],
                    _sees_frees([bundles[number] for number in numbers])) for numbers in members.values()]


def _sees_frees(bundles: Sequence[Bundle]) -> bool:
    """Whether a machine's bundles have every free of the packets that they have: none was lost, and where a packet may
    go to other network namespaces or devices, to be freed there, those were looked at, too."""
    return any(FREE_POINT in bundle.points().values() for bundle in bundles) and not any(
        bundle.missing() or bundle.truncated or bundle.manifest["filter"].get("netns")
        or bundle.manifest["filter"].get("interfaces") for bundle in bundles)


def _chain(known: str, machine: Machine, path: str) -> Chained:
    chained = chain(known_to(known), machine, fresh(path))
    give_back()
    return chained


def _deal(pool: Pool, chained: Sequence[Chained], partition: Partition, names: Names, scratch: str) -> list[list[str]]:
    """Write all machines' rows into files for each part."""
    if partition.parts == 1:
        return [[one.path] for one in chained]
    known = pool.tell("partition", (partition, names))
    prefixes = [os.path.join(scratch, "part-%d" % number) for number in range(len(chained))]
    files = []
    paths = [one.path for one in chained]
    for path, made in zip(paths, pool.run(_split, [known] * len(paths), paths, prefixes), strict=True):
        files.append(made)
        os.unlink(path)
    return files


def _split(known: str, path: str, prefix: str) -> list[str]:
    partition, names = known_to(known)
    return split(path, partition, names, fresh(prefix))


def _lean(atlas: Atlas) -> Atlas:
    """Return an atlas with what following packets needs of its flows."""
    flows = np.zeros(len(atlas.flows), [(name, atlas.flows.dtype[name]) for name in _NEEDED])
    for name in _NEEDED:
        flows[name] = atlas.flows[name]
    return replace(atlas, flows=flows)


def bounds_of(clocks: Sequence[HostClock], host_of: Sequence[int], hosts: int) -> np.ndarray:
    """Return by how much two hosts' clocks may be apart, ns, for each pair. clocks, host_of: of each machine."""
    out = np.zeros((hosts, hosts))
    for one, here in zip(clocks, host_of, strict=True):
        for two, there in zip(clocks, host_of, strict=True):
            bound = one.bound_to(two)
            out[here, there] = max(out[here, there], np.inf if bound is None else bound * 1e3)
    return out


def _final(names: Names) -> tuple[np.ndarray, np.ndarray]:
    """Return flow -> the name that translation gives it last, for flows with one such name."""
    roots, first, counts = np.unique(names.root, return_index=True, return_counts=True)
    return roots[counts == 1], names.after[first][counts == 1]


def _many(atlas: Atlas) -> np.ndarray:
    """Return the flows to many receivers: multicast, broadcast, and questions of ARP."""
    flows = atlas.flows
    first = flows["target"][:, 0]
    every = (flows["target"][:, :4] == 255).all(axis=1)
    many = np.where(flows["version"] == 6, first == 255, (flows["version"] == 4) & (((first >> 4) == 14) | every))
    asks = (flows["version"] == 0) & (flows["ethertype"] == ETH_ARP) & (flows["kind"] == _ASKS)
    return np.union1d(flows["flow"][many | asks], atlas.broadcast)


def _count_hardware(trusts: dict[str, Trust], atlas: Atlas, bundles: Sequence[Bundle], machines: Sequence[Machine],
                    chained: Sequence[Chained]) -> None:
    """Note hosts whose devices counted more packets than were recorded, where all packets were asked for."""
    for machine, one in zip(machines, chained, strict=True):
        host = bundles[machine.bundles[0]].host
        if host not in trusts or any(bundles[number].manifest["filter"] or bundles[number].manifest["sample"]
                                     for number in machine.bundles):
            continue
        names = device_names(bundles[machine.bundles[0]])
        for device in bundles[machine.bundles[0]].manifest["devices"]:
            gained, name = _gained(device), names[int(device.get("netns") or 0), int(device["ifindex"])]
            place = [number for number, place in enumerate(atlas.places)
                     if place.host == host and place.device == name and place.point == "dev.rx"]
            seen = sum(int(one.at_place[number]) for number in place if number < len(one.at_place))
            if place and gained - seen > max(_STRANGERS, seen * 0.02) and device.get("role") == "phy":
                trusts[host].counted = "%s on %s received %d packets, and %d were recorded" % (
                    name, host, gained, seen)


_STRANGERS = 5    # packets that are no IP, or came just outside the window, which a device counts, too


def _gained(device: dict[str, Any]) -> int:
    statistics = device.get("statistics")
    if not isinstance(statistics, dict):
        return 0
    before, after = (reading.get("rx_packets") if isinstance(reading, dict) else None
                     for reading in (statistics.get("before"), statistics.get("after")))
    return after - before if isinstance(before, int) and isinstance(after, int) else 0
