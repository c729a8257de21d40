# SPDX-License-Identifier: Apache-2.0
"""What a host has learnt of the way to a single address by ICMP, and keeps beside its routes for a while: a path MTU,
or the gateway of a redirect.

    {"dst": "10.88.0.2", "dev": "eth0", "table": "main", "cache": [], "expires": 599, "metrics": [{"mtu": 1000}]}
"""
from dataclasses import dataclass
from typing import Any

from ...bundle.evidence import Reading
from .routes import same_address, same_table

_MOST = 1 << 32


@dataclass(frozen=True)
class Learnt:
    """The way to an address, as it was learnt."""

    address: str
    device: str
    mtu: int            # of the path, in bytes; 0: none was learnt
    gateway: str        # to which a redirect leads; empty: there was none
    seconds: int        # after which it is forgotten; 0: not known

    @property
    def words(self) -> str:
        """Return what names it: the cached route to 10.88.0.2 by eth0 (path MTU 1000, for 599 s yet)."""
        known = ["path MTU %d" % self.mtu] if self.mtu else []
        known += ["redirected to %s" % self.gateway] if self.gateway else []
        known += ["for %d s yet" % self.seconds] if self.seconds else []
        return "the cached route to %s by %s (%s)" % (self.address, self.device, ", ".join(known))

    def where(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {"to": self.address, "device": self.device, "path_mtu": self.mtu, "gateway": self.gateway}

    def is_like(self, other: "Learnt | None") -> bool:
        """Whether another one says the same; how long for does not matter."""
        return other is not None and self.where() == other.where()


def is_cached(address: str, reading: Reading) -> bool:
    """Whether a host has learnt anything of the way to an address."""
    return any(same_address(row.get("dst"), address) for row in reading.rows(_collector(address)))


def learnt(address: str, route: dict[str, Any], reading: Reading, when: str = "after") -> Learnt | None:
    """Return what a host has learnt of the way to an address that its route is for; None if there is nothing, or more
    than one that may be meant."""
    rows = [row for row in reading.rows(_collector(address), when)
            if same_address(row.get("dst"), address) and row.get("dev") == route.get("dev")
            and same_table(str(row.get("table", "main")), str(route.get("table", "main")))]
    if len(rows) != 1:
        return None
    gateway = rows[0].get("gateway")
    redirected = isinstance(gateway, str) and not same_address(gateway, str(route.get("gateway") or address))
    found = Learnt(address, str(rows[0]["dev"]), _mtu(rows[0]), str(gateway) if redirected else "",
                   _seconds(rows[0].get("expires")))
    return found if found.mtu or found.gateway else None


def _collector(address: str) -> str:
    return "cached-routes6" if ":" in address else "cached-routes"


def _mtu(row: dict[str, Any]) -> int:
    metrics = row.get("metrics")
    listed = metrics if isinstance(metrics, list) else []
    found = [one["mtu"] for one in listed if isinstance(one, dict) and "mtu" in one]
    return found[0] if len(found) == 1 and isinstance(found[0], int) and 0 < found[0] < _MOST else 0


def _seconds(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < _MOST else 0
