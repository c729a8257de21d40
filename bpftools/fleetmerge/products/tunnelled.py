# SPDX-License-Identifier: Apache-2.0
"""What came to a host in a tunnel's network for which it has no device: a VNI that was changed at one end only, say."""
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..bundle.evidence import Reading
from ..journey.grounds import LIKELY
from ..packet.places import AGAIN
from .basis import Sentence
from .bridged import Devices
from .causes import Known
from .store import Store

_SAID = 5                           # that get a sentence
_KINDS = {"vxlan": "VXLAN", "geneve": "Geneve"}     # of tunnels, by the kernel's names (ip -d link), and ours
_ALL = 1 << 24                      # in place of a VNI: the device takes all, or nobody knows which
_MOST = 5                           # devices, or senders, that are named


def unknown_networks(store: Store, known: Known, devices: Devices) -> list[dict[str, Any]]:
    """Return the networks of tunnels in which packets came to an address of their host, though none of its devices is
    of that network, nor was before the window; those with most first. Where a device takes all networks (Open
    vSwitch's do), nothing is said."""
    out: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    addresses = {(host, netns): set(_addresses(reading)) for (host, netns), reading in known.spaces.items()}
    for row in store.rows("""
            SELECT host, netns, device, tunnel, tunnel_id, src, dst, count(*) AS packets FROM counted
            WHERE point = 'dev.rx' AND tunnel IN (SELECT unnest(?)) GROUP BY ALL ORDER BY packets DESC, src""",
                          list(_KINDS)):
        host, kind, vni = row["host"], row["tunnel"], int(row["tunnel_id"])
        role = devices.get((host, row["netns"], row["device"]), {}).get("role")
        if role in AGAIN or row["dst"] not in addresses.get((host, row["netns"]), ()):
            continue
        readings = [reading for (name, _), reading in known.spaces.items() if name == host]
        ends = {end for reading in readings for end in _ends(reading, kind, "after")}
        before = {end for reading in readings for end in _ends(reading, kind, "before")}
        if not ends or any(own in (_ALL, vni) for _, own in ends | before):
            continue
        entry = out.setdefault((host, row["netns"], kind, vni), {
            "host": host, "netns": row["netns"], "kind": kind, "vni": vni, "packets": 0, "senders": [],
            "ends": [{"device": name, "vni": own} for name, own in sorted(ends)[:_MOST]]})
        entry["packets"] += row["packets"]
        if row["src"] not in entry["senders"] and len(entry["senders"]) < _MOST:
            entry["senders"].append(row["src"])
    return sorted(out.values(), key=lambda entry: -entry["packets"])


def _addresses(reading: Reading) -> Iterator[str]:
    """Yield the addresses of a network namespace."""
    for row in reading.rows("addresses"):
        listed = row.get("addr_info")
        for address in listed if isinstance(listed, list) else ():
            if isinstance(address, dict) and isinstance(address.get("local"), str):
                yield address["local"]


def _ends(reading: Reading, kind: str, when: str) -> Iterator[tuple[str, int]]:
    """Yield the devices that are a tunnel's end: name, and VNI, or _ALL."""
    for row in reading.rows("links", when):
        info = row.get("linkinfo")
        data = info.get("info_data") if isinstance(info, dict) and info.get("info_kind") == kind else None
        if isinstance(data, dict):
            vni, some = data.get("id"), data.get("external") or data.get("vnifilter")
            yield str(row.get("ifname")), vni if not some and isinstance(vni, int) and 0 <= vni < _ALL else _ALL


def sentences(entries: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return a sentence for each of some of these networks."""
    return [Sentence(
        "%s came to %s in the %s network %d, for which it has no device (%s)." % (
            "1 packet" if one["packets"] == 1 else "%d packets" % one["packets"], one["host"],
            _KINDS[one["kind"]], one["vni"],
            ", ".join("%s has %d" % (end["device"], end["vni"]) for end in one["ends"])),
        ["recorded on %s: what %s sent to its own address" % (one["host"], ", ".join(one["senders"])),
         "read after the window on %s: its devices" % one["host"]],
        ["a device in a network namespace that was not read may take them", "who sends them may flood what is for all"],
        LIKELY)
        for one in entries[:_SAID]]
