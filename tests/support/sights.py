# SPDX-License-Identifier: Apache-2.0
"""Places, and sights of a packet at them, for tests of what is decided from them."""
from collections.abc import Collection, Sequence

from fleetmerge.journey.atlas import Layout, _layout
from fleetmerge.journey.tree import Sight
from fleetmerge.packet.places import Place

ROLES = {"eth": "phy", "vnet": "vnet", "br": "bridge", "vxlan": "tunnel", "veth": "veth"}


def place(words: str) -> Place:
    """Return the place of "hv-a eth0 dev.tx"; the device's name tells its role."""
    host, device, point = words.split()
    role = ROLES[device.rstrip("0123456789")]
    return Place(host, host, device, point, role, role in ("phy", "tunnel"))


def layout_of(places: Sequence[str], vms: Collection[str] = ()) -> Layout:
    """Return the layout of places, numbered in this order, as are their hosts and devices."""
    listed = [place(words) for words in places]
    hosts = list(dict.fromkeys(one.host for one in listed))
    devices = list(dict.fromkeys((one.host, one.netns, one.device) for one in listed))
    return _layout(listed, hosts, devices, set(vms))


def sight(place: int, chain: int, *, leg: int, when: float, head: int | None = None, drop: int = 0, hops: int = 0,
          freed: bool = False) -> Sight:
    """Return a sight; the chain has data of its own if no other is named. when: us."""
    return Sight(place, drop, chain, chain if head is None else head, leg, hops, freed, 1e3 * when)
