# SPDX-License-Identifier: Apache-2.0
"""Packets that left for a device whose hardware keeps a queue, and were not seen again."""
from collections.abc import Sequence
from typing import Any

from ..bundle.labels import DROP_POINT, bare
from ..findings.causes import MALFORMED
from ..findings.causes.drop import Cause, sentence
from ..findings.causes.offloaded import find_offloaded, kept_by
from .causes import Known
from .store import Store

_PLACES = 200       # that are looked at
_SENT = "dev.tx"


def add_offloaded(losses: Sequence[dict[str, Any]], store: Store, known: Known) -> None:
    """Give losses behind a device whose hardware dropped as many packets, or more, their `cause`; not those of which
    records are missing: they may have been the kernel's own drops."""
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    keeping = {(host, name) for (host, netns), reading in known.spaces.items() for device in kept_by(reading)
               for name in (device, "%s@%s" % (device, netns))}
    for loss in losses:
        if loss["kind"] == "vanished" and loss["point"] == _SENT and (loss["host"], loss["device"]) in keeping:
            places.setdefault((loss["host"], loss["device"]), []).append(loss)
    for (host, device), here in list(places.items())[:_PLACES]:
        cause = _cause(host, device, sum(loss["packets"] for loss in here), store, known)
        for loss in here:
            if cause and "cause" not in loss and loss["certainty"] != "unknown":
                loss["cause"] = dict(cause.entry(), words=sentence(cause))


def _cause(host: str, device: str, count: int, store: Store, known: Known) -> Cause | None:
    """Return what dropped `count` packets behind a device, if that was its hardware. Drops there for no reason, or a
    general one, may have been its queue's: older kernels say no better."""
    rows = store.rows("""
        SELECT netns, count(*) FILTER (point = ? AND (reason IS NULL OR reason = 'NOT_SPECIFIED'
                                                      OR starts_with(reason, 'QDISC_'))) AS recorded
        FROM counted WHERE host = ? AND device = ? GROUP BY netns""", DROP_POINT, host, device)
    reading = known.spaces.get((host, rows[0]["netns"])) if len(rows) == 1 else None
    if reading is None:
        return None
    try:
        return find_offloaded(reading, bare(device, rows[0]["netns"]), rows[0]["recorded"], count)
    except MALFORMED:    # a host that says what no command prints
        return None
