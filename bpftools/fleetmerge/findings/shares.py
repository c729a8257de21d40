# SPDX-License-Identifier: Apache-2.0
"""How many packets a flow has, of which some were lost."""
import numpy as np

from ..journey.atlas import Atlas
from ..journey.found import Findings
from ..packet.identity import mix


class Volumes:
    """Packets of each flow, as it is called: the echoes of one ping and those of the next have one name."""

    def __init__(self, findings: Findings, atlas: Atlas) -> None:
        self._names, self._flows = _names(atlas.flows), atlas.flows["flow"]
        table = findings.flows
        key = self._key(table["flow"], table["network"])
        self._keys, of = np.unique(key, return_inverse=True)
        # of a sample: of drops that were taken beside it, nobody knows of how many packets
        self._packets = np.bincount(of, table["packets"] - table["beside"], len(self._keys))

    def _key(self, flow: np.ndarray, network: np.ndarray) -> np.ndarray:
        if not len(self._flows):
            return mix(flow, network)
        at = np.searchsorted(self._flows, flow).clip(max=len(self._flows) - 1)
        return mix(np.where(self._flows[at] == flow, self._names[at], flow), network)

    def packets(self, flow: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Return how many packets each of some flows in its network has; 0 if nothing is known of it."""
        if not len(self._keys):
            return np.zeros(len(flow), "i8")
        key = self._key(flow, network)
        at = np.searchsorted(self._keys, key).clip(max=len(self._keys) - 1)
        return np.where(self._keys[at] == key, self._packets[at], 0).astype("i8")


def share(part: int, whole: int) -> float:
    """Return a part in percent; of copies there may be more than packets."""
    return min(100.0, 100.0 * part / whole) if whole else 0.0


def _names(flows: np.ndarray) -> np.ndarray:
    """Return a number for the words for each flow."""
    ports = (flows["source_port"].astype("u8") << np.uint64(16)) | flows["target_port"]
    ends = mix(mix(flows["group"], ports), flows["ports"].astype("u8"))
    kind = (flows["ethertype"].astype("u8") << np.uint64(16)) | (flows["kind"].astype("u8") << np.uint64(8))
    arp = np.where(flows["version"] > 0, 0, kind)
    return mix(mix(ends, flows["protocol"].astype("u8")), arp)
