# SPDX-License-Identifier: Apache-2.0
"""Where bridges believe VMs to be, beside where these sent from, or have their device: entries of a forwarding table
that lag behind.

libvirt gives a VM's device the VM's own address with 0xfe in front of it (virNetDevTapCreateInBridgePort).
"""
from collections.abc import Mapping, Sequence
from typing import Any

from ..journey.grounds import LIKELY
from ..packet.places import AGAIN, LOCAL
from .basis import Sentence
from .causes import Known
from .store import Store

_SAID = 5           # that get a sentence
_LIVES = {"sent": "it last sent from %s on %s", "device": "the device of the VM that has it is %s on %s"}
_SEEN = {"sent": "recorded on %s: frames that %s sent by %s", "device": "read on %s: the address of %s's device, %s"}
Devices = Mapping[tuple[str, str, str], Mapping[str, Any]]      # host, netns, device


def stale_entries(store: Store, known: Known, devices: Devices) -> list[dict[str, Any]]:
    """Return the entries that lead frames to the device of a VM, though the address sent from another one's alone, or,
    where it was not heard, is by its name another one's. Of two VMs that have one address, in networks of their own,
    each has a device of that name, or sends."""
    entries = _entries(known, devices)
    if not entries:
        return []
    last: dict[str, tuple[str, str, str]] = {}
    own: set[tuple[str, str, str, str]] = set()
    for row in store.rows("""
            SELECT mac_src, host, netns, device FROM counted
            WHERE point = 'dev.rx' AND mac_src IN (SELECT unnest(?)) GROUP BY ALL ORDER BY max(time)""",
                          sorted({entry["mac"] for entry in entries})):
        place = row["host"], row["netns"], row["device"]
        if _is_local(devices, place):
            last[row["mac_src"]] = place
            own.add((row["mac_src"], *place))
    out = []
    named = _named(devices)
    for entry in entries:
        mac, here = entry["mac"], (entry["host"], entry["netns"], entry["device"])
        lives, by = (last[mac], "sent") if mac in last else (named.get(mac[2:]), "device")
        if lives and lives != here and (mac, *here) not in own and _behind(devices[here]) != mac[2:]:
            out.append(dict(entry, lives={"host": lives[0], "netns": lives[1], "device": lives[2], "by": by}))
    return _with_frames(store, out, devices) if out else []


def _entries(known: Known, devices: Devices) -> list[dict[str, Any]]:
    """Return what bridges believe to be behind VMs' devices, after the window: each address once for all VLANs."""
    out: dict[tuple[str, ...], dict[str, Any]] = {}
    for (host, netns), reading in known.spaces.items():
        for row in reading.rows("fdb"):
            mac, name, flags = str(row.get("mac")).lower(), str(row.get("ifname")), row.get("flags")
            if row.get("state") == "permanent" or not row.get("master") or not _is_local(devices, (host, netns, name)):
                continue
            static = row.get("state") == "static" or (isinstance(flags, list) and "sticky" in flags)
            out.setdefault((host, netns, name, mac), {
                "host": host, "netns": netns, "bridge": str(row["master"]), "device": name, "mac": mac,
                "static": static})
    return list(out.values())


def _named(devices: Devices) -> dict[str, tuple[str, str, str]]:
    """Return what is behind the first byte of VMs' addresses -> their device, by the device's own address."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for place, entry in devices.items():
        behind = _behind(entry)
        if behind and _is_local(devices, place):
            found.setdefault(behind, []).append(place)
    return {behind: places[0] for behind, places in found.items() if len(places) == 1}


def _behind(device: Mapping[str, Any]) -> str:
    """Return what is behind the first byte of a VM's address, by its device's own; empty if that does not tell."""
    mac = device.get("mac")
    return mac[2:] if isinstance(mac, str) and mac.startswith("fe:") else ""


def _is_local(devices: Devices, place: tuple[str, str, str]) -> bool:
    return devices.get(place, {}).get("role") in LOCAL


def _with_frames(store: Store, entries: Sequence[dict[str, Any]], devices: Devices) -> list[dict[str, Any]]:
    """Return the entries of hosts to which frames for their address came, with how many, those with most first. A frame
    comes to a bond, a VLAN or the bridge itself after it came to another device."""
    frames: dict[tuple[str, str], int] = {}
    for row in store.rows("""
            SELECT host, netns, device, mac_dst, count(*) AS frames FROM counted
            WHERE point = 'dev.rx' AND mac_dst IN (SELECT unnest(?)) GROUP BY ALL""",
                          sorted({one["mac"] for one in entries})):
        if devices.get((row["host"], row["netns"], row["device"]), {}).get("role") not in AGAIN:
            key = row["host"], row["mac_dst"]
            frames[key] = frames.get(key, 0) + int(row["frames"])
    found = [dict(one, frames=frames.get((one["host"], one["mac"]), 0)) for one in entries]
    return sorted((one for one in found if one["frames"]), key=lambda one: -one["frames"])


def sentences(entries: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return a sentence for each of some of these entries."""
    return [Sentence(
        "On %s, the bridge %s believes %s to be behind %s%s, but %s: %s for it came to %s." % (
            one["host"], one["bridge"], one["mac"], one["device"], " (a static entry)" if one["static"] else "",
            _LIVES[one["lives"]["by"]] % (one["lives"]["device"], one["lives"]["host"]),
            "1 frame" if one["frames"] == 1 else "%d frames" % one["frames"], one["host"]),
        ["read after the window on %s: the forwarding table of %s" % (one["host"], one["bridge"]),
         _SEEN[one["lives"]["by"]] % (one["lives"]["host"], one["mac"], one["lives"]["device"])],
        ["another VM may have this address, too, in another network"], LIKELY)
        for one in entries[:_SAID]]
