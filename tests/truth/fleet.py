# SPDX-License-Identifier: Apache-2.0
"""Make capture bundles: what tracers on several hypervisors would have written about packets that we make up.

    fleet = Fleet()                          # hv-a and hv-b, each with an uplink eth0 and a VM behind the tap vnet0
    fleet.talk()                             # some packets both ways, from which clocks can be compared
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 10 == 5)
    fleet.write(run_dir)

A run directory is  hosts/HOST/TRACER/{manifest.json, records.bin, tracer.log}, and, where a case uses them,
topology.json (where the VMs of a pair are) and outcome.json (which hosts were asked).

All times are seconds of the one true clock, from 0 at the start of the window. Each host has its own monotonic clock
(`boot`) and wall clock (`skew`, `drift`); only these are written.
"""
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, RUN_ID, VNET0, Bundle, Skb
from truth.packets import A, B, datagram


class Fleet:
    """hv-a and hv-b, each with a VM behind its vnet0, joined by their eth0; and further hosts."""

    def __init__(self, *, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None, there: float = 50e-6,
                 back: float = 50e-6) -> None:
        """a, b: options of the bundles; there, back: seconds that the wire takes."""
        pair = ((ETH0, "eth0", "phy"), (VNET0, "vnet0", "vnet"))
        self.a = Bundle("hv-a", *pair, boot=1000.0, **(a or {}))
        self.b = Bundle("hv-b", *pair, boot=5000.0, **(b or {}))
        self.hosts = [self.a, self.b]
        self._wire = {"there": there, "back": back}

    def host(self, name: str, *devices: tuple[int, str, str], **options: Any) -> Bundle:
        """Add a host, with eth0 and vnet0 if no devices are given."""
        bundle = Bundle(name, *(devices or ((ETH0, "eth0", "phy"), (VNET0, "vnet0", "vnet"))), **options)
        self.hosts.append(bundle)
        return bundle

    def third(self, name: str = "hv-c") -> Bundle:
        """Add a host with eth0 and vnet0, whose clock can be compared with those of both others."""
        host = self.host(name)
        self.talk(self.a, host, port=5002)
        self.talk(self.b, host, port=5003)
        return host

    @staticmethod
    def out(host: Bundle, second: float, packet: bytes, **fields: Any) -> None:
        """A packet from a host's VM to the wire."""
        host.through(second, VNET0, ETH0, packet, **fields)

    @staticmethod
    def into(host: Bundle, second: float, packet: bytes, **fields: Any) -> None:
        """A packet from the wire to a host's VM."""
        host.through(second, ETH0, VNET0, packet, took=7e-6, **fields)

    def heard(self, host: Bundle, second: float, packet: bytes, tap: int = VNET0) -> None:
        """A VM sends something to A, from which its addresses are known."""
        host.through(second, tap, ETH0, packet)
        self.into(self.a, second + 58e-6, packet)

    def send(self, second: float, packet: bytes, *, way: str = "there", lose: bool = False, delay: float = 0.0,
             **fields: Any) -> None:
        """A packet from one VM to the other; way: there (hv-a to hv-b) or back; lose: it is lost on the wire."""
        one, two = (self.a, self.b) if way == "there" else (self.b, self.a)
        self.out(one, second, packet, **fields)
        if not lose:
            self.into(two, second + 8e-6 + self._wire[way] + delay, packet, **fields)

    def copied(self, second: float, packet: bytes, mirror: int, flooded: int, *, recorded: bool = True) -> None:
        """A packet from A to B that hv-a mirrors to a device of its own, and hv-b floods to another VM's, too.

        recorded: whether B's own device was seen to get it.
        """
        skb = self.a.seen(second, "dev.rx", VNET0, packet)
        self.a.deliver(second + 2e-6, mirror, packet, self.a.clone(skb))
        self.a.deliver(second + 8e-6, ETH0, packet, skb)
        came = self.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        self.b.deliver(second + 62e-6, flooded, packet, self.b.clone(came))
        if recorded:
            self.b.deliver(second + 65e-6, VNET0, packet, came)

    def to_all(self, second: float, packet: bytes, **fields: Any) -> Iterator[tuple[Bundle, float, Skb]]:
        """A packet from A to B, of which both bridges keep a clone for their hosts' own stacks: each host, when the
        packet came there, and the clone."""
        for host, came, went, begin in ((self.a, VNET0, ETH0, second), (self.b, ETH0, VNET0, second + 58e-6)):
            skb = host.seen(begin, "dev.rx", came, packet, **fields)
            host.deliver(begin + 8e-6, went, packet, skb, **fields)
            yield host, begin, host.clone(skb)

    def talk(self, one: Bundle | None = None, two: Bundle | None = None, *, port: int = 5001, count: int = 100) -> None:
        """Datagrams both ways between two other VMs of two hosts, all through the window; none is lost."""
        first, second = one or self.a, two or self.b
        ends = ["10.9.%d.1" % self.hosts.index(host) for host in (first, second)]
        for number in range(count):
            at = 10.0 * (number + 0.5) / count
            there, back = (datagram(50000 + number, *pair, port=port) for pair in (ends, ends[::-1]))
            self.out(first, at, there)
            self.into(second, at + 8e-6 + self._wire["there"], there)
            self.out(second, at + 1e-4, back)
            self.into(first, at + 1e-4 + 8e-6 + self._wire["back"], back)

    def write(self, run_dir: str | os.PathLike[str], topology: dict[str, Any] | None = None,
              outcome: dict[str, Any] | None = None) -> None:
        """Write the bundles of all hosts, and the files beside them."""
        for host in self.hosts:
            host.write(run_dir)
        for name, content in (("topology.json", topology), ("outcome.json", outcome)):
            if content is not None:
                Path(run_dir, name).write_text(json.dumps(content))


def talking(**options: Any) -> Fleet:
    """Return a fleet whose two hosts' clocks can be compared."""
    fleet = Fleet(**options)
    fleet.talk()
    return fleet


def pair_topology() -> dict[str, Any]:
    """Return a topology.json that says where the VMs A and B are."""
    return {"run_id": RUN_ID, "pair": {"src": {"address": A, "host": "hv-a", "uplinks": ["eth0"]},
                                       "dst": {"address": B, "host": "hv-b", "uplinks": ["eth0"]}}}
