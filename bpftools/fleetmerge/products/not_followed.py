# SPDX-License-Identifier: Apache-2.0
"""Drops of packets that are not followed from place to place, because they are not IP: as the kernel reported them."""
from typing import Any

from ..findings.meaning import meaning
from ..findings.shares import share
from .store import Store


def drops_not_followed(store: Store) -> list[dict[str, Any]]:
    """Return one entry for each host, device, function, reason and flow, most packets first."""
    rows = store.rows("""
        SELECT host, netns, device, point, split_part("at", '+', 1) AS function, mode("at") AS "at", reason, flow,
               count(*) AS packets, sum(len)::BIGINT AS bytes, epoch_ns(min(time)) AS first_ns,
               epoch_ns(max(time)) AS last_ns, mode(stack) AS stack
        FROM counted WHERE point IN ('skb.drop', 'ovs.drop') AND flow LIKE 'ethertype %'
        GROUP BY host, netns, device, point, function, reason, flow
        ORDER BY packets DESC, host, device, function, flow""")
    sent = {row["flow"]: row["packets"] for row in store.rows("""SELECT flow, max(packets) AS packets
        FROM (SELECT flow, count(*) AS packets FROM counted WHERE flow LIKE 'ethertype %'
              GROUP BY flow, host, netns, device, point)
        GROUP BY flow""")}
    return [_entry(row, sent.get(row["flow"], 0)) for row in rows]


def _entry(row: dict[str, Any], sent: int) -> dict[str, Any]:
    """Return the entry of one row; sent: packets of the flow at the place that saw most of them."""
    ground = "the kernel freed the packet as a drop"
    known = meaning(row["function"], row["reason"])
    out = dict(row, kind="drop", of="packet", network="", certainty="certain", why=ground, grounds=[ground],
               missing_grounds=[], journeys=[], bursts=[], share=share(row["packets"], sent),
               wire_packets=row["packets"], stack=row["stack"].split(";") if row["stack"] else [])
    return dict(out, harmless=True) if known and known.harmless else out
