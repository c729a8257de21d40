# SPDX-License-Identifier: Apache-2.0
"""Drops by an XDP program: which one is attached to the device."""
from typing import Any

from ...bundle.evidence import Reading
from .drop import Candidate, Drop
from .hooks import plain

# where the kernel frees what a program dropped: net/core/dev.c, drivers/net/veth.c
_FUNCTIONS = ("netif_receive_generic_xdp", "do_xdp_generic", "veth_xdp_rcv_skb")
_MODES = {1: "native", 2: "generic", 3: "offloaded"}   # XDP_ATTACHED_* in include/uapi/linux/if_link.h
BEFORE = ("native", "offloaded")    # the program runs before there is an skb


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the programs of the device at which the packets were dropped."""
    inner = [plain(name) for name in (drop.function, *drop.frames[:2])]
    if drop.reason != "XDP" and not any(name in _FUNCTIONS for name in inner) or "links" not in reading.after:
        return None
    before = {_identity(one) for one in programs(reading, drop.device, "before")}
    attached = programs(reading, drop.device, "after")
    return [Candidate(
        "xdp", words(one, drop.device),
        {"device": drop.device, "program": str(one["name"]), "id": one["id"], "mode": str(one["mode"]),
         "uid": one["uid"]}, alone=len(attached) == 1, unchanged=_identity(one) in before) for one in attached]


def programs(reading: Reading, device: str, when: str = "after") -> list[dict[str, Any]]:
    """Return the XDP programs of a device: name, id, mode, and the user who loaded it, None if that is not known."""
    out = []
    for row in reading.rows("links", when):
        if row.get("ifname") != device or not isinstance(row.get("xdp"), dict):
            continue
        for one in row["xdp"].get("attached") or [row["xdp"]]:
            program = one["prog"]
            uid = program.get("created_by_uid")
            out.append({"name": program.get("name") or "", "id": int(program["id"]),
                        "mode": _MODES.get(one.get("mode"), ""), "uid": uid if isinstance(uid, int) else None})
    return out


def _identity(program: dict[str, Any]) -> tuple[int, str]:
    return program["id"], program["mode"]


def words(program: dict[str, Any], device: str) -> str:
    """Return how a program is called: the XDP program firewall (id 12, native, loaded by user id 0) of eth0."""
    details = ["id %d" % program["id"], program["mode"]]
    if program["uid"] is not None:
        details.append("loaded by user id %d" % program["uid"])
    name = " " + str(program["name"]) if program["name"] else ""
    return "the XDP program%s (%s) of %s" % (name, ", ".join(filter(None, details)), device)
