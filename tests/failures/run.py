# SPDX-License-Identifier: Apache-2.0
"""One capture on both hypervisors, step by step, as the playbooks go: a fault can be put between any two of them."""
import concurrent.futures
import pathlib
import tarfile
import time

from failures.host import TRACER, Host
from support.lab import Lab, wait_until

PORT, SENT = 5071, 100      # datagrams at once, from vm-a to vm-b
EACH = 2 * SENT             # records of them on each host: one where they come in, one where they leave
POINTS = ("dev.rx", "dev.tx", "skb.drop")
FILTER = ["--netns=self", "--protocol=udp", "--dst-port=%d" % PORT, *("--point=" + point for point in POINTS)]
OPENS_IN_NS, LASTS_NS = 300_000_000, 600_000_000_000  # it is closed long before


class Run:
    """A capture on hv-a and hv-b. To hv-b the faults happen."""

    def __init__(self, lab: Lab, directory: pathlib.Path, tools: pathlib.Path, **of_b: str) -> None:
        """directory: of the run on the controller; its name is the run's. of_b: more of hv-b."""
        self.lab, self.directory, self._tools = lab, directory, tools
        self.a, self.b = self.hosts = [Host(lab, "hv-a", directory.name), Host(lab, "hv-b", directory.name, **of_b)]
        directory.mkdir()
        self.answers: dict[str, dict] = {}  # what became of each host

    def _all(self, state: str, hosts: list[Host] | None = None, **parameters: object) -> dict[str, dict]:
        hosts = hosts or self.hosts
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = pool.map(lambda host: host.module(state, **parameters), hosts)
            return dict(zip([host.name for host in hosts], answers, strict=True))

    def arm(self, options: tuple[str, ...] = (), python: str | None = None) -> dict[str, dict]:
        """Bring the tracers there and arm them; options, python: of hv-b alone, which also reads its evidence."""
        for host in self.hosts:
            host.push(self._tools)
        own = {"tracers": {TRACER: [*FILTER, *options]}, "evidence": True, **({"python": python} if python else {})}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda host: host.module("armed", **(own if host is self.b else {
                "tracers": {TRACER: FILTER}})), self.hosts))
        for host, answer in zip(self.hosts, answers, strict=True):
            if not answer.get("failed"):
                host.note_programs()
        return dict(zip([host.name for host in self.hosts], answers, strict=True))

    def open(self) -> None:
        """Open the window, as the module does, but at once; returns when it is open."""
        start = time.time_ns() + OPENS_IN_NS
        for host in self.hosts:
            host.write("window.json", {"start_realtime_ns": start, "end_realtime_ns": start + LASTS_NS})
        wait_until(lambda: time.time_ns() > start, "the window is open")

    def send(self) -> None:
        """Send SENT datagrams; all have arrived when this returns."""
        address = self.lab.address("vm-b")
        with self.lab.netns("vm-b").serve("udp", address, PORT, count=SENT) as server:
            self.lab.netns("vm-a").send("udp", address, PORT, count=SENT)
            server.wait()

    def finish(self, hosts: list[Host] | None = None, **parameters: object) -> None:
        """Close the window and bring home what there is."""
        for name, answer in self._all("finished", hosts, **{"close": True, **parameters}).items():
            self.answers[name] = answer
            if answer.get("bundle"):
                host = next(host for host in self.hosts if host.name == name)
                with tarfile.open(str(host.root) + answer["bundle"]["path"]) as tar:
                    tar.extractall(self.directory / "hosts" / name, filter="data")

    def remove(self, hosts: list[Host] | None = None) -> dict[str, dict]:
        """Leave nothing on the hosts."""
        return self._all("absent", hosts)


