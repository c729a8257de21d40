# SPDX-License-Identifier: Apache-2.0
"""Hypervisors, VMs, and what goes wrong with them."""
from dataclasses import dataclass, field
from typing import NamedTuple

from .packets import Sight

PACKET_MAX = 128     # header bytes in a record


@dataclass
class Tracing:
    """How a host is looked at. Times are seconds."""

    points: list[str] = field(default_factory=list)
    traced: bool = True          # it was asked
    missing: bool = False        # and nothing came from it
    two: bool = False            # by both tracers
    boot: float = 0.0            # its monotonic clock at second 0
    skew: float = 0.0            # its wall clock is ahead by this
    drift: float = 0.0           # both gain this in a second
    daemon: float | None = None  # µs that its clock daemon promises
    opens: float = 0.0           # its window
    late: float = 0.0            # it began to record so long after that
    early: float = 0.0           # it ended so long before its end
    lossy: dict[str, float] = field(default_factory=dict)   # point -> share of its records that are lost
    only: set[str] | None = None  # devices that its filter lets through
    short: int = PACKET_MAX      # header bytes that its records have
    nonlinear: bool = False      # its NIC leaves the payload in pages

    @property
    def is_observed(self) -> bool:
        """Whether a bundle came from it."""
        return self.traced and not self.missing


class Host:
    """A hypervisor."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number, self.underlay = name, number, "172.16.0.%d" % (number + 1)
        self.mac = bytes([2, 0, 0, 0, 1, number])
        self.devices: dict[str, tuple[int, str]] = {}     # name -> (ifindex, role)
        self.uplinks: list[str] = []
        self.taps: dict[str, VM] = {}
        self.mirror: tuple[str, str] | None = None        # tap, port
        self.floods: set[VM] = set()      # whose address its bridge does not know
        self.refuses = False              # drops what is flooded to it, instead of flooding it on
        self.bond = False
        self.software_gso, self.gro, self.reassembles, self.cuts = False, 1, False, False
        self.delay = 0.0                  # s that the bridge takes
        self.tracing = Tracing()
        self.log: list[Sight] = []
        self.device("br0", "bridge")

    def device(self, name: str, role: str) -> str:
        """Add a device."""
        self.devices.setdefault(name, (len(self.devices) + 2, role))
        return name


class VM:
    """A guest: its addresses, and on which host's tap it is when."""

    def __init__(self, number: int, host: Host, tap: str) -> None:
        self.number, self.name = number, "vm%d" % number
        self.v4, self.v6 = "10.0.0.%d" % (10 + number), "fd00::%x" % (10 + number)
        self.mac = bytes([0x52, 0x54, 0, 0, 0, number])
        self.home = [(-1e9, host, tap)]   # since when, where

    def at(self, when: float) -> tuple[Host, str]:
        """Return (host, tap)."""
        return next((host, tap) for since, host, tap in reversed(self.home) if when >= since)

    @property
    def moves(self) -> bool:
        """Whether it migrates."""
        return len(self.home) > 1


@dataclass(frozen=True)
class Fault:
    """Packets at one stage of one host end here."""

    host: str
    stage: str         # rx, qdisc, tun, tunnel
    device: str
    share: float
    begin: float
    end: float
    kind: str          # drop, silent
    function: str
    reason: int
    flows: set[int] | None = None

    def __str__(self) -> str:
        return "%s: %s of %.0f %% at %s (%s) from %.2f to %.2f s%s" % (
            self.host, "drop in " + self.function if self.kind == "drop" else "silent end", self.share * 100,
            self.device, self.stage, self.begin, self.end, ", flows %s" % sorted(self.flows) if self.flows else "")


class LossyWire(NamedTuple):
    """A wire from one host to another that loses a share of what it carries."""

    one: str
    two: str
    share: float
    begin: float
    end: float

    def __str__(self) -> str:
        return "wire %s > %s loses %.0f %% from %.2f to %.2f s" % (
            self.one, self.two, self.share * 100, self.begin, self.end)
