# SPDX-License-Identifier: Apache-2.0
"""Drops by a bridge: ports that do not forward, ports that are kept apart, VLANs that a port is not in."""
from typing import Any

from ...bundle.evidence import Reading
from .drop import Candidate, Drop
from .hooks import plain

_FUNCTIONS = {"br_handle_frame", "br_handle_frame_finish", "br_forward", "__br_forward", "br_flood", "deliver_clone",
              "maybe_deliver", "br_dev_xmit", "br_allowed_ingress", "__allowed_ingress", "br_handle_vlan"}
_BLOCKED = ("disabled", "listening", "blocking", "learning")


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the settings of ports that keep these packets from being forwarded; None if no bridge dropped them."""
    if plain(drop.function) not in _FUNCTIONS or drop.reason == "NETFILTER_DROP" or "ports" not in reading.after:
        return None
    after, before = _ports(reading, "after"), _ports(reading, "before")
    if drop.reason not in (None, "NOT_SPECIFIED", "BRIDGE_INGRESS_STP_STATE", "NO_TX_TARGET", "VLAN_FILTER"):
        return None
    found: dict[str, Candidate] = {}
    for packet in drop.packets:
        here = next((name for name in (drop.device, packet.received) if name in after), "")
        if not here:
            return []
        for one in _of_packet(here, packet.mac_dst, packet.vlan, after, reading):
            one.unchanged = _same(one, after, before)
            found[one.what] = one
    return list(found.values())


def _ports(reading: Reading, when: str) -> dict[str, dict[str, Any]]:
    return {str(row.get("ifname")): row for row in reading.rows("ports", when)}


def _same(one: Candidate, after: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> bool:
    return all(after[port].get(name) == before.get(port, {}).get(name)
               for port in one.where["ports"] for name in ("state", "isolated", "learning", "locked"))


def _of_packet(here: str, mac: str | None, vlan: int | None, ports: dict[str, dict[str, Any]],
               reading: Reading) -> list[Candidate]:
    """Return what keeps a frame that came in by a port from going on."""
    port = ports[here]
    bridge = str(port.get("master"))
    if port.get("state") in _BLOCKED:
        return [_candidate("the port %s of %s, whose state is %s" % (here, bridge, port["state"]), [here], "state",
                           port["state"])]
    refused = _vlan(here, bridge, vlan, reading)
    if refused:
        return refused
    out = _way_out(mac, bridge, vlan, reading)
    if out is None or out not in ports:
        return []
    if out == here:
        return [_candidate("the port %s of %s, behind which the bridge believes %s to be, and where it came from"
                           % (here, bridge, mac), [here], "fdb", mac)]
    if ports[out].get("state") in _BLOCKED:
        return [_candidate("the port %s of %s, whose state is %s" % (out, bridge, ports[out]["state"]), [out], "state",
                           ports[out]["state"])]
    if port.get("isolated") is True and ports[out].get("isolated") is True:
        return [_candidate("the ports %s and %s of %s, which are both isolated" % (here, out, bridge), [here, out],
                           "isolated", True)]
    return _vlan(out, bridge, vlan, reading)


def _candidate(what: str, ports: list[str], setting: str, value: Any) -> Candidate:
    return Candidate("bridge", what, {"ports": ports, "setting": setting, "value": value}, evaluated=True)


def _way_out(mac: str | None, bridge: str, vlan: int | None, reading: Reading) -> str | None:
    """Return the port behind which a bridge believes an address to be; None if it does not know."""
    rows = [row for row in reading.rows("fdb") if mac and str(row.get("mac")).lower() == mac
            and row.get("master") == bridge and row.get("vlan") in (None, vlan)]
    found = {str(row.get("ifname")) for row in rows}
    return found.pop() if len(found) == 1 else None


def _vlan(name: str, bridge: str, vlan: int | None, reading: Reading) -> list[Candidate]:
    """Return the port's VLANs, if the bridge filters by them and the frame's is not among them."""
    filtering = any(row.get("ifname") == bridge and _filters(row) for row in reading.rows("bridges"))
    rows = [row for row in reading.rows("vlans") if row.get("ifname") == name]
    vlans = [one for row in rows for listed in [row.get("vlans")] if isinstance(listed, list)
             for one in listed if isinstance(one, dict)]
    if not filtering:
        return []
    own = vlan if vlan is not None else next(
        (one.get("vlan") for one in vlans if "PVID" in str(one.get("flags"))), None)
    for one in vlans:
        first, last = one.get("vlan"), one.get("vlanEnd", one.get("vlan"))
        if isinstance(own, int) and isinstance(first, int) and isinstance(last, int) and first <= own <= last:
            return []
    ids = ", ".join("%s" % one.get("vlan") + ("-%s" % one["vlanEnd"] if "vlanEnd" in one else "") for one in vlans)
    return [_candidate("the port %s of %s, which filters by VLAN: it is in %s, and the frame %s" % (
        name, bridge, "VLAN " + ids if ids else "no VLAN", "has VLAN %d" % own if isinstance(own, int) else "has none"),
        [name], "vlan", ids)]


def _filters(row: dict[str, Any]) -> bool:
    information = row.get("linkinfo")
    data = information.get("info_data") if isinstance(information, dict) else None
    return isinstance(data, dict) and data.get("vlan_filtering") == 1
