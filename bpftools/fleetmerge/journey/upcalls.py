# SPDX-License-Identifier: Apache-2.0
"""Address translation behind a daemon's back: Open vSwitch asks its daemon about a packet, which sends another skb on,
and conntrack has changed its addresses before anybody sees that one.

No skb shows both names of the flow. The packet does: by all that translation leaves alone, within a second.
"""
import numpy as np

from ..packet.identity import IS_OTHER, IS_TCP, among, mix

ANSWER = 1_000_000_000   # ns: what a daemon sends on comes sooner


def asked_about(rows: np.ndarray, asks: np.ndarray) -> np.ndarray:
    """Return which rows are of packets that a daemon is asked about, and can be told from others. asks: by place."""
    return asks[rows["place"]] & np.isin(rows["kind"], (IS_TCP, IS_OTHER)) & (rows["ident"] > 0)


def renamings(asked: np.ndarray, begun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return flows before and after translation.

    asked: rows of packets that came in and that a daemon was asked about; begun: rows with which chains begin that
    nothing brought in.
    """
    asked = asked[np.argsort(asked["time"], kind="stable")]
    signs, first, of = np.unique(_sign(asked), return_index=True, return_inverse=True)
    sign = _sign(begun)
    begun = begun[among(sign, signs)]
    if not len(begun):
        return begun["flow"], begun["flow"]
    at = np.searchsorted(signs, _sign(begun))
    flow, time = asked["flow"][first], asked["time"][first]
    several = np.bincount(of, asked["flow"] != flow[of], len(signs)) > 0
    took = begun["time"] - time[at]
    good = ~several[at] & (flow[at] != begun["flow"]) & (took > 0) & (took < ANSWER)
    return flow[at][good], begun["flow"][good]


def _sign(rows: np.ndarray) -> np.ndarray:
    return mix(mix(mix(mix(rows["ident"].astype("u8"), rows["seq"]), rows["size"]), rows["hash"]), rows["kind"])
