# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors with a VM behind each, and packets that go from one VM to the other, or do not.

    fleet = Fleet()
    for number in range(100):
        fleet.send(number * 1e-3, udp_packet(number), lose=number == 7)
    summary = fleet.merge(tmp_path)
"""
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from fleetmerge import merge
from fleetmerge.bundle import find as inputs
from fleetmerge.bundle.find import Expected
from fleetmerge.findings import topology
from fleetmerge.products.summary import Request

from .bundles import Bundle, ethernet, ipv4, udp

A, B = "192.168.32.10", "192.168.32.20"
ETH0, VNET0 = 2, 3
RING = 0xFFFFFFFF81A01234


def udp_packet(number: int, source: str = A, target: str = B, *, ident: int | None = None, size: int = 64) -> bytes:
    """Return a datagram whose IP id is its number (from 1)."""
    return ethernet(ipv4(source, target, udp(40000, 5001, size), ident=number % 65535 + 1 if ident is None else ident))


class Fleet:
    """hv-a and hv-b. Times are seconds of the one true clock; `there` and `back` say how long the wire takes."""

    def __init__(self, *, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None, there: float = 50e-6,
                 back: float = 50e-6, duration: float = 10.0) -> None:
        self.a = Bundle("hv-a", boot=1000.0, duration=duration, **(a or {}))
        self.b = Bundle("hv-b", boot=5000.0, duration=duration, **(b or {}))
        self.wire = {"there": there, "back": back}
        self._skb = 0
        for host in (self.a, self.b):
            host.device(ETH0, "eth0", "phy")
            host.device(VNET0, "vnet0", "vnet")
            host.symbol(RING, "tun_net_xmit+0x1a2")

    def out(self, host: Bundle, second: float, packet: bytes, **fields: Any) -> None:
        """A packet from a host's VM to the wire, in one skb."""
        self._skb += 1
        host.event(second, "dev.rx", VNET0, packet, **self._fields(packet, True, fields))
        host.event(second + 8e-6, "dev.tx", ETH0, packet, **self._fields(packet, False, fields))

    def into(self, host: Bundle, second: float, packet: bytes, drop: bool = False, skip: tuple[str, ...] = (),
             **fields: Any) -> None:
        """A packet from the wire to a host's VM, in one skb; skip: points that do not record it."""
        self._skb += 1
        if "dev.rx" not in skip:
            host.event(second, "dev.rx", ETH0, packet, **self._fields(packet, True, fields))
        if "dev.tx" not in skip:
            host.event(second + 7e-6, "dev.tx", VNET0, packet, **self._fields(packet, False, fields))
        if drop:
            host.event(second + 9e-6, "skb.drop", VNET0, packet, reason=77, location=RING,
                       **self._fields(packet, False, fields))

    def _fields(self, packet: bytes, pulled: bool, fields: dict[str, Any]) -> dict[str, Any]:
        length = fields.pop("length", len(packet)) if "length" in fields else len(packet)
        return {"len": length - 14 * pulled, "data_offset": 78 if pulled else 64, "network_offset": 78,
                "skb": 0xFFFF888100000000 + 256 * self._skb, "head": 0xFFFF889200000000 + 4096 * self._skb, **fields}

    def send(self, second: float, packet: bytes, *, way: str = "there", lose: bool = False, drop: bool = False,
             delay: float = 0.0, twice: bool = False, skip: tuple[str, ...] = (), **fields: Any) -> None:
        """A packet from one VM to the other."""
        one, two = (self.a, self.b) if way == "there" else (self.b, self.a)
        self.out(one, second, packet, **dict(fields))
        if not lose:
            arrives = second + 8e-6 + self.wire[way] + delay
            self.into(two, arrives, packet, drop, skip, **dict(fields))
            if twice:
                self.into(two, arrives + 20e-6, packet, drop, skip, **dict(fields))

    def talk(self, start: float = 0.0, end: float = 10.0, count: int = 100) -> None:
        """Some datagrams both ways, from which clocks can be compared."""
        for number in range(count):
            second = start + (end - start) * (number + 0.5) / count
            self.send(second, udp_packet(50000 + number, "10.9.0.1", "10.9.0.2"))
            self.send(second + 1e-4, udp_packet(50000 + number, "10.9.0.2", "10.9.0.1"), way="back")

    def write(self, directory: Any) -> Any:
        """Write both bundles; return the run's directory."""
        run = directory / self.a.manifest["run_id"]
        self.a.write(run)
        self.b.write(run)
        return run

    def merge(self, directory: Any) -> dict[str, Any]:
        """Write both bundles and merge them; return the summary."""
        return merged(self.write(directory))


def merged(run: Any, expected: tuple[str, ...] = ()) -> dict[str, Any]:
    """Merge a run, in this process; return its summary."""
    merge.merge(Request(inputs.find([str(run)], None), {host: Expected() for host in expected},
                        topology.read(str(run))))
    with open(os.path.join(str(run), "summary.json")) as handle:
        return json.load(handle)


def add_evidence(run: Path, host: str, content: Any, damage: bytes = b"") -> None:
    """Let a host's bundle have an evidence.json; damage: what is behind what its checksum is of."""
    directory = run / "hosts" / host / "datapath_tracing"
    data = json.dumps(content).encode()
    (directory / "evidence.json").write_bytes(data + damage)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"]["evidence.json"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def flow(summary: dict[str, Any], words: str = A + ":40000 >") -> dict[str, Any]:
    """Return the one flow whose words contain these."""
    (found,) = [entry for entry in summary["flows"] if words in entry["key"]]
    return found


def segment(summary: dict[str, Any], one: str, two: str) -> dict[str, Any]:
    """Return the segment between two places, each "HOST DEVICE POINT"."""
    (found,) = [entry for entry in summary["segments"] if [one, two] == [
        "%(host)s %(device)s %(point)s" % entry[end] for end in ("from", "to")]]
    return found


def talking(**options: Any) -> Fleet:
    """Return a fleet whose hosts' clocks can be compared."""
    fleet = Fleet(**options)
    fleet.talk()
    return fleet


def losses(summary: dict[str, Any], certainty: str = "certain") -> list[tuple[Any, ...]]:
    """Return (kind, packets, places or function) of each loss of this certainty."""
    return [(loss["kind"], loss["packets"], loss.get("between") or loss["function"]) for loss in summary["losses"]
            if loss["certainty"] == certainty]
