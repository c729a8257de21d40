# SPDX-License-Identifier: Apache-2.0
"""Which hosts carry the two VMs of a run, as topology.json says: where packets must come in, even if none ever does."""
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..bundle.labels import Labels
from ..bundle.manifest import Bundle
from ..errors import MergeError
from ..journey.atlas import Atlas
from ..packet.places import Place

FILE = "topology.json"
Homes = dict[bytes, tuple[str, list[str]]]   # address in 16 bytes, as identity.FLOW has it -> host, its uplinks
_OUTSIDE = ("phy", "bond")                   # what leads to other hosts, if the file names no uplink


def read(directory: str) -> Homes:
    """Return where the run's VMs are; empty if nobody wrote it down. MergeError if the file is wrong."""
    path = os.path.join(directory, FILE)
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as handle:
            ends = json.load(handle)["pair"].values()
        return {_packed(end["address"]): (str(end["host"]), [str(name) for name in end["uplinks"]]) for end in ends}
    except OSError as error:
        raise MergeError("%s cannot be read: %s" % (path, error.strerror)) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MergeError("%s does not say where a pair of VMs is (%r): remove it, or repeat the capture"
                         % (path, error)) from error


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed.ljust(16, b"\0")


def entrances(homes: Homes, bundles: Sequence[Bundle], labels: Sequence[Labels]) -> dict[bytes, Place]:
    """Return address -> the place where packets for it come in to its host, if that host looked there."""
    out = {}
    for address, (host, uplinks) in homes.items():
        for bundle, names in zip(bundles, labels, strict=True):
            if bundle.host != host or "dev.rx" not in bundle.points().values():
                continue
            found = sorted((device for device in bundle.manifest["devices"]
                            if device.get("name") in uplinks or device.get("role") in _OUTSIDE),
                           key=lambda device: (device.get("name") not in uplinks, device.get("role") not in _OUTSIDE))
            if found:
                out[address] = _entrance(host, names, found[0])
    return out


def _entrance(host: str, names: Labels, device: Mapping[str, Any]) -> Place:
    netns, ifindex = int(device.get("netns") or 0), int(device["ifindex"])
    return Place(host, names.netns(netns), names.device(netns, ifindex), "dev.rx", str(device.get("role") or "other"),
                 True)


def told(entrances: Mapping[bytes, Place], atlas: Atlas) -> dict[int, int]:
    """Return key of an address -> the number of the place where packets for it come in."""
    flows = atlas.flows
    known = flows[np.isin(flows["version"], (4, 6))]
    numbers = {place: number for number, place in enumerate(atlas.places)}
    out = {}
    for address, place in entrances.items():
        same = (known["target"] == np.frombuffer(address, "u1")).all(axis=1)
        out.update(dict.fromkeys(np.unique(known["to"][same]).tolist(), numbers[place]))
    return out
