# SPDX-License-Identifier: Apache-2.0
"""Drops of packets that are not followed from place to place, because they are not IP: as the kernel reported them."""
from typing import Any

from ..products.store import Store


def drops_not_followed(store: Store) -> list[dict[str, Any]]:
    """Return one entry for each host, device, function, reason and flow, most packets first."""
    rows = store.rows("""
        SELECT host, netns, device, point, split_part("at", '+', 1) AS function, mode("at") AS "at", reason, flow,
               count(*) AS packets, sum(len)::BIGINT AS bytes, epoch_ns(min(time)) AS first_ns,
               epoch_ns(max(time)) AS last_ns, mode(stack) AS stack
        FROM counted WHERE point IN ('skb.drop', 'ovs.drop') AND flow LIKE 'ethertype %'
        GROUP BY host, netns, device, point, function, reason, flow
        ORDER BY packets DESC, host, device, function, flow""")
    why = "the kernel freed the packet as a drop"
    return [dict(row, kind="drop", certainty="certain", of="packet", network="", grounds=[why], missing_grounds=[],
                 journeys=[], why=why,
                 wire_packets=row["packets"], stack=row["stack"].split(";") if row["stack"] else []) for row in rows]
